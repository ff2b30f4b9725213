"""The protocol by which the core gets messages, to be stored with what they are about."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from fetchers.health import Notice
from fetchers.parsing.tallies import Change
from scoring.signals import Limits, NearMiss, OpenSignal, Outcome, Signal
from scoring.statistics import Record
from scoring.strategies.levels.watch import Approach
from storage.messages import FollowUp, NewMessage


class Announcer(Protocol):
    """Makes messages; nothing is sent before they are stored and `wake` is called."""

    def wake(self) -> None:
        """Say that there may be something to send."""

    def entry(self, signal: Signal, record: Record, decided_after_ms: int) -> list[NewMessage]:
        """Return the alert; `record` is how alerts like it have done."""

    def exit(self, signal: Signal, outcome: Outcome) -> list[NewMessage | FollowUp]:
        """Return the end of a signal, with its line below the alert."""

    def look(self, before: OpenSignal, after: OpenSignal) -> list[FollowUp]:
        """Return what a look has changed, as lines below the alert."""

    def guard(self, limits: Limits) -> list[NewMessage]:
        """Return that the stop-loss guard now refuses signals."""

    def cap(self) -> list[NewMessage]:
        """Return that the daily cap is reached."""

    def storm(self, refused: Sequence[NearMiss], key: str) -> list[NewMessage]:
        """Return the list of those that the burst limit refused; a later one of the same key replaces it."""

    def legs(self, approaches: Sequence[Approach], key: str) -> list[NewMessage]:
        """Return the quiet list of legs near their entry; a later one of the same key replaces it."""

    def started(self, kept: Mapping[str, int], open_signals: Sequence[OpenSignal]) -> list[NewMessage]:
        """Return that the watch begins; `kept`: instruments by venue."""

    def stopped(self, open_signals: Sequence[OpenSignal]) -> list[NewMessage]:
        """Return the notice that the watch ends on request."""

    def clock_set(self, step_ms: int) -> list[NewMessage]:
        """Return that the machine's clock was set by so much."""

    def disk(self, fault: str) -> list[NewMessage]:
        """Return that the disk takes no writes, or does again where `fault` is empty."""

    def venue(self, notice: Notice, why: str, now_ms: int) -> list[NewMessage]:
        """Return that a venue is blind or back."""

    def venue_lines(self, notice: Notice, open_signals: Collection[OpenSignal], now_ms: int) -> list[FollowUp]:
        """Return what that means for the open signals of the venue, as lines below their alerts."""

    def replies(self, venue: str, changes: Sequence[Change]) -> list[NewMessage]:
        """Return that another share of a venue's replies than before can be read, or has fields never seen."""


def venue_key(notice: Notice) -> str:
    """Return the edit key of the notice on a venue that is blind since then: what comes back withdraws it."""
    return f"blind {notice.venue} {notice.since_ms}"
