"""Okto, a venue that does not exist: goes to fetchers/venues/okto.py of a copy of the code."""

from collections.abc import Callable, Mapping
from typing import Any

from features.facts.market import Instrument, OrderBook, Quotes, Trades
from fetchers.errors import RateLimited, UnknownSymbol
from fetchers.listing import ClockOffset, Listing
from fetchers.parsing.build_records import Arrival, bulk, order_book
from fetchers.parsing.new_trades import NewTrades, PrintFormat, SeenPrints, find_new_trades
from fetchers.parsing.payload import each, member, number, objects, time_ms, usable, whole_number
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply
from fetchers.transport.pools import HEADROOM, Sliding
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.universe import strip_multiplier
from fetchers.venues.base import RestVenue

NAME = "okto"
ONE = {"requests": 1.0}
MOST = 100  # levels a side, and prints
PRINT = PrintFormat(time="at", price="p", quantity="q", side="sold", is_taker_sell={True: True, False: False})


def listing(row: Mapping[str, Any]) -> Listing:
    """Return a row of the list as an instrument."""
    coin, multiplier = strip_multiplier(row["base"])
    tick = number(row, "tick", "okto list")
    shown = Instrument(
        venue=NAME,
        id=row["symbol"],
        base=row["base"],
        coin=coin,
        tick_size=tick,
        multiplier=multiplier,
        publishes_open_interest=False,
    )
    return Listing(instrument=shown, dropped="" if row["open"] else "not trading", is_crypto=True)


def parse_quotes(payload: Any, arrival: Arrival) -> Quotes:
    """Return everything that comes in bulk."""
    call = "okto quotes"
    return bulk(
        member(payload, "rows", list, call),
        call,
        arrival,
        time_ms(payload, "at", call),
        bid_price="bid",
        ask_price="ask",
        mark_price="mark",
        index_price="index",
        funding_rate="funding",
        funding_interval_h="hours",
        volume_base_24h="base",
        volume_usdt_24h="usdt",
    )


def parse_order_book(payload: Any, instrument_id: str, arrival: Arrival) -> OrderBook:
    """Return a book."""
    call = f"okto book {instrument_id}"
    return order_book(
        call,
        (NAME, instrument_id),
        bids=usable(member(payload, "bids", list, call), 2, call, "bids"),
        asks=usable(member(payload, "asks", list, call), 2, call, "asks"),
        arrival=arrival,
        venue_ms=time_ms(payload, "at", call),
        sequence=whole_number(payload, "n"),
        levels_asked=MOST,
    )


def parse_trades(payload: Any, instrument_id: str, before: SeenPrints | None, arrival: Arrival) -> NewTrades:
    """Return the prints that are new."""
    call = f"okto prints {instrument_id}"
    rows = objects(member(payload, "rows", list, call), call)
    return find_new_trades(
        call,
        (NAME, instrument_id),
        rows,
        each(rows, "id", int, call),
        PRINT,
        before,
        is_full=len(rows) >= MOST,
        exchange_ms=arrival.received_ms,
        arrival=arrival,
    )


def raise_for_reply(reply: Reply) -> None:
    """Raise what Okto means by a reply that is no answer."""
    if reply.status == 429:
        raise RateLimited(f"okto {reply.path}: too many", until_ms=reply.received_ms + 10_000)
    if reply.status == 404:
        raise UnknownSymbol(f"okto {reply.path}: unknown")


class Okto(RestVenue):
    """Okto as a `Venue`."""

    name = NAME

    def __init__(
        self,
        base_url: str | None,
        now_ms: Callable[[], int],
        headroom: float = HEADROOM,
        route: Route = ANY_ROUTE,
    ) -> None:
        super().__init__(
            base_url=base_url or "https://api.okto.example",
            budget=RateBudget({"requests": Sliding(100, 5_000)}, headroom=headroom),
            kept_for_quotes=ONE,
            raise_for_reply=raise_for_reply,
            now_ms=now_ms,
            route=route,
        )
        self.candidate_cost: Mapping[str, float] = {"requests": 2}
        self.history_cost: Mapping[str, float] = {}
        self.has_whole_history = False

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of the list."""
        reply = await self._client.get("/list", cost=ONE, is_apart=True)
        return tuple(map(listing, objects(member(reply.json, "rows", list, "okto list"), "okto list")))

    async def measure_clock(self) -> ClockOffset:
        """Ask for the time and remember the offset."""
        reply = await self._client.get("/time", cost=ONE, is_apart=True)
        return self._note_clock(reply, time_ms(reply.json, "at", "okto time"))

    async def fetch_quotes(self) -> list[Quotes]:
        """Return everything that comes in bulk."""
        reply = await self._client.get("/quotes", cost=ONE, is_bulk=True)
        return [parse_quotes(reply.json, self._arrival(reply))]

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return the book."""
        reply = await self._client.get(f"/book/{instrument_id}", cost=ONE)
        return self._refuse_older(parse_order_book(reply.json, instrument_id, self._arrival(reply)))

    async def fetch_trades(self, instrument_id: str) -> Trades:
        """Return the prints since the last call."""

        async def fetch(_: int, before: SeenPrints | None) -> NewTrades:
            reply = await self._client.get(f"/prints/{instrument_id}", cost=ONE)
            return parse_trades(reply.json, instrument_id, before, self._arrival(reply))

        return await self._new_trades(instrument_id, fetch, few=MOST, most=MOST)


VENUE = Okto
