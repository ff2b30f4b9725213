"""The bot's own database by its nouns, and the transactions that span several of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from scoring.capture import Capture
from scoring.signals import Control, Limits, NearMiss, OpenSignal, Outcome, Signal
from storage.bot_state import BotState, BotStateReader, put_limits
from storage.chats import Chats
from storage.controls import (
    Controls,
    OpenControl,
    begin_controls,
    end_controls,
    insert_controls,
    shift_controls,
    track_controls,
)
from storage.database import Database, Reader
from storage.near_misses import (
    NearMisses,
    Peaks,
    end_near_misses,
    follow_near_misses,
    insert_near_misses,
    raise_peaks,
    shift_followed_near_misses,
    track_near_misses,
)
from storage.outbox import DOUBT_SENDING, Outbox, Queued, queue, shift_outbox
from storage.runs import Runs
from storage.signals import (
    Signals,
    end_signal,
    insert_captures,
    insert_signals,
    put_open_signals,
    shift_open_signals,
)
from storage.steering import SteeringLog
from storage.windows import Windows

_PRUNED_AT_ONCE = 500
_NOTHING_COPIES = 2**62
_PRUNE = tuple(
    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} JOIN changes ON source = '{table}' AND row_id = id"  # noqa: S608 - names of ours
    f" WHERE {time} < :before_ms AND seq <= :copied AND {which} ORDER BY {time} LIMIT {_PRUNED_AT_ONCE})"
    for table, time, which in (
        ("near_misses", "decided_ms", "true"),
        ("venue_health", "changed_ms", "true"),
        ("outbox", "created_ms", "state IN ('sent', 'expired', 'failed')"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The state from which a bot that starts goes on."""

    limits: Limits
    open_signals: tuple[OpenSignal, ...]
    followed: tuple[OpenSignal, ...] = ()  #: near misses, each under the near miss's id
    controls: tuple[OpenControl, ...] = ()


class StoreReader:
    """The database for callers that only read: a report, the web app, a check. Many may read while one bot writes."""

    def __init__(self, database: Reader) -> None:
        self.database = database
        self.signals = Signals(database)
        self.controls = Controls(database)
        self.near_misses = NearMisses(database)
        self.state = BotStateReader(database)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open an existing database for reading; raises as `Reader.open` does."""
        return cls(await Reader.open(path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the database; what memory has taken goes to the disk if that takes it by now."""
        await self.database.close()


class Store(StoreReader):
    """The database for the bot itself.

    What spans several nouns is one transaction here; signals, controls and near misses are written nowhere else.
    """

    database: Database
    state: BotState

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.state = BotState(database)
        self.outbox = Outbox(database)
        self.chats = Chats(database)
        self.windows = Windows(database)
        self.steering = SteeringLog(database)
        self.runs = Runs(database)
        self.times = asyncio.Lock()  #: held while times are compared with the clock, so that it is not set meanwhile

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database and mark as uncertain what was being sent; raises as `Database.open` does."""
        return cls(await Database.open(path, DOUBT_SENDING))

    async def load(self) -> Saved:
        """Return the limits, and the signals, near misses and controls that are still followed, oldest first."""
        return Saved(
            limits=await self.state.limits(),
            open_signals=await self.signals.open(),
            followed=await self.near_misses.followed(),
            controls=await self.controls.open(),
        )

    async def remember(
        self,
        signals: Sequence[Signal],
        limits: Limits,
        messages: Sequence[Queued],
        near_misses: Sequence[NearMiss] = (),
        *,
        peaks: Peaks = MappingProxyType({}),
        followed: Sequence[NearMiss] = (),
        captures: Sequence[Capture] = (),
        controls: Sequence[Control] = (),
        still_open: Sequence[OpenSignal] = (),
    ) -> None:
        """Store a tick's signals, what they were decided on, their controls, messages and the limits they use up.

        `peaks` are new highest scores of those whose near miss is stored already. Of the near misses `followed` are
        those whose following begins; `still_open` are earlier signals, as far as they have been followed.
        """
        await self.database.write(
            insert_signals(signals),
            *queue(messages),
            insert_captures(captures),
            insert_controls(controls),
            insert_near_misses(near_misses),
            raise_peaks(peaks),
            follow_near_misses(followed),
            put_open_signals(still_open),
            put_limits(limits),
        )

    async def save_open(self, open_signals: Sequence[OpenSignal], follow_ups: Sequence[Queued] = ()) -> None:
        """Store how far signals have been followed, and what their alerts say of it."""
        if open_signals:
            await self.database.write(put_open_signals(open_signals), *queue(follow_ups))

    async def record_outcome(self, outcome: Outcome, limits: Limits, messages: Sequence[Queued]) -> None:
        """Store a signal's end, its messages and the limits it changes."""
        await self.database.write(*end_signal(outcome), *queue(messages), put_limits(limits))

    async def record_near_misses(self, outcomes: Sequence[Outcome], lost: Sequence[int] = ()) -> None:
        """Store what near misses have made, each under its near miss's id, and end the following of the `lost`."""
        await self.database.write(*end_near_misses(outcomes, lost))

    async def record_controls(
        self, begun: Sequence[Control], followed: Sequence[OpenSignal], outcomes: Sequence[Outcome]
    ) -> None:
        """Store the controls that begin, how far others have been followed, and ends; ids are the controls'."""
        await self.database.write(begin_controls(begun), track_controls(followed), end_controls(outcomes))

    async def shift_clock(
        self,
        step_ms: int,
        limits: Limits,
        open_signals: Sequence[OpenSignal],
        followed: Sequence[OpenSignal],
        controls: Sequence[OpenSignal] = (),
    ) -> None:
        """Move by `step_ms`, by which the clock was set, what waits and what is followed; the arguments have moved."""
        await self.database.write(
            shift_outbox(step_ms),
            shift_open_signals(step_ms),
            shift_followed_near_misses(step_ms),
            shift_controls(step_ms),
            put_open_signals(open_signals),
            track_near_misses(followed),
            track_controls(controls),
            put_limits(limits),
        )

    async def prune(self, before_ms: int, copied: int | None = None) -> bool:
        """Delete some of the oldest bulk rows of before then, never a signal, and return whether there may be more.

        `copied` is the last change that the history in MySQL has: later ones stay; None where nothing copies.
        """
        limits = {"before_ms": before_ms, "copied": _NOTHING_COPIES if copied is None else copied}
        return await self.database.write_to_disk(*((sql, [limits]) for sql in _PRUNE)) > 0
