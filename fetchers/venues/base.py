"""Shared by all venues: one client, a measured clock, prints without gaps, books that never step back."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from loguru import logger

from features.facts.market import Candles, OpenInterest, OrderBook, Quotes, Trades
from fetchers.errors import BadPayload, FetchError
from fetchers.listing import ClockOffset
from fetchers.parsing.build_records import Arrival
from fetchers.parsing.new_trades import NewTrades, SeenPrints
from fetchers.parsing.tallies import Tallies
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply, VenueClient
from fetchers.transport.route import Route

Result = TypeVar("Result")

RECENT_REQUEST_MS = 120_000  #: after a longer pause a short reply would hardly reach back


class RestVenue:
    """The part of a `Venue` that does not depend on its wire format; a call that is not overridden has no answer."""

    name: str
    bulk_columns: Collection[str] = ()

    def __init__(
        self,
        *,
        base_url: str,
        budget: RateBudget,
        kept_for_quotes: Mapping[str, float],
        raise_for_reply: Callable[[Reply], None],
        now_ms: Callable[[], int],
        route: Route,
    ) -> None:
        self.budget = budget
        self.kept_for_quotes = kept_for_quotes
        self.candle_cost: Mapping[str, float] = {}
        self.candle_pause_s = 1.0
        self._client = VenueClient(
            venue=self.name,
            base_url=base_url,
            budget=budget,
            now_ms=now_ms,
            raise_for_reply=raise_for_reply,
            route=route,
            kept_free=kept_for_quotes,
        )
        self.tallies = Tallies()
        self._now_ms = now_ms
        self._clock_offset_ms = 0.0
        self._failing: set[str] = set()
        self._seen: dict[str, SeenPrints] = {}
        self._newest_book: dict[str, tuple[int, int]] = {}  # sequence, exchange_ms

    def set_deadline(self, seconds: float) -> None:
        """Give every request so long from its sending."""
        self._client.deadline_s = seconds

    def observe(self, see: Callable[[Reply], None]) -> None:
        """Show every reply from here on, before it is checked."""
        self._client.observe = see

    async def ask(self, path: str, params: Mapping[str, str | int], *, cost: Mapping[str, float]) -> Reply:
        """Make a call that the bot does not make otherwise."""
        return await self._client.get(path, params, cost=cost)

    async def open(self) -> None:
        """Create the session; nothing is sent yet."""
        await self._client.open()

    async def close(self) -> None:
        """Close the session and its sockets."""
        await self._client.close()

    def watch(self, ids: Collection[str]) -> None:
        """Forget what was remembered of any other instrument."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in ids}
        self._newest_book = {key: newest for key, newest in self._newest_book.items() if key in ids}

    async def fetch_trades(self, _: str, /) -> Trades | None:
        """Return None: the venue publishes none."""
        return None

    async def fetch_open_interest(self, _: str, /) -> OpenInterest | None:
        """Return None: it comes with the quotes, or not at all."""
        return None

    async def fetch_candles(self, _: str, __: int, /, interval_s: int = 60) -> Candles | None:  # noqa: ARG002
        """Return None: the venue publishes none."""
        return None

    async def fetch_mark_candles(self, _: str, __: int, /) -> Candles | None:
        """Return None: the venue publishes none."""
        return None

    async def fetch_open_interest_history(self, _: str, /) -> tuple[OpenInterest, ...]:
        """Return (): the venue publishes none."""
        return ()

    def _venue_ms(self) -> int:
        """Return the venue's own time now, by which its candles are asked for."""
        return round(self._now_ms() + self._clock_offset_ms)

    def _arrival(self, reply: Reply) -> Arrival:
        return Arrival(received_ms=reply.received_ms, clock_offset_ms=self._clock_offset_ms, tallies=self.tallies)

    def _note_clock(self, reply: Reply, venue_ms: float) -> ClockOffset:
        """Store the venue's clock skew; assume that the request and the reply took equally long."""
        self._clock_offset_ms = venue_ms - (reply.sent_ms + reply.received_ms) / 2
        self.budget.set_clock_offset(self._clock_offset_ms)
        return ClockOffset(offset_ms=self._clock_offset_ms, round_trip_ms=reply.received_ms - reply.sent_ms)

    async def _optional(self, part: str, call: Awaitable[Result]) -> Result | None:
        """Await an optional call: None while it fails; log its first failure and its recovery."""
        try:
            result = await call
        except FetchError as error:
            if part not in self._failing:
                logger.warning("{}: no {} for now: {}", self.name, part, error)
            self._failing.add(part)
            return None
        if part in self._failing:
            logger.info("{}: {} are back", self.name, part)
        self._failing.discard(part)
        return result

    async def _gather_quotes(self, *calls: Awaitable[Quotes | None]) -> list[Quotes]:
        """Await bulk calls side by side; raise an error only when all have ended, so that none is left running."""
        results = await asyncio.gather(*calls, return_exceptions=True)
        quotes = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            if result is not None:
                quotes.append(result)
        return quotes

    async def _new_trades(
        self,
        instrument_id: str,
        fetch: Callable[[int, SeenPrints | None], Awaitable[NewTrades]],
        *,
        few: int,
        most: int,
    ) -> Trades:
        """Ask for a few prints, and for the most there are where those do not reach back to what was seen."""
        before = self._seen.get(instrument_id)
        is_recent = before is not None and self._now_ms() - before.asked_ms <= RECENT_REQUEST_MS
        found = await fetch(few if is_recent else most, before)
        if is_recent and not found.trades.continues and few < most:
            found = await fetch(most, before)
        self._seen[instrument_id] = found.seen
        return found.trades

    def _refuse_older(self, book: OrderBook) -> OrderBook:
        """Refuse a book older than the last one: replies come from caches and replicas that lag by themselves.

        A lower number with a later time is a venue that began to count anew.
        """
        sequence, exchange_ms = self._newest_book.get(book.id, (0, 0))
        if book.sequence is None:
            return book
        if book.sequence < sequence and book.exchange_ms <= exchange_ms:
            raise BadPayload(f"{self.name} book {book.id}: stepped back from {sequence} to {book.sequence}")
        self._newest_book[book.id] = (book.sequence, book.exchange_ms)
        return book
