"""One venue as the feed drives it: its list, its bulk calls, the polls and histories of its instruments.

Every call runs as a task of its own and leaves what it learned in `arrived`. So its caller can stop waiting
(for a deadline, for a venue in trouble, for the budget) without losing anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import chain

from features.facts.market import Candles, Instrument, Observation, Quotes, Trades
from fetchers.backfill import Backfill
from fetchers.backfill_loader import BackfillLoader
from fetchers.base import Venue
from fetchers.candidate_polls import CandidatePolls, Spawn, streamed_cost
from fetchers.candle_loader import CandleLoader, CandleSchedule
from fetchers.early_prices import EarlyPrices
from fetchers.errors import BadPayload, FetchError, UnknownSymbol
from fetchers.health import QUOTES, Condition
from fetchers.listed_ids import ListedIds
from fetchers.listing import ClockOffset
from fetchers.open_interest_rounds import OpenInterestRounds
from fetchers.poll_plan import Counts
from fetchers.streamed_trades import StreamedTrades, TradeStream
from fetchers.venue_calls import VenueCalls
from fetchers.venue_report import VenueReport

GAP_MS = 60_000  #: without quotes: longer than what the windows may have missed
CLOCK_EVERY_MS, CLOCK_DOUBT_MS = 300_000, 5_000  #: quotes that come this old may come of a clock that was set
VOLUME = "volume_usdt_24h"
MOSTLY = 0.95  #: of the instruments covered by the stream, from where on plans count on it


class VenuePoller:
    """One venue and everything that is under way there.

    A request has `deadline_s`: no longer than a tick, so that a venue that hung is asked again in time. Closed candles
    are kept of `candle_interval_s`, 0: of none.
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
        candle_interval_s: int = 0,
        stream: TradeStream | None = None,
    ) -> None:
        self.venue = venue
        self.quotes: dict[frozenset[str], Quotes] = {}  #: the last reply of each kind, by what is in it
        self.arrived: list[Observation] = []
        self.counts = Counts()  #: of the last plan
        self.listed = ListedIds()
        self.calls = VenueCalls(venue, now_ms, sleep)
        self.health = self.calls.health
        self.streamed: StreamedTrades | None = None
        if stream is not None:
            self.streamed = StreamedTrades(stream, self.calls, start=start, sleep=sleep, deliver=self._take)
        self.polls = CandidatePolls(
            self.calls, self.listed, start=start, deliver=self._deliver, is_streamed=self.is_streamed
        )
        self.prices = EarlyPrices(self.calls, start=start, deliver=self._take_quotes)
        self.open_interest = OpenInterestRounds(
            self.calls,
            ids=self.polls.rotation,
            is_on=lambda: self.can_be_polled and self.poll_cost != venue.candidate_cost,
            start=start,
            sleep=sleep,
            deliver=self._deliver,
        )
        self.backfill = Backfill(venue.history_cost, is_whole=venue.has_whole_history, window_s=window_s)
        self.loader = BackfillLoader(
            self.calls,
            self.backfill,
            start=start,
            deliver=self._deliver,
            window_s=window_s,
            can_be_polled=lambda: self.can_be_polled,
            has_bulk_open_interest=lambda: any("open_interest_base" in contents for contents in self.quotes),
        )
        self.candles = CandleSchedule(candle_interval_s)
        self.candle_loader = CandleLoader(
            self.calls,
            self.candles,
            start=start,
            deliver=self._deliver,
            venue_ms=self.venue_ms,
            can_be_polled=lambda: self.can_be_polled,
            is_busy=self.backfill.lacks,
        )
        self._keeps_candles = candle_interval_s > 0
        self._now_ms = now_ms
        self._start = start
        self._ids: tuple[str, ...] = ()
        self._clock: ClockOffset | None = None
        self._clock_due_ms = 0
        self._born_ms = self._last_quotes_ms = now_ms()
        self._quoting: asyncio.Task[None] | None = None
        venue.set_deadline(deadline_s)

    @property
    def is_loaded(self) -> bool:
        """Whether enough is known to say which of its instruments are for us."""
        return self.listed.listings is not None and any(VOLUME in contents for contents in self.quotes)

    @property
    def can_be_polled(self) -> bool:
        """Whether single instruments are worth a call."""
        condition = self.health.condition(self._now_ms())
        return bool(self._ids) and condition in (Condition.OK, Condition.DEGRADED)

    def is_streamed(self, instrument_id: str) -> bool:
        """Return whether a stream brings the prints of an instrument."""
        return self.streamed is not None and self.streamed.covers(instrument_id)

    @property
    def poll_cost(self) -> Mapping[str, float]:
        """What one poll usually costs, by pool: without prints where a stream brings nearly all."""
        is_streamed = self.streamed is not None and self.streamed.covered_share(len(self._ids)) >= MOSTLY
        return streamed_cost(self.venue) if is_streamed else self.venue.candidate_cost

    async def load(self) -> None:
        """Ask for the market list and the time."""
        with suppress(FetchError):  # counted and logged
            async with self.calls.counted("markets"):
                listings = await self.venue.load_markets()
            self.listed.note_list(listings)
            await self._measure_clock()

    def start_quotes(self) -> asyncio.Task[None] | None:
        """Start the bulk calls unless they are under way or the venue is on hold; return what is worth waiting for."""
        if self.health.condition(self._now_ms()) == Condition.HELD:
            return None
        if self._quoting is None or self._quoting.done():
            self._quoting = self._start(self.quote(), f"quotes of {self.venue.name}")
        return None if self.health.fails(QUOTES) else self._quoting

    def price_if_due(self, every_ms: int) -> None:
        """Ask for the prices between two rounds, where they are due."""
        is_quoting = self._quoting is not None and not self._quoting.done()
        if self.can_be_polled and not is_quoting:
            self.prices.ask_if_due(every_ms, max((reply.received_ms for reply in self.quotes.values()), default=0))

    async def quote(self) -> None:
        """Make the bulk calls."""
        with suppress(FetchError):  # counted and logged
            try:
                async with self.calls.counted(QUOTES):
                    replies = await self.venue.fetch_quotes()
            except BadPayload:
                # one wrong word of the venue's clock puts all its rows into the future
                await self._measure_clock()
                raise
            self._take_quotes(replies)
            self._renew_after_gap()
            self.listed.note_quoted(chain.from_iterable(reply.ids for reply in replies))
            if self._now_ms() >= self._clock_due_ms or any(map(_is_old, replies)):
                await self._measure_clock()

    def watch(self, instruments: Sequence[Instrument]) -> None:
        """Take over this venue's part of the universe."""
        self._ids = tuple(instrument.id for instrument in instruments)
        self.listed.watch(self._ids, chain.from_iterable(reply.ids for reply in self.quotes.values()))
        self.polls.watch(self._ids)
        self.venue.watch(set(self._ids))
        if self.streamed is not None:
            self.streamed.want({instrument.id: instrument.contract_size for instrument in instruments})
        self.backfill.watch(self._ids, self._now_ms())
        self.candles.watch(self._ids if self._keeps_candles else ())

    def available(self, horizon_ms: int) -> dict[str, float]:
        """Return by pool what the polls of the next `horizon_ms` may spend."""
        reserved = self.backfill.reserved(horizon_ms)
        available = self.venue.budget.available(self._now_ms(), horizon_ms)
        return {pool: max(0.0, amount - reserved.get(pool, 0.0)) for pool, amount in available.items()}

    async def fetch_candles(self, instrument_id: str, since_ms: int) -> Candles | None:
        """Return 1-minute candles; None where there are none, or no answer."""
        try:
            async with self.calls.counted("candles"):
                return await self.venue.fetch_candles(instrument_id, since_ms)
        except UnknownSymbol:
            self.listed.note_unknown(instrument_id)
        except FetchError:
            pass  # counted and logged
        return None

    def venue_ms(self) -> int:
        """Return the time by the venue's clock."""
        return self._now_ms() + round(self.loader.clock_offset_ms)

    def renew(self) -> None:
        """Fill the windows again, and measure the venue's clock with the next quotes."""
        self.backfill.renew(self._now_ms())
        self._clock_due_ms = 0

    def report(self, dropped: Mapping[str, int]) -> VenueReport:
        """Return how the venue is doing."""
        now_ms, whole_ms = self._now_ms(), self.backfill.first_whole_ms
        return VenueReport(
            condition=self.health.condition(now_ms),
            since_ms=self.health.since_ms(now_ms),
            last_error=self.health.last_error,
            last_quotes_ms=max((reply.received_ms for reply in self.quotes.values()), default=None),
            spent=self.venue.budget.spent,
            errors=self.health.errors,
            used_share=self.venue.budget.used_share(),
            kept=len(self._ids),
            streams=None if self.streamed is None else self.streamed.report(),
            dropped=dropped,
            quarantined=self.polls.quarantine.count(now_ms),
            warming=self.backfill.warming,
            lacking_candles=self.candles.lacking(self.venue_ms()),
            full_by_ms=self.backfill.full_by_ms(now_ms),
            warmed_after_s=None if whole_ms is None else (whole_ms - self._born_ms) / 1000,
            polls=self.counts,
            clock=self._clock,
            tallies=self.venue.tallies.total,
        )

    def _deliver(self, observation: Observation) -> None:
        if self.streamed is not None and isinstance(observation, Trades):
            observation = self.streamed.join(observation)
        self.arrived.append(observation)

    def _take(self, observation: Observation) -> None:
        self.arrived.append(observation)

    def _take_quotes(self, replies: Sequence[Quotes]) -> None:
        self.arrived += replies
        self.quotes.update((_contents(reply), reply) for reply in replies)
        if self.streamed is not None:
            self.streamed.note_volumes(replies)

    async def _measure_clock(self) -> None:
        self._clock_due_ms = self._now_ms() + CLOCK_EVERY_MS
        async with self.calls.counted("clock"):
            self._clock = await self.venue.measure_clock()
        self.loader.clock_offset_ms = self._clock.offset_ms
        if self.streamed is not None:
            self.streamed.set_clock_offset(self._clock.offset_ms)

    def _renew_after_gap(self) -> None:
        """Fill the windows again where they have missed much."""
        now_ms = self._now_ms()
        if now_ms - self._last_quotes_ms > GAP_MS:
            self.backfill.renew(now_ms)
        self._last_quotes_ms = now_ms


def _is_old(reply: Quotes) -> bool:
    return bool(reply.exchange_ms.max(initial=0) < reply.received_ms - CLOCK_DOUBT_MS)


def _contents(reply: Quotes) -> frozenset[str]:
    return frozenset(column.name for column in fields(reply) if getattr(reply, column.name) is not None)
