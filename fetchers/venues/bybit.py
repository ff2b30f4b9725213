"""Bybit linear perpetuals.

One bulk call has everything but books and prints: quotes, marks, funding, open interest and 24 h figures. Limit: 600
requests in 5 s for all public calls of one address, from Bybit's v5 documentation. Quantities are in base coin.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import numpy as np

from features.facts.market import Candles, OpenInterest, OrderBook, Quotes, Trades, read_only
from fetchers.errors import BadPayload, RateLimited, UnknownSymbol, Unreachable
from fetchers.listing import MARKETS_DEADLINE_S, ClockOffset, Listing
from fetchers.parsing.build_records import (
    MINUTE_MS,
    Arrival,
    bulk,
    candle_page,
    candles,
    open_interest_history,
    order_book,
)
from fetchers.parsing.market_lists import CcxtVenue, Market, default_url, instrument, listed, parse_markets
from fetchers.parsing.new_trades import NewTrades, PrintFormat, SeenPrints, find_new_trades
from fetchers.parsing.payload import bad, error_code, member, objects, time_ms, usable, whole_number
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply, words
from fetchers.transport.pools import HEADROOM, Sliding
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.venues.base import RestVenue

BOOK_LEVELS = 200  #: a side; all there are weigh no more than one
NAME = "bybit"
HTTP = "requests"
REQUESTS, REQUESTS_WINDOW_MS = 600, 5_000
ONE = {HTTP: 1.0}

MARKETS = "/v5/market/instruments-info"
CLOCK = "/v5/market/time"
TICKERS = "/v5/market/tickers"
DEPTH = "/v5/market/orderbook"
TRADES = "/v5/market/recent-trade"
OPEN_INTEREST_HISTORY = "/v5/market/open-interest"
CANDLES = "/v5/market/kline"
MARK_CANDLES = "/v5/market/mark-price-kline"

FEW_PRINTS, MOST_PRINTS = 200, 1000
SIDES = 2  #: Bybit counts the open interest of both; others, and its own singleOpenInterest, that of one
PRINT = PrintFormat(
    time="time", price="price", quantity="size", side="side", is_taker_sell={"Sell": True, "Buy": False}
)
MOST_CANDLES = 1000
HISTORY_POINTS = 7  # half an hour of 5-minute points, both ends
CRYPTO = ("", "innovation")  # symbolType; shares, funds and commodities have others

IP_HOLD_MS, VISITS_HOLD_MS, COUNTRY_HOLD_MS = 600_000, 10_000, 3_600_000
REFUSED, IP_LIMIT, COUNTRY = (403, 429), 10018, (10009, 10024)
TOO_MANY_VISITS, BUSY, PARAMETERS, UNKNOWN_SYMBOL = 10006, (429, 10000, 10016), 10001, 10029

CCXT = CcxtVenue(
    id=NAME,
    ccxt_class="bybit",
    host=("public",),
    reply=lambda url, rows: {"result": {"category": "linear", "list": [] if "status=PreLaunch" in url else rows}},
    options={"fetchMarkets": {"types": ["linear"]}},
)


def listing(market: Market) -> Listing:
    """Return a market as an instrument, or why it is left out."""
    kind = market["info"].get("symbolType")
    return listed(
        instrument(NAME, market, has_bulk_open_interest=True),
        _why_not(market),
        is_crypto=None if kind is None else kind in CRYPTO,
    )


def _why_not(market: Market) -> str:
    row = market["info"]
    if not market["quote"] == market["settle"] == "USDT":
        return "not USDT"
    if not market["swap"]:
        return "delivery"
    if row["status"] == "PreLaunch" or row.get("isPreListing"):
        return "pre-launch"
    if not market["active"]:
        return "not trading"
    return "" if str(row.get("deliveryTime", "0")) in ("", "0") else "delisting"  # a perpetual's is its last day


def parse_tickers(payload: Any, arrival: Arrival) -> Quotes:
    """Return everything that comes in bulk, as old as the reply."""
    call = "bybit tickers"
    rows, venue_ms = _rows(payload, call)
    quotes = bulk(
        rows,
        call,
        arrival,
        venue_ms,
        settles_at="nextFundingTime",
        mark_price="markPrice",
        index_price="indexPrice",
        bid_price="bid1Price",
        ask_price="ask1Price",
        funding_rate="fundingRate",
        funding_interval_h="fundingIntervalHour",
        open_interest_base="openInterest",
        volume_base_24h="volume24h",
        volume_usdt_24h="turnover24h",
    )
    both = quotes.open_interest_base
    assert both is not None
    return replace(quotes, open_interest_base=read_only(both / SIDES, np.float64))


def parse_order_book(payload: Any, instrument_id: str, arrival: Arrival) -> OrderBook:
    """Return a book; ts is when it was made."""
    call = f"bybit orderbook {instrument_id}"
    result = member(payload, "result", dict, call)
    return order_book(
        call,
        (NAME, instrument_id),
        bids=usable(result.get("b"), 2, call, "b"),
        asks=usable(result.get("a"), 2, call, "a"),
        arrival=arrival,
        venue_ms=time_ms(result, "ts", call),
        sequence=whole_number(result, "u"),
        levels_asked=BOOK_LEVELS,
    )


def parse_trades(
    payload: Any, instrument_id: str, asked: int, before: SeenPrints | None, arrival: Arrival
) -> NewTrades:
    """Return the prints that are new; block trades are agreed off the book and left out."""
    call = f"bybit recent-trade {instrument_id}"
    newest_first, venue_ms = _rows(payload, call)
    rows = [row for row in reversed(objects(newest_first, call)) if row.get("isBlockTrade") is not True]
    by_id = {hash(row["execId"]): row for row in rows if type(row.get("execId")) is str}
    if rows and not by_id:
        raise bad(call, "execId", rows[0].get("execId"), "a str")
    return find_new_trades(
        call,
        (NAME, instrument_id),
        list(by_id.values()),
        list(by_id),
        PRINT,
        before,
        is_full=len(newest_first) >= asked,
        exchange_ms=arrival.ours(venue_ms),
        arrival=arrival,
    )


def parse_open_interest_history(payload: Any, instrument_id: str, arrival: Arrival) -> tuple[OpenInterest, ...]:
    """Return 5-minute points, oldest first."""
    call = f"bybit open-interest {instrument_id}"
    rows, _ = _rows(payload, call)
    points = open_interest_history(call, (NAME, instrument_id), objects(rows, call), "openInterest", arrival)
    return tuple(replace(point, open_interest_base=point.open_interest_base / SIDES) for point in points)


def parse_candles(payload: Any, instrument_id: str, arrival: Arrival, interval_s: int = 60) -> Candles:
    """Return candles with their volume, the last of which may still be open."""
    call = f"bybit kline {instrument_id}"
    rows, _ = _rows(payload, call)
    return candles(call, (NAME, instrument_id), usable(rows, 6, call, "list"), arrival, interval_s)


def parse_mark_candles(payload: Any, instrument_id: str, arrival: Arrival) -> Candles:
    """Return 1-minute candles of the mark price, which have no volume."""
    call = f"bybit mark-price-kline {instrument_id}"
    rows, _ = _rows(payload, call)
    return candles(call, (NAME, instrument_id), usable(rows, 5, call, "list"), arrival)


def parse_clock(payload: Any) -> float:
    """Return the venue's time [epoch ms]."""
    return time_ms(payload, "time", "bybit time")


def parse_market_page(payload: Any) -> tuple[list[Any], str]:
    """Return the rows of one page of the market list, and the cursor of the next, "" after the last.

    It comes percent-encoded and is to go back so: decoded here, for the client encodes it.
    """
    rows, _ = _rows(payload, "bybit instruments-info")
    return rows, unquote(str(payload["result"].get("nextPageCursor") or ""))


def _rows(payload: Any, call: str) -> tuple[list[Any], float]:
    """Return the list inside the envelope, and the time on it."""
    rows = member(member(payload, "result", dict, call), "list", list, call)
    return rows, time_ms(payload, "time", call)


def raise_for_reply(reply: Reply) -> None:
    """Raise what Bybit means by a reply that is no answer; what it does not know is left to the client."""
    code = error_code(reply.json, "retCode")
    text = words(reply, "retMsg")
    what = f"bybit {reply.path}: HTTP {reply.status}, code {code}, {text[:240]!r}"
    if reply.status in REFUSED or code == IP_LIMIT:
        raise RateLimited(what, until_ms=reply.received_ms + IP_HOLD_MS)
    if code in COUNTRY:
        raise RateLimited(what, until_ms=reply.received_ms + COUNTRY_HOLD_MS)
    if code == TOO_MANY_VISITS:
        raise RateLimited(what, until_ms=reply.received_ms + VISITS_HOLD_MS)
    if code in BUSY:
        raise Unreachable(what)
    if code == UNKNOWN_SYMBOL or (code == PARAMETERS and "symbol" in text.lower()):
        raise UnknownSymbol(what)
    if code != 0:
        raise BadPayload(what)


class Bybit(RestVenue):
    """Bybit linear as a `Venue`."""

    name = NAME
    bulk_columns = ("bid_price", "ask_price", "open_interest_base")

    def __init__(
        self,
        base_url: str | None,
        now_ms: Callable[[], int],
        headroom: float = HEADROOM,
        route: Route = ANY_ROUTE,
    ) -> None:
        budget = RateBudget({HTTP: Sliding(REQUESTS, REQUESTS_WINDOW_MS)}, headroom=headroom)
        super().__init__(
            base_url=base_url or default_url(CCXT),
            budget=budget,
            kept_for_quotes=ONE,
            raise_for_reply=raise_for_reply,
            now_ms=now_ms,
            route=route,
        )
        self.candidate_cost: Mapping[str, float] = {HTTP: 2}  # book and prints
        self.trades_cost: Mapping[str, float] = ONE
        self.open_interest_cost: Mapping[str, float] = {}
        self.history_cost: Mapping[str, float] = {HTTP: 2}  # candles, open interest
        self.candle_cost = {HTTP: 1}
        self.candle_pause_s = 0.025  # half of what it may
        self.has_whole_history = True

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of instruments-info: what trades, and what is listed ahead of its launch."""
        rows = await self._market_rows({})
        rows += await self._optional("list of what is to be launched", self._market_rows({"status": "PreLaunch"})) or []
        return await parse_markets(CCXT, rows, listing)

    async def _market_rows(self, params: dict[str, str]) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        cursors: set[str] = set()
        symbols: set[object] = set()
        while cursor not in cursors:
            cursors.add(cursor)
            paging = {"cursor": cursor} if cursor else {}
            query: dict[str, str | int] = {"category": "linear", "limit": 1000, **params, **paging}
            reply = await self._client.get(MARKETS, query, cost=ONE, is_apart=True, deadline_s=MARKETS_DEADLINE_S)
            page, cursor = parse_market_page(reply.json)
            news = {row.get("symbol") for row in page if isinstance(row, dict)} - symbols
            rows += page
            symbols |= news
            if not (news and cursor):  # a page of nothing new: the cursor leads round in a circle
                break
        return rows

    async def measure_clock(self) -> ClockOffset:
        """Ask for the time and remember the offset."""
        reply = await self._client.get(CLOCK, is_apart=True, cost=ONE)
        return self._note_clock(reply, parse_clock(reply.json))

    async def fetch_quotes(self) -> list[Quotes]:
        """Return everything that comes in bulk."""
        reply = await self._client.get(TICKERS, {"category": "linear"}, cost=ONE, is_bulk=True)
        return [parse_tickers(reply.json, self._arrival(reply))]

    async def fetch_prices(self) -> list[Quotes]:
        """Return the best prices alone."""
        return await self.fetch_quotes()

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return the book."""
        reply = await self._get(DEPTH, instrument_id, limit=BOOK_LEVELS)
        return self._refuse_older(parse_order_book(reply.json, instrument_id, self._arrival(reply)))

    async def fetch_trades(self, instrument_id: str) -> Trades:
        """Return the prints since the last call."""

        async def fetch(limit: int, before: SeenPrints | None) -> NewTrades:
            reply = await self._get(TRADES, instrument_id, limit=limit)
            return parse_trades(reply.json, instrument_id, limit, before, self._arrival(reply))

        return await self._new_trades(instrument_id, fetch, few=FEW_PRINTS, most=MOST_PRINTS)

    async def fetch_candles(self, instrument_id: str, since_ms: int, /, interval_s: int = 60) -> Candles:
        """Return candles from that of `since_ms` on, the first 1,000 at most."""
        start_ms, wanted = candle_page(since_ms, self._venue_ms(), MOST_CANDLES, interval_s)
        # of a longer range Bybit gives the newest: the end says which are meant
        end_ms = start_ms + (wanted - 1) * 1000 * interval_s
        reply = await self._get(
            CANDLES, instrument_id, interval=interval_s // 60, start=start_ms, end=end_ms, limit=wanted
        )
        return parse_candles(reply.json, instrument_id, self._arrival(reply), interval_s)

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int) -> Candles:
        """Return 1-minute candles of the mark price from `since_ms` on."""
        wanted = min(self._venue_ms() // MINUTE_MS - since_ms // MINUTE_MS + 1, MOST_CANDLES)
        reply = await self._get(MARK_CANDLES, instrument_id, interval=1, limit=wanted)
        return parse_mark_candles(reply.json, instrument_id, self._arrival(reply))

    async def fetch_open_interest_history(self, instrument_id: str) -> tuple[OpenInterest, ...]:
        """Return the last half hour of 5-minute points."""
        reply = await self._get(OPEN_INTEREST_HISTORY, instrument_id, intervalTime="5min", limit=HISTORY_POINTS)
        return parse_open_interest_history(reply.json, instrument_id, self._arrival(reply))

    async def _get(self, path: str, instrument_id: str, **params: str | int) -> Reply:
        return await self._client.get(path, {"category": "linear", "symbol": instrument_id, **params}, cost=ONE)


VENUE = Bybit
