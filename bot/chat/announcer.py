"""Puts what the core decides into messages for the chats, in the modes that the settings give each kind."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from bot.chat.recipients import Recipients
from bot.chat.texts import follow_ups
from bot.chat.texts.alerts import entry_buttons, render_entry, render_exit, render_track_record
from bot.chat.texts.markup import escape
from bot.chat.texts.notices import (
    render_cap,
    render_changes,
    render_clock_set,
    render_disk,
    render_guard,
    render_legs,
    render_start,
    render_stop,
    render_storm,
    render_venue_back,
    render_venue_blind,
)
from bot.clock import Clock
from bot.config.sounds import Mode
from bot.core.announcer import venue_key
from bot.version import VERSION
from fetchers.health import Notice
from fetchers.parsing.tallies import Change
from scoring.settings import ScoringSettings
from scoring.signals import Limits, NearMiss, OpenSignal, Outcome, Signal
from scoring.statistics import Record
from scoring.strategies.levels.watch import Approach
from storage.messages import FollowUp, Kind, NewMessage
from storage.store import Store


class ChatAnnouncer:
    """Alerts, exits and storms go to every chat, other notices to the operator."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        wake: Callable[[], None],
        settings: ScoringSettings,
        modes: Mapping[Kind, Mode],
        recipients: Recipients,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._settings = settings
        self._modes = modes
        self._recipients = recipients

    def wake(self) -> None:
        """Let the delivery look for messages to send."""
        self._wake()

    async def notify(self, text: str, kind: Kind = Kind.NOTICE) -> None:
        """Queue a message that belongs to no signal, for the operator."""
        await self._store.outbox.enqueue(self._notices(text, kind))
        self._wake()

    async def notify_all(self, text: str) -> None:
        """Queue a notice for every chat that gets alerts, whatever the modes."""
        await self._store.outbox.enqueue(self._to(self._recipients.chats, text, Kind.NOTICE))
        self._wake()

    def entry(self, signal: Signal, record: Record, decided_after_ms: int) -> list[NewMessage]:
        """Return the alert; `record` is how alerts like it have done."""
        track_record = render_track_record(record, signal.score)
        html = render_entry(signal, track_record=track_record, decided_after_ms=decided_after_ms)
        return self._of_signal(Kind.ENTRY, html, signal)

    def exit(self, signal: Signal, outcome: Outcome) -> list[NewMessage | FollowUp]:
        """Return the end of a signal, with its line below the alert."""
        html = render_exit(signal, outcome, reach_s=self._settings.reach_s)
        return [*self._of_signal(Kind.EXIT, html, signal), follow_ups.of_exit(signal, outcome, self._settings)]

    def look(self, before: OpenSignal, after: OpenSignal) -> list[FollowUp]:
        """Return what a look has changed, as lines below the alert."""
        return follow_ups.of_look(before, after, self._settings)

    def guard(self, limits: Limits) -> list[NewMessage]:
        """Return that the stop-loss guard now refuses signals."""
        settings, stops = self._settings, len(limits.stop_times_ms)
        return self._notices(render_guard(stops, settings.stoploss_guard_s, limits.guard_until_ms, settings.timezone))

    def cap(self) -> list[NewMessage]:
        """Return that the daily cap is reached."""
        return self._notices(render_cap(self._settings.max_daily_trades, self._settings.timezone))

    def storm(self, refused: Sequence[NearMiss], key: str) -> list[NewMessage]:
        """Return the list of those that the burst limit refused; a later one of the same key replaces it."""
        html = render_storm(refused, self._settings.burst_limit, self._settings.burst_window_s)
        return self._notices(html, Kind.STORM, edit_key=key)

    def legs(self, approaches: Sequence[Approach], key: str) -> list[NewMessage]:
        """Return the quiet list of legs near their entry; a later one of the same key replaces it."""
        return self._notices(render_legs(approaches), Kind.STORM, edit_key=key)

    def started(self, kept: Mapping[str, int], open_signals: Sequence[OpenSignal]) -> list[NewMessage]:
        """Return that the watch begins; `kept`: instruments by venue."""
        return self._notices(render_start(VERSION, kept, open_signals, self._clock.now_ms()))

    def stopped(self, open_signals: Sequence[OpenSignal]) -> list[NewMessage]:
        """Return the notice that the watch ends on request."""
        return self._notices(render_stop("it was told to", open_signals, self._clock.now_ms()))

    def clock_set(self, step_ms: int) -> list[NewMessage]:
        """Return that the machine's clock was set by so much."""
        return self._notices(render_clock_set(step_ms))

    def disk(self, fault: str) -> list[NewMessage]:
        """Return that the disk takes no writes, or does again where `fault` is empty."""
        return self._notices(render_disk(fault))

    def venue(self, notice: Notice, why: str, now_ms: int) -> list[NewMessage]:
        """Return that a venue is blind or back."""
        lasted_s = (now_ms - notice.since_ms) / 1000
        if notice.is_back:
            return self._notices(render_venue_back(notice.venue, lasted_s))
        return self._notices(render_venue_blind(notice.venue, lasted_s, why), edit_key=venue_key(notice))

    def venue_lines(self, notice: Notice, open_signals: Collection[OpenSignal], now_ms: int) -> list[FollowUp]:
        """Return what that means for the open signals of the venue, as lines below their alerts."""
        return follow_ups.of_venue(notice, open_signals, now_ms, self._settings)

    def replies(self, venue: str, changes: Sequence[Change]) -> list[NewMessage]:
        """Return that another share of a venue's replies than before can be read, or has fields never seen."""
        return self._notices(render_changes(venue, changes))

    def _notices(self, text: str, kind: Kind = Kind.NOTICE, edit_key: str = "") -> list[NewMessage]:
        if self._modes[kind] is Mode.OFF:
            return []
        to = self._recipients
        return self._to(to.chats if kind is Kind.STORM else filter(None, [to.operator]), text, kind, edit_key)

    def _to(self, chats: Iterable[str], text: str, kind: Kind, edit_key: str = "") -> list[NewMessage]:
        html, now_ms = escape(text), self._clock.now_ms()
        return [NewMessage(chat_id=chat, kind=kind, html=html, created_ms=now_ms, edit_key=edit_key) for chat in chats]

    def _of_signal(self, kind: Kind, text: str, signal: Signal) -> list[NewMessage]:
        if self._modes[kind] is Mode.OFF:
            return []
        created_ms = signal.decided_ms if kind is Kind.ENTRY else self._clock.now_ms()
        return [
            NewMessage(
                chat_id=chat,
                kind=kind,
                html=escape(text),
                created_ms=created_ms,
                signal_id=signal.id,
                entry_price=signal.levels.entry,
                buttons=entry_buttons(signal) if kind is Kind.ENTRY else (),
            )
            for chat in self._recipients.chats
        ]
