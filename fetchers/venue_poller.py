"""One venue as the feed drives it: its calls, what came of them, and what the venue is good for.

Every call runs as a task of its own and leaves what it learned in `arrived`. So whoever waits for it can stop waiting
(for a deadline, for a venue in trouble, for the budget) without losing anything.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, TypeAlias

from loguru import logger

from features.facts.market import Candles, Instrument, Observation, Quotes
from fetchers.backfill import PAUSE_S, History
from fetchers.base import Venue
from fetchers.errors import BadPayload, FetchError, RateLimited, UnknownSymbol
from fetchers.health import QUOTES, Condition, Quarantine, VenueHealth
from fetchers.listing import ClockOffset, Listing
from fetchers.poll_plan import Counts
from fetchers.venue_report import VenueReport

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

BOOK = "book"
POLLS_IN_FLIGHT = 14  #: one call each; with the history's, some of the client's sockets stay free for the bulk calls
HISTORY_IN_FLIGHT = 6
HISTORY_LOOK_S = 1.0
GAP_MS = 60_000  #: without quotes: longer than what the windows may have missed
CLOCK_EVERY_MS, CLOCK_DOUBT_MS = 300_000, 5_000  #: quotes that come this old may come of a clock that was set
VOLUME = "volume_usdt_24h"
CLOSED = ("not trading", "delisting")  #: what a market list says of a pair that ends
READINGS = 2  #: of the market list before a pair is taken for gone


@dataclass(slots=True)
class _Leaving:
    """An instrument that a reading of the market list lacks or shows as no longer traded."""

    readings: int = 0  # in a row
    is_said: bool = False  # the venue itself says that it is gone


@dataclass(slots=True)
class Polls:
    """The polls of one venue in one plan."""

    ids: Sequence[str]
    awaited: Collection[str]  #: of them, those a decision waits for
    sent: list[asyncio.Task[None]] = field(default_factory=list)  #: of those
    is_out: asyncio.Event = field(default_factory=asyncio.Event)  #: all of those that fit into the budget at once are


class VenuePoller:
    """One venue, its market list, and everything that is under way.

    A request has `deadline_s`: no longer than a tick, so that a venue that hung is asked again in time.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        start: Spawn,
        window_s: float,
        deadline_s: float = 5.0,
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
        self._leaving: dict[str, _Leaving] = {}
        self._known_ids: set[str] = set()  # listed, or in the quotes without being listed
        self._clock: ClockOffset | None = None
        self._ids: tuple[str, ...] = ()
        self._last_polled: dict[str, int] = {}
        self._window_ms = round(1000 * window_s)
        venue.set_deadline(deadline_s)
        self._born_ms = self._last_quotes_ms = now_ms()
        self._clock_due_ms = 0
        self.history = History(venue.history_cost, is_whole=venue.has_whole_history, window_s=window_s)
        self._quoting: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there is enough to tell which of its instruments are for us."""
        return self.listings is not None and any(VOLUME in contents for contents in self.quotes)

    async def load(self) -> None:
        """Ask for the market list and the time."""
        with suppress(FetchError):  # counted and logged
            async with self._call("markets"):
                self.listings = await self.venue.load_markets()
            self.wants_reload = False
            self._known_ids.update(listing.instrument.id for listing in self.listings)
            self._note_leaving(self.listings)
            await self._measure_clock()

    async def quote(self) -> None:
        """Make the bulk calls."""
        with suppress(FetchError):  # counted and logged
            async with self._call(QUOTES):
                replies = await self.venue.fetch_quotes()
            self.arrived += replies
            self._note_gap()
            self.quotes.update((_contents(reply), reply) for reply in replies)
            unknown = set(chain.from_iterable(reply.ids for reply in replies)) - self._known_ids
            self._known_ids |= unknown  # once is enough: rows of another market never get listed
            self.wants_reload |= bool(unknown and self._ids)
            if self._now_ms() >= self._clock_due_ms or any(map(_is_old, replies)):
                await self._measure_clock()

    def delisted(self) -> set[str]:
        """Return what READINGS readings of the list in a row lack or call closed, and the venue itself calls gone."""
        return {key for key, one in self._leaving.items() if one.readings >= READINGS and one.is_said}

    def _note_leaving(self, listings: Sequence[Listing]) -> None:
        dropped = {listing.instrument.id: listing.dropped for listing in listings}
        for instrument_id in {*self._ids, *self._leaving}:
            if dropped.get(instrument_id, CLOSED[0]) not in CLOSED:
                self._leaving.pop(instrument_id, None)
                continue
            one = self._leaving.setdefault(instrument_id, _Leaving())
            one.readings += 1
            one.is_said |= instrument_id in dropped
        # whoever follows one has heard of it by the next reading
        self._leaving = {key: one for key, one in self._leaving.items() if one.readings <= READINGS + 1}

    def _note_unknown(self, instrument_id: str) -> None:
        """Take the venue's word that it does not know an instrument; the list has to say so too."""
        one = self._leaving.setdefault(instrument_id, _Leaving())
        self.wants_reload |= not one.is_said
        one.is_said = True

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
        self._known_ids = {listing.instrument.id for listing in self.listings or ()}
        self._known_ids.update(chain.from_iterable(reply.ids for reply in self.quotes.values()))
        self.quarantine.watch(watched)
        self.venue.watch(watched)
        self.history.watch(self._ids, self._now_ms())

    @property
    def can_be_polled(self) -> bool:
        """Whether single instruments are worth a call."""
        condition = self.health.condition(self._now_ms())
        return bool(self._ids) and condition in (Condition.OK, Condition.DEGRADED)

    def available(self, horizon_ms: int) -> dict[str, float]:
        """Return by pool what the polls of the next `horizon_ms` may spend."""
        reserved = self.history.reserved(horizon_ms)
        available = self.venue.budget.available(self._now_ms(), horizon_ms)
        return {pool: max(0.0, amount - reserved.get(pool, 0.0)) for pool, amount in available.items()}

    def rotation(self) -> list[str]:
        """Return all instruments that are not left out, least recently polled first."""
        now_ms = self._now_ms()
        inside = [instrument_id for instrument_id in self._ids if not self.quarantine.holds(instrument_id, now_ms)]
        return sorted(inside, key=lambda instrument_id: self._last_polled.get(instrument_id, 0))

    def start_polls(self, ids: Sequence[str], awaited: Collection[str]) -> Polls:
        """Drop what is not sent of the polls before, and start these; some a decision waits for."""
        if self._sending is not None:
            self._sending.cancel()
        polls = Polls(ids, awaited)
        self._sending = self._start(self._send(polls), f"polls of {self.venue.name}")
        return polls

    async def wait_for(self, polls: Polls) -> None:
        """Return when what fits into the budget at once has been answered; at once where books do not come anyway."""
        if self.health.fails(BOOK):
            return
        await polls.is_out.wait()
        if polls.sent:
            await asyncio.wait(polls.sent)

    async def keep_history(self) -> None:
        """Fill the windows of new instruments from the venue's history, beside the polls; runs until cancelled."""
        slots = asyncio.Semaphore(HISTORY_IN_FLIGHT)
        while True:
            instrument_id = self.history.next(self._now_ms()) if self.can_be_polled else None
            if instrument_id is None:
                await self._sleep(HISTORY_LOOK_S)
                continue
            await self._room_for(self.venue.history_cost)
            await slots.acquire()
            self._start(self._learn(instrument_id, slots), f"history of {self.venue.name} {instrument_id}")
            await self._sleep(PAUSE_S)

    async def _learn(self, instrument_id: str, slots: asyncio.Semaphore) -> None:
        has_bulk = any("open_interest_base" in contents for contents in self.quotes)
        try:
            if self.history.lacks(instrument_id):
                async with self._call("candles"):
                    ahead_ms = 0 if self._clock is None else round(self._clock.offset_ms)
                    since_ms = self._now_ms() + ahead_ms - self._window_ms
                    candles = await self.venue.fetch_mark_candles(instrument_id, since_ms)
                self.arrived += [candles] if candles is not None else []
            async with self._call("open interest history"):
                self.arrived += await self.venue.fetch_open_interest_history(instrument_id)
            self.history.came(instrument_id, self._now_ms(), is_renewed=not has_bulk)
        except FetchError:
            return  # counted and logged; it is due again in a minute
        finally:
            slots.release()

    async def fetch_candles(self, instrument_id: str, since_ms: int) -> Candles | None:
        """Return 1-minute candles; None where there are none, or no answer."""
        try:
            async with self._call("candles"):
                return await self.venue.fetch_candles(instrument_id, since_ms)
        except UnknownSymbol:
            self._note_unknown(instrument_id)
        except FetchError:
            pass  # counted and logged
        return None

    def report(self, dropped: Mapping[str, int]) -> VenueReport:
        """Return how the venue is doing."""
        now_ms, whole_ms = self._now_ms(), self.history.first_whole_ms
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
            warming=self.history.warming,
            full_by_ms=self.history.full_by_ms(now_ms),
            warmed_after_s=None if whole_ms is None else (whole_ms - self._born_ms) / 1000,
            polls=self.counts,
            clock=self._clock,
            tallies=self.venue.tallies.total,
        )

    async def _send(self, polls: Polls) -> None:
        left = len(polls.awaited)
        try:
            for instrument_id in polls.ids:
                if not left:
                    polls.is_out.set()
                await self._room_for(self.venue.candidate_cost, before_waiting=polls.is_out.set)
                await self._slots.acquire()
                self._last_polled[instrument_id] = self._now_ms()
                poll = self._start(self._poll(instrument_id), f"poll {self.venue.name} {instrument_id}")
                if instrument_id in polls.awaited:
                    polls.sent.append(poll)
                    left -= 1
                await asyncio.sleep(0)  # it spends before the budget is looked at for the next one
        finally:
            polls.is_out.set()

    async def _room_for(self, cost: Mapping[str, float], before_waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until the budget has room for `cost` and, beside it, for the bulk calls, which never wait for others."""
        budget, kept_free = self.venue.budget, self.venue.quotes_cost
        while (wait_s := budget.wait_s(cost, self._now_ms(), kept_free=kept_free)) > 0:
            before_waiting()
            await self._sleep(wait_s)

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
        if is_unknown:
            self._note_unknown(instrument_id)
        if is_unknown and instrument_id in self._known_ids:
            self._known_ids.discard(instrument_id)  # until it is listed again
            self.wants_reload = True

    async def _measure_clock(self) -> None:
        self._clock_due_ms = self._now_ms() + CLOCK_EVERY_MS
        async with self._call("clock"):
            self._clock = await self.venue.measure_clock()

    def renew(self) -> None:
        """Have the windows filled again, and the venue's clock measured with the next quotes."""
        self.history.renew(self._now_ms())
        self._clock_due_ms = 0

    def _note_gap(self) -> None:
        """Have the windows filled again where they have missed much."""
        now_ms = self._now_ms()
        if now_ms - self._last_quotes_ms > GAP_MS:
            self.history.renew(now_ms)
        self._last_quotes_ms = now_ms

    @asynccontextmanager
    async def _call(self, kind: str) -> AsyncIterator[None]:
        """Count how a call ended, and log where that is news."""
        name = self.venue.name
        try:
            yield
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


def _is_old(reply: Quotes) -> bool:
    return bool(reply.exchange_ms.max(initial=0) < reply.received_ms - CLOCK_DOUBT_MS)


def _contents(reply: Quotes) -> frozenset[str]:
    return frozenset(column.name for column in fields(reply) if getattr(reply, column.name) is not None)
