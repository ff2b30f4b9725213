"""One venue as the feed drives it: its calls with their deadlines, what came of them, and what the venue is good for.

Every call runs as a task of its own and leaves what it learned in `arrived`. So whoever waits for it can stop waiting
(for a deadline, for a venue in trouble, for the budget) without losing anything.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, TypeAlias

from loguru import logger

from features.market import Candles, Instrument, Observation, Quotes
from fetchers.base import ClockOffset, Listing, Venue
from fetchers.errors import BadPayload, FetchError, RateLimited, UnknownSymbol, Unreachable
from fetchers.health import QUOTES, Condition, Quarantine, VenueHealth
from fetchers.plan import Counts

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

BOOK = "book"
LOAD_DEADLINE_S = 20.0  #: a market list has megabytes
CALL_DEADLINE_S = 5.0  #: so that a venue that hung is asked again at the latest two ticks after it is well
POLLS_IN_FLIGHT = 14  #: one call each; with the history's, some of the client's sockets stay free for the bulk calls
HISTORY_IN_FLIGHT = 3
HISTORY_PAUSE_S = 0.05  #: a thousand instruments within a minute, beside the polls and not before them
HISTORY_LOOK_S = 5.0
HISTORY_EVERY_MS, HISTORY_RETRY_MS = 300_000, 60_000
HISTORY_DEADLINE_S = 400.0  #: a call may wait for its place in a 5-minute pool; the client bounds the rest
NEVER_MS = 2**62
VOLUME = "volume_usdt_24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReport:
    """One venue as /status tells of it."""

    condition: Condition
    since_ms: int | None  #: when the trouble began, or a hold ends; None where all is well
    last_error: str
    last_quotes_ms: int | None  #: None before the first
    requests: int
    errors: int
    used_share: Mapping[str, float]  #: [0...1] by pool, the most of the published limit in any window so far
    kept: int  #: instruments in the universe
    dropped: Mapping[str, int]  #: by reason
    quarantined: int
    warming: int  #: instruments whose open-interest history has not come yet
    polls: Counts  #: of the last plan
    clock: ClockOffset | None  #: None before it was measured


@dataclass(slots=True)
class Polls:
    """The polls of one venue in one plan."""

    ids: Sequence[str]
    sent: list[asyncio.Task[None]] = field(default_factory=list)
    must_pace: asyncio.Event = field(default_factory=asyncio.Event)  #: all that fits into the budget at once is sent


class Lane:
    """One venue, its market list, and everything that is under way."""

    def __init__(
        self, venue: Venue, *, now_ms: Callable[[], int], sleep: Callable[[float], Awaitable[None]], start: Spawn
    ) -> None:
        self.venue = venue
        self.health = VenueHealth(venue.name, now_ms())
        self.quarantine = Quarantine()
        self.listings: tuple[Listing, ...] | None = None  #: None before the first load
        self.quotes: dict[frozenset[str], Quotes] = {}  #: the last reply of each kind, by what is in it
        self.arrived: list[Observation] = []
        self.wants_reload = False  #: an instrument showed up or went away
        self.counts = Counts()
        self._now_ms = now_ms
        self._sleep = sleep
        self._start = start
        self._slots = asyncio.Semaphore(POLLS_IN_FLIGHT)
        self._known_ids: set[str] = set()  # listed, or in the quotes without being listed
        self._clock: ClockOffset | None = None
        self._ids: tuple[str, ...] = ()
        self._last_polled: dict[str, int] = {}
        self._history_due_ms: dict[str, int] = {}  # of those in the universe that publish open interest
        self._cold: set[str] = set()  # of those, the ones whose history has not come yet
        self._quoting: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there is enough to tell which of its instruments are for us."""
        return self.listings is not None and any(VOLUME in contents for contents in self.quotes)

    async def load(self) -> None:
        """Ask for the market list and the time."""
        with suppress(FetchError):  # counted and logged
            async with self._call("markets", LOAD_DEADLINE_S):
                self.listings = await self.venue.load_markets()
            self.wants_reload = False
            self._known_ids.update(listing.instrument.id for listing in self.listings)
            async with self._call("clock"):
                self._clock = await self.venue.measure_clock()

    async def quote(self) -> None:
        """Make the bulk calls."""
        with suppress(FetchError):  # counted and logged
            async with self._call(QUOTES):
                replies = await self.venue.fetch_quotes()
            self.arrived += replies
            self.quotes.update((_contents(reply), reply) for reply in replies)
            unknown = set(chain.from_iterable(reply.ids for reply in replies)) - self._known_ids
            self._known_ids |= unknown  # once is enough: rows of another market never get listed
            self.wants_reload |= bool(unknown and self._ids)

    def start_quotes(self) -> asyncio.Task[None] | None:
        """Start the bulk calls unless they are under way or the venue is on hold; returns what is worth waiting for."""
        if self.health.condition(self._now_ms()) == Condition.HELD:
            return None
        if self._quoting is None or self._quoting.done():
            self._quoting = self._start(self.quote(), f"quotes of {self.venue.name}")
        return None if self.health.fails(QUOTES) else self._quoting

    def watch(self, instruments: Sequence[Instrument]) -> None:
        """Take over this venue's part of the universe."""
        self._ids = tuple(instrument.id for instrument in instruments)
        watched = set(self._ids)
        self._last_polled = {key: at_ms for key, at_ms in self._last_polled.items() if key in watched}
        with_history = [instrument.id for instrument in instruments if instrument.publishes_open_interest]
        self._cold = self._cold.intersection(with_history) | (set(with_history) - self._history_due_ms.keys())
        self._history_due_ms = {key: self._history_due_ms.get(key, 0) for key in with_history}

    @property
    def can_be_polled(self) -> bool:
        """Whether single instruments are worth a call."""
        condition = self.health.condition(self._now_ms())
        return bool(self._ids) and condition in (Condition.OK, Condition.DEGRADED)

    def rotation(self) -> list[str]:
        """Return all instruments that are not left out, least recently polled first."""
        now_ms = self._now_ms()
        inside = [instrument_id for instrument_id in self._ids if not self.quarantine.holds(instrument_id, now_ms)]
        return sorted(inside, key=lambda instrument_id: self._last_polled.get(instrument_id, 0))

    def start_polls(self, ids: Sequence[str]) -> Polls:
        """Drop what is not sent of the polls before, and start these."""
        if self._sending is not None:
            self._sending.cancel()
        polls = Polls(ids)
        self._sending = self._start(self._send(polls), f"polls of {self.venue.name}")
        return polls

    async def wait_for(self, polls: Polls) -> None:
        """Return when what fits into the budget at once has been answered; at once where books do not come anyway."""
        if self.health.fails(BOOK):
            return
        await polls.must_pace.wait()
        if polls.sent:
            await asyncio.wait(polls.sent)

    async def keep_history(self) -> None:
        """Fill the open-interest windows of new instruments from the venue's history; runs until cancelled.

        Where no bulk reply has open interest, the history is all that most instruments get: it is asked for again.
        """
        slots = asyncio.Semaphore(HISTORY_IN_FLIGHT)
        while True:
            now_ms = self._now_ms()
            for instrument_id in [key for key, due_ms in self._history_due_ms.items() if due_ms <= now_ms]:
                if not self.can_be_polled:
                    break
                await slots.acquire()
                self._start(self._history(instrument_id, slots), f"history of {self.venue.name} {instrument_id}")
                await self._sleep(HISTORY_PAUSE_S)
            await self._sleep(HISTORY_LOOK_S)

    async def _history(self, instrument_id: str, slots: asyncio.Semaphore) -> None:
        has_bulk = any("open_interest_base" in contents for contents in self.quotes)
        due_ms = self._now_ms() + HISTORY_RETRY_MS
        try:
            with suppress(FetchError):  # counted and logged
                async with self._call("open interest history", HISTORY_DEADLINE_S):
                    self.arrived += await self.venue.fetch_open_interest_history(instrument_id)
                due_ms = NEVER_MS if has_bulk else self._now_ms() + HISTORY_EVERY_MS
                self._cold.discard(instrument_id)
        finally:
            slots.release()
            if instrument_id in self._history_due_ms:
                self._history_due_ms[instrument_id] = due_ms

    async def fetch_candles(self, instrument_id: str, since_ms: int) -> Candles | None:
        """Return 1-minute candles; None where there are none, or no answer."""
        with suppress(FetchError):  # counted and logged
            async with self._call("candles"):
                return await self.venue.fetch_candles(instrument_id, since_ms)
        return None

    def report(self, dropped: Mapping[str, int]) -> VenueReport:
        """Return how the venue is doing."""
        now_ms = self._now_ms()
        return VenueReport(
            condition=self.health.condition(now_ms),
            since_ms=self.health.since_ms(now_ms),
            last_error=self.health.last_error,
            last_quotes_ms=max((reply.received_ms for reply in self.quotes.values()), default=None),
            requests=self.venue.budget.requests,
            errors=self.health.errors,
            used_share=self.venue.budget.used_share(),
            kept=len(self._ids),
            dropped=dropped,
            quarantined=self.quarantine.count(now_ms),
            warming=len(self._cold),
            polls=self.counts,
            clock=self._clock,
        )

    async def _send(self, polls: Polls) -> None:
        budget, kept_free = self.venue.budget, self.venue.quotes_cost
        cost = {pool: cost + kept_free.get(pool, 0.0) for pool, cost in self.venue.candidate_cost.items()}
        try:
            for instrument_id in polls.ids:
                while (wait_s := budget.wait_s(cost, self._now_ms())) > 0:
                    polls.must_pace.set()
                    await self._sleep(wait_s)
                await self._slots.acquire()
                self._last_polled[instrument_id] = self._now_ms()
                polls.sent.append(self._start(self._poll(instrument_id), f"poll {self.venue.name} {instrument_id}"))
                await asyncio.sleep(0)  # it spends before the budget is looked at for the next one
        finally:
            polls.must_pace.set()

    async def _poll(self, instrument_id: str) -> None:
        calls: tuple[tuple[str, Callable[[str], Awaitable[Observation | None]]], ...] = (
            (BOOK, self.venue.fetch_order_book),
            ("trades", self.venue.fetch_trades),
            ("open interest", self.venue.fetch_open_interest),
        )
        try:
            for kind, fetch in calls:
                async with self._call(kind):
                    observation = await fetch(instrument_id)
                if observation is not None:
                    self.arrived.append(observation)
            self.quarantine.success(instrument_id, self._now_ms())
        except (UnknownSymbol, BadPayload) as error:
            self._suspect(instrument_id, error)
        except FetchError:
            return  # counted and logged; the rest of this poll would fare no better
        finally:
            self._slots.release()

    def _suspect(self, instrument_id: str, error: FetchError) -> None:
        is_unknown = isinstance(error, UnknownSymbol)
        out_s = self.quarantine.failure(instrument_id, self._now_ms(), is_certain=is_unknown)
        if out_s:
            logger.info("{} {}: left out for {:.0f} s: {}", self.venue.name, instrument_id, out_s, error)
        if is_unknown and instrument_id in self._known_ids:
            self._known_ids.discard(instrument_id)  # until it is listed again
            self.wants_reload = True

    @asynccontextmanager
    async def _call(self, kind: str, deadline_s: float = CALL_DEADLINE_S) -> AsyncIterator[None]:
        """Give a call its deadline, count how it ended, and log where that is news."""
        name = self.venue.name
        try:
            async with asyncio.timeout(deadline_s):
                yield
        except TimeoutError as error:
            late = Unreachable(f"{name} {kind}: no answer within {deadline_s:g} s")
            self._failed(kind, late)
            raise late from error
        except UnknownSymbol:
            raise  # the instrument's trouble, not the venue's
        except FetchError as error:
            self._failed(kind, error)
            raise
        if (failed_ms := self.health.success(kind, self._now_ms())) is not None:
            logger.info("{} {}: recovered after {:.0f} s", name, kind, failed_ms / 1000)

    def _failed(self, kind: str, error: FetchError) -> None:
        if isinstance(error, RateLimited) and error.pool is None:
            self.health.hold(error.until_ms)
        if self.health.failure(kind, str(error), self._now_ms()):
            logger.warning("{} {}: failing: {}", self.venue.name, kind, error)


def _contents(reply: Quotes) -> frozenset[str]:
    return frozenset(column.name for column in fields(reply) if getattr(reply, column.name) is not None)
