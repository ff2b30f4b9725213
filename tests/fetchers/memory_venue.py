"""A venue without a wire: answers at once, unless told to fail or to hang."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from features.facts.market import Candles, OpenInterest, OrderBook, Quotes, Trades
from fetchers.listing import ClockOffset, Listing
from fetchers.parsing.tallies import Tallies
from fetchers.transport.budget import RateBudget
from fetchers.transport.pools import Pool, Sliding
from tests.builders import instrument, open_interest, order_book, quotes, trades


class MemoryVenue:
    """Implements `fetchers.base.Venue`; keeps what was asked in `calls`."""

    def __init__(self, name: str, ids: Sequence[str], *, now_ms: Callable[[], int], pool: Pool | None = None) -> None:
        self.name = name
        self.budget = RateBudget({"all": pool or Sliding(10_000, 5_000)})
        self.candidate_cost: Mapping[str, float] = {"all": 1.0}
        self.trades_cost: Mapping[str, float] = {}
        self.open_interest_cost: Mapping[str, float] = {}
        self.kept_for_quotes: Mapping[str, float] = {}
        self.history_cost: Mapping[str, float] = {"all": 0.0}
        self.candle_cost: Mapping[str, float] = {}
        self.candle_pause_s = 0.0
        self.has_whole_history = True
        self.tallies = Tallies()
        self.watched: set[str] = set()
        self.listed = list(ids)
        self.closed: set[str] = set()  #: of those listed, the ones that are not traded
        self.quoted = list(ids)
        self.calls: list[tuple[str, str]] = []  #: (what, id)
        self.errors: dict[str, Exception] = {}  #: by what, or by id
        self.hangs: dict[str, asyncio.Event] = {}  #: by what, or by id
        self.quotes_age_ms = 0
        self.is_open = False
        self._now_ms = now_ms

    def asked(self, what: str) -> list[str]:
        """Return the ids asked for, in order."""
        return [instrument_id for call, instrument_id in self.calls if call == what]

    def set_deadline(self, seconds: float) -> None:
        """Need none."""

    async def open(self) -> None:
        """Be open."""
        self.is_open = True

    async def close(self) -> None:
        """Be closed."""
        self.is_open = False

    def watch(self, ids: Collection[str]) -> None:
        """Remember whom we are to remember."""
        self.watched = set(ids)

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return what is listed."""
        await self._answer("markets")
        rows = ((instrument(venue=self.name, id=one), one in self.closed) for one in self.listed)
        return tuple(Listing(instrument=row, dropped="not trading" if is_closed else "") for row, is_closed in rows)

    async def measure_clock(self) -> ClockOffset:
        """Return a clock 7 ms ahead."""
        await self._answer("clock")
        return ClockOffset(offset_ms=7.0, round_trip_ms=2.0)

    async def fetch_quotes(self) -> list[Quotes]:
        """Return quotes of what is quoted, listed or not."""
        await self._answer("quotes")
        now_ms = self._now_ms()
        bulk: dict[str, Any] = {"venue": self.name, "ids": tuple(self.quoted), "received_ms": now_ms}
        return [quotes(now_ms - self.quotes_age_ms, **bulk, mark_price=100.0, volume_usdt_24h=5e6)]

    async def fetch_prices(self) -> list[Quotes]:
        """Return the same."""
        return await self.fetch_quotes()

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return a book; it alone draws on the budget."""
        assert self.budget.take(self.candidate_cost, self._now_ms()) == 0
        try:
            await self._answer("book", instrument_id)
        finally:
            self.budget.done(self.candidate_cost, self._now_ms())
        return order_book(venue=self.name, id=instrument_id, exchange_ms=self._now_ms())

    async def fetch_trades(self, instrument_id: str) -> Trades | None:
        """Return no prints."""
        await self._answer("trades", instrument_id)
        return trades(venue=self.name, id=instrument_id, exchange_ms=self._now_ms())

    async def fetch_open_interest(self, instrument_id: str) -> OpenInterest | None:
        """Return none: it comes with the quotes."""
        await self._answer("open interest", instrument_id)
        return None

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int) -> Candles | None:
        """Return what `fetch_candles` does."""
        return await self.fetch_candles(instrument_id, since_ms)

    async def fetch_candles(
        self,
        instrument_id: str,
        since_ms: int,  # noqa: ARG002 - of the Protocol
        /,
        interval_s: int = 60,  # noqa: ARG002
    ) -> Candles | None:
        """Return none."""
        await self._answer("candles", instrument_id)
        return None

    async def fetch_open_interest_history(self, instrument_id: str) -> tuple[OpenInterest, ...]:
        """Return one point."""
        await self._answer("history", instrument_id)
        return (open_interest(venue=self.name, id=instrument_id, is_live=False),)

    async def _answer(self, what: str, instrument_id: str = "") -> None:
        self.calls.append((what, instrument_id))
        for key in (what, instrument_id):
            if key in self.hangs:
                await self.hangs[key].wait()
            if key in self.errors:
                raise self.errors[key]
