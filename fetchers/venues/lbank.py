"""LBank perpetuals (SwapU): one bulk call, and books; no best quotes in bulk, no prints, no open interest, no history.

LBank publishes no limit for these calls (its spot documentation has 200 in 10 s), so ours starts low and widens while
nobody complains. Errors come with HTTP 200. Quantities are in base coin. Books say no time, so they are as old as their
arrival.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from features.backoff import backoff
from features.facts.market import OrderBook, Quotes, read_only
from fetchers.errors import BadPayload, RateLimited, UnknownSymbol
from fetchers.listing import MARKETS_DEADLINE_S, ClockOffset, Listing
from fetchers.parsing.build_records import Arrival, bulk, newest_change_ms, order_book
from fetchers.parsing.market_lists import CcxtVenue, Market, default_url, instrument, listed, parse_markets
from fetchers.parsing.payload import column, error_code, member, time_ms
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply, words
from fetchers.transport.pools import HEADROOM, Widening
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.venues.base import RestVenue

BOOK_LEVELS = 50  #: a side
NAME = "lbank"
HTTP = "requests"
FIRST_REQUESTS, MOST_REQUESTS, REQUESTS_WINDOW_MS = 25, 100, 5_000  # 5 a second, widening to the spot limit's 20
ONE = {HTTP: 1.0}

MARKETS = "/cfd/openApi/v1/pub/instrument"
CLOCK = "/cfd/openApi/v1/pub/getTime"
MARKET_DATA = "/cfd/openApi/v1/pub/marketData"
DEPTH = "/cfd/openApi/v1/pub/marketOrder"
GROUP = {"productGroup": "SwapU"}
SECONDS_PER_HOUR = 3600.0
WORD, STOCK_NAME = re.compile(r"\w+"), re.compile(r"\w+STOCK")
METALS_AND_OIL = ("XAU", "XAG", "XPT", "XPD", "XTI", "XBR")  # codes that no coin has

FIRST_HOLD_MS, LONGEST_HOLD_MS = 10_000, 600_000
OK, REFUSED, TOO_FREQUENT, UNKNOWN_CONTRACT = 200, (403, 429), (183, 10004), 20156

CCXT = CcxtVenue(id=NAME, ccxt_class="lbank", host=("contract",), reply=lambda _, rows: {"data": rows})


def listing(market: Market) -> Listing:
    """Return a market as an instrument, or why it is left out; people know it by its alias (EDGEX as EDGE)."""
    row = market["info"]
    alias, base = str(row.get("symbolAlias") or ""), market["baseId"]
    names = WORD.findall(alias)  # GOLD(XAU) is GOLD and XAU
    shown = instrument(
        NAME,
        market,
        base=alias if len(names) == 1 else "",
        other_names=(base, *names, *(name.removesuffix("STOCK") for name in (base, *names))),
        publishes_trades=False,
        publishes_open_interest=False,
    )
    # it marks next to nothing: what keeps trading hours, and shares by their names
    keeps_hours = str(row.get("needSuspend", 0)) == "1"
    is_other = keeps_hours or any(STOCK_NAME.fullmatch(name) or name in METALS_AND_OIL for name in (base, *names))
    return listed(shown, _why_not(market), is_crypto=False if is_other else None)


def _why_not(market: Market) -> str:
    row = market["info"]
    if not row["priceCurrency"] == row["clearCurrency"] == "USDT":
        return "not USDT"
    return ""


def parse_market_data(payload: Any, arrival: Arrival) -> Quotes:
    """Return marks, funding and 24 h figures, as old as the newest row: lastTime is its last trade's, in seconds."""
    call = "lbank marketData"
    data = member(payload, "data", list, call)
    quotes = bulk(
        data,
        call,
        arrival,
        newest_change_ms(data, "lastTime", call, arrival, unit_ms=1000.0),
        settles_at="nextFeeTime",
        mark_price="markedPrice",
        index_price="underlyingPrice",
        funding_rate="fundingRate",
        funding_interval_h="positionFeeTime",
        volume_base_24h="volume",
        volume_usdt_24h="turnover",
    )
    assert quotes.funding_interval_h is not None
    return replace(quotes, funding_interval_h=read_only(quotes.funding_interval_h / SECONDS_PER_HOUR, np.float64))


def parse_order_book(payload: Any, instrument_id: str, arrival: Arrival) -> OrderBook:
    """Return a book, which has neither time nor number."""
    call = f"lbank marketOrder {instrument_id}"
    data = member(payload, "data", dict, call)
    return order_book(
        call,
        (NAME, instrument_id),
        bids=_side(data, "bids", call),
        asks=_side(data, "asks", call),
        arrival=arrival,
        venue_ms=None,
        sequence=None,
        levels_asked=BOOK_LEVELS,
    )


def _side(data: Mapping[str, Any], side: str, call: str) -> Any:
    levels = member(data, side, list, call)
    rows = [level if type(level) is dict else {} for level in levels]
    return np.column_stack([column(rows, name) for name in ("price", "volume")])


def parse_clock(payload: Any) -> float:
    """Return the venue's time [epoch ms]."""
    return time_ms(payload, "data", "lbank getTime")


def raise_for_reply(reply: Reply, complaints: int = 0) -> None:
    """Raise what LBank means by a reply that is no answer, having complained so many times running before this one."""
    code = error_code(reply.json, "error_code")
    what = f"lbank {reply.path}: HTTP {reply.status}, code {code}, {words(reply, 'msg')[:240]!r}"
    if code in TOO_FREQUENT or reply.status in REFUSED:
        hold_ms = backoff(complaints, first=FIRST_HOLD_MS, longest=LONGEST_HOLD_MS)
        raise RateLimited(what, until_ms=reply.received_ms + round(hold_ms))
    if code == UNKNOWN_CONTRACT:
        raise UnknownSymbol(what)
    if reply.status == OK and (code != 0 or (isinstance(reply.json, dict) and reply.json.get("success") is False)):
        raise BadPayload(what)


class Lbank(RestVenue):
    """LBank's perpetuals as a `Venue`."""

    name = NAME

    def __init__(
        self,
        base_url: str | None,
        now_ms: Callable[[], int],
        headroom: float = HEADROOM,
        route: Route = ANY_ROUTE,
    ) -> None:
        budget = RateBudget({HTTP: Widening(FIRST_REQUESTS, MOST_REQUESTS, REQUESTS_WINDOW_MS)}, headroom=headroom)
        super().__init__(
            base_url=base_url or default_url(CCXT),
            budget=budget,
            kept_for_quotes=ONE,
            raise_for_reply=self._raise_for_reply,
            now_ms=now_ms,
            route=route,
        )
        self.candidate_cost: Mapping[str, float] = ONE  # the book is all there is
        self.trades_cost: Mapping[str, float] = {}
        self.open_interest_cost: Mapping[str, float] = {}
        self.history_cost: Mapping[str, float] = {}
        self.has_whole_history = False
        self._complaints = 0  # running, of going too fast

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of the instrument list."""
        reply = await self._client.get(MARKETS, GROUP, cost=ONE, is_apart=True, deadline_s=MARKETS_DEADLINE_S)
        return await parse_markets(CCXT, member(reply.json, "data", list, "lbank instrument"), listing)

    async def measure_clock(self) -> ClockOffset:
        """Ask for the time and remember the offset."""
        reply = await self._client.get(CLOCK, is_apart=True, cost=ONE)
        return self._note_clock(reply, parse_clock(reply.json))

    async def fetch_quotes(self) -> list[Quotes]:
        """Return everything that comes in bulk."""
        reply = await self._client.get(MARKET_DATA, GROUP, cost=ONE, is_bulk=True)
        return [parse_market_data(reply.json, self._arrival(reply))]

    async def fetch_prices(self) -> list[Quotes]:
        """Return the best prices alone."""
        return await self.fetch_quotes()

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return the book."""
        reply = await self._client.get(DEPTH, {"symbol": instrument_id, "depth": BOOK_LEVELS}, cost=ONE)
        return parse_order_book(reply.json, instrument_id, self._arrival(reply))

    def _raise_for_reply(self, reply: Reply) -> None:
        try:
            raise_for_reply(reply, self._complaints)
        except RateLimited:
            self._complaints += 1
            raise
        self._complaints = 0


VENUE = Lbank
