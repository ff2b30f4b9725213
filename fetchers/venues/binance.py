"""Binance USD-M perpetuals.

Bulk: best bid and ask, mark and funding each time, 24 h figures once a minute. Per instrument: book, prints and live
open interest, which Binance has no bulk call for. Weights and limits: Binance's USD-M documentation, measured in 2026
against X-MBX-USED-WEIGHT-1M. Quantities are in base coin.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from features.facts.market import CANDLE_INTERVALS, Candles, OpenInterest, OrderBook, Quotes, Trades, read_only
from fetchers.errors import RateLimited, UnknownSymbol
from fetchers.listing import MARKETS_DEADLINE_S, ClockOffset, Listing
from fetchers.parsing.build_records import (
    MINUTE_MS,
    Arrival,
    bulk,
    candle_page,
    candles,
    newest_change_ms,
    open_interest_history,
    order_book,
)
from fetchers.parsing.market_lists import CcxtVenue, Market, default_url, instrument, listed, parse_markets
from fetchers.parsing.new_trades import NewTrades, PrintFormat, SeenPrints, find_new_trades
from fetchers.parsing.payload import bad, error_code, member, number, objects, time_ms, usable, whole_number
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import REFUSED_BY_EDGE, Reply, words
from fetchers.transport.pools import HEADROOM, ClockMinute, Sliding
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.venues.base import RestVenue

BOOK_LEVELS = 50  #: a side; a hundred would weigh two and a half times as much
NAME = "binance"
WEIGHT, FUNDING_INFO, STATISTICS = "weight", "funding info", "statistics"
WEIGHT_PER_MINUTE = 2400
FUNDING_INFO_LIMIT, STATISTICS_LIMIT, LIMIT_WINDOW_MS = 500, 1000, 300_000

MARKETS = "/fapi/v1/exchangeInfo"
CLOCK = "/fapi/v1/time"
BOOK_TICKERS = "/fapi/v1/ticker/bookTicker"
PREMIUM_INDEX = "/fapi/v1/premiumIndex"
DAY_TICKERS = "/fapi/v1/ticker/24hr"
INTERVALS = "/fapi/v1/fundingInfo"
DEPTH = "/fapi/v1/depth"
TRADES = "/fapi/v1/trades"
OPEN_INTEREST = "/fapi/v1/openInterest"
OPEN_INTEREST_HISTORY = "/futures/data/openInterestHist"
CANDLES = "/fapi/v1/klines"
MARK_CANDLES = "/fapi/v1/markPriceKlines"

DAY_TICKERS_EVERY_MS, RETRY_AFTER_MS = 60_000, 15_000
FEW_PRINTS, MOST_PRINTS = 200, 1000  # one weight at any number, but a thousand cost a millisecond to parse
PRINT = PrintFormat(
    time="time",
    price="price",
    quantity="qty",
    side="isBuyerMaker",
    is_taker_sell={True: True, False: False},  # a buyer who was the maker was sold to
)
CANDLE_NAMES = {seconds: name for name, seconds in CANDLE_INTERVALS.items()}
CANDLE_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))  # up to so many candles
HISTORY_POINTS = 7  # half an hour of 5-minute points, both ends
USUAL_INTERVAL_H = 8.0  # by its documents fundingInfo lists only those that were ever changed
NEVER_DELIVERED_MS = 4_133_404_800_000  # a perpetual's delivery date, in 2100; any other is its last day

EDGE_HOLD_MS = 600_000  # 403 and 451 come from the edge and do not say for how long
SHORTEST_BAN_MS, LONGEST_BAN_MS = 120_000, 3 * 86_400_000
CLOCK_MARGIN_MS = 1_000
OK, BANNED, TOO_MANY_REQUESTS = 200, 418, 429
TOO_MUCH_WEIGHT = -1003
UNKNOWN_SYMBOLS = (-1121, -1122, -4108, -4141)  # the last two: settling, delivered or closed
BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")

CCXT = CcxtVenue(id=NAME, ccxt_class="binanceusdm", host=("fapiPublic",), reply=lambda _, rows: {"symbols": rows})


def listing(market: Market) -> Listing:
    """Return a market as an instrument, or why it is left out."""
    return listed(instrument(NAME, market), _why_not(market), is_crypto=_is_crypto(market["info"]))


def _is_crypto(row: Mapping[str, Any]) -> bool | None:
    contract, underlying = row.get("contractType"), row.get("underlyingType")
    if str(contract).startswith("TRADIFI"):  # also a share before its company goes public, PREMARKET
        return False
    if underlying == "COIN":
        return True
    # PREMARKET alone is a coin before its launch; every other type is a share, a fund, an index, a commodity
    return None if underlying in (None, "", "PREMARKET") else False


def _why_not(market: Market) -> str:
    row = market["info"]
    if not market["quote"] == market["settle"] == "USDT":
        return "not USDT"
    if not market["swap"]:
        return "delivery"
    if row["status"] == "PENDING_TRADING" or row.get("underlyingType") == "PREMARKET":
        return "pre-launch"
    if not market["active"]:
        return "not trading"
    return "" if row["deliveryDate"] == NEVER_DELIVERED_MS else "delisting"


def parse_book_tickers(payload: Any, arrival: Arrival) -> Quotes:
    """Return best bids and asks, as old as the newest: a row's time is when its best last changed."""
    call = "binance bookTicker"
    venue_ms = newest_change_ms(payload, "time", call, arrival)
    return bulk(payload, call, arrival, venue_ms, bid_price="bidPrice", ask_price="askPrice")


def parse_premium_index(payload: Any, intervals_h: Mapping[str, float] | None, arrival: Arrival) -> Quotes:
    """Return marks, indices and funding, at the intervals of `parse_intervals`; None: they are not known yet."""
    quotes = bulk(
        payload,
        "binance premiumIndex",
        arrival,
        "time",
        settles_at="nextFundingTime",
        mark_price="markPrice",
        index_price="indexPrice",
        funding_rate="lastFundingRate",
    )
    if intervals_h is None:
        return quotes
    hours = [intervals_h.get(key, USUAL_INTERVAL_H) for key in quotes.ids]
    return replace(quotes, funding_interval_h=read_only(hours, np.float64))


def parse_day_tickers(payload: Any, arrival: Arrival) -> Quotes:
    """Return 24 h volumes; closeTime is the last trade's, so they are as old as the reply."""
    call = "binance ticker/24hr"
    return bulk(payload, call, arrival, None, volume_usdt_24h="quoteVolume", volume_base_24h="volume")


def parse_intervals(payload: Any, arrival: Arrival) -> dict[str, float]:
    """Return the funding intervals [h] that are listed, NaN where a row has none that can be read."""
    quotes = bulk(payload, "binance fundingInfo", arrival, None, funding_interval_h="fundingIntervalHours")
    assert quotes.funding_interval_h is not None
    return dict(zip(quotes.ids, quotes.funding_interval_h.tolist(), strict=True))


def parse_order_book(payload: Any, instrument_id: str, arrival: Arrival) -> OrderBook:
    """Return a book; E is when the reply was made."""
    call = f"binance depth {instrument_id}"
    return order_book(
        call,
        (NAME, instrument_id),
        bids=usable(member(payload, "bids", list, call), 2, call, "bids"),
        asks=usable(member(payload, "asks", list, call), 2, call, "asks"),
        arrival=arrival,
        venue_ms=time_ms(payload, "E", call),
        sequence=whole_number(payload, "lastUpdateId"),
        levels_asked=BOOK_LEVELS,
    )


def parse_trades(
    payload: Any, instrument_id: str, asked: int, before: SeenPrints | None, arrival: Arrival
) -> NewTrades:
    """Return the prints that are new."""
    call = f"binance trades {instrument_id}"
    rows = objects(payload, call)
    by_id = {hash(row["id"]): row for row in rows if type(row.get("id")) is int}
    if rows and not by_id:
        raise bad(call, "id", rows[0].get("id"), "an int")
    return find_new_trades(
        call,
        (NAME, instrument_id),
        list(by_id.values()),
        list(by_id),
        PRINT,
        before,
        is_full=len(rows) >= asked,
        exchange_ms=arrival.received_ms,
        arrival=arrival,
    )


def parse_open_interest(payload: Any, instrument_id: str, arrival: Arrival) -> OpenInterest:
    """Return live open interest."""
    call = f"binance openInterest {instrument_id}"
    return OpenInterest(
        venue=NAME,
        id=instrument_id,
        open_interest_base=number(payload, "openInterest", call, least=0.0),
        exchange_ms=arrival.ours(time_ms(payload, "time", call)),
        received_ms=arrival.received_ms,
    )


def parse_open_interest_history(payload: Any, instrument_id: str, arrival: Arrival) -> tuple[OpenInterest, ...]:
    """Return 5-minute points, oldest first."""
    call = f"binance openInterestHist {instrument_id}"
    rows = objects(payload, call)
    return open_interest_history(call, (NAME, instrument_id), rows, "sumOpenInterest", arrival)


def parse_candles(payload: Any, instrument_id: str, arrival: Arrival, interval_s: int = 60) -> Candles:
    """Return candles with their volume, the last of which may still be open."""
    call = f"binance klines {instrument_id}"
    return candles(call, (NAME, instrument_id), usable(payload, 6, call, "the list"), arrival, interval_s)


def parse_mark_candles(payload: Any, instrument_id: str, arrival: Arrival) -> Candles:
    """Return 1-minute candles of the mark price, which have no volume."""
    call = f"binance markPriceKlines {instrument_id}"
    return candles(call, (NAME, instrument_id), usable(payload, 5, call, "the list"), arrival)


def parse_clock(payload: Any) -> float:
    """Return the venue's time [epoch ms]."""
    return time_ms(payload, "serverTime", "binance time")


def raise_for_reply(reply: Reply) -> None:
    """Raise what Binance means by a reply that is no answer; what it does not know is left to the client."""
    if reply.status == OK:
        return
    code = error_code(reply.json, "code")
    text = words(reply, "msg")
    what = f"binance {reply.path}: HTTP {reply.status}, code {code}, {text[:240]!r}"
    if reply.status in (BANNED, TOO_MANY_REQUESTS) or code == TOO_MUCH_WEIGHT:
        has_own_limit = reply.status == TOO_MANY_REQUESTS and reply.pools[0] in (FUNDING_INFO, STATISTICS)
        pool = reply.pools[0] if has_own_limit else None
        raise RateLimited(what, until_ms=_held_until_ms(reply, text), pool=pool)
    if reply.status in REFUSED_BY_EDGE:
        raise RateLimited(what, until_ms=reply.received_ms + EDGE_HOLD_MS)
    if code in UNKNOWN_SYMBOLS:
        raise UnknownSymbol(what)


def _held_until_ms(reply: Reply, text: str) -> int:
    now_ms = reply.received_ms
    retry_after = reply.headers.get("Retry-After", "")
    if banned := BANNED_UNTIL.search(text):
        until_ms = int(banned[1])
    elif retry_after.isdecimal():
        until_ms = now_ms + 1000 * int(retry_after)
    elif reply.status == BANNED:
        until_ms = now_ms + SHORTEST_BAN_MS
    else:
        until_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS + CLOCK_MARGIN_MS
    return min(until_ms, now_ms + LONGEST_BAN_MS)


class Binance(RestVenue):
    """Binance USD-M as a `Venue`."""

    name = NAME
    bulk_columns = ("bid_price", "ask_price")

    def __init__(
        self,
        base_url: str | None,
        now_ms: Callable[[], int],
        headroom: float = HEADROOM,
        route: Route = ANY_ROUTE,
    ) -> None:
        budget = RateBudget(
            {
                WEIGHT: ClockMinute(WEIGHT_PER_MINUTE),
                FUNDING_INFO: Sliding(FUNDING_INFO_LIMIT, LIMIT_WINDOW_MS),
                STATISTICS: Sliding(STATISTICS_LIMIT, LIMIT_WINDOW_MS),
            },
            headroom=headroom,
        )
        super().__init__(
            base_url=base_url or default_url(CCXT),
            budget=budget,
            # best bid and ask 5, mark and funding 10, 24 h figures 40; then three ticks more till the minute is over
            kept_for_quotes={WEIGHT: 100},
            raise_for_reply=self._raise_for_reply,
            now_ms=now_ms,
            route=route,
        )
        self.candidate_cost: Mapping[str, float] = {WEIGHT: 8}  # book 2, prints 5, open interest 1
        self.trades_cost: Mapping[str, float] = {WEIGHT: 5}
        self.open_interest_cost: Mapping[str, float] = {WEIGHT: 1}
        self.history_cost: Mapping[str, float] = {WEIGHT: 1, STATISTICS: 1}  # up to 99 candles, open interest
        self.candle_cost = {WEIGHT: 2}  # up to 499
        self.candle_pause_s = 0.25  # at most 480 of weight a minute
        self.has_whole_history = True
        self._intervals_h: dict[str, float] | None = None
        self._day_tickers_due_ms = 0

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of exchangeInfo, and remember the funding intervals."""
        await self._optional("funding intervals", self._learn_intervals())
        reply = await self._client.get(MARKETS, cost={WEIGHT: 1}, is_apart=True, deadline_s=MARKETS_DEADLINE_S)
        return await parse_markets(CCXT, member(reply.json, "symbols", list, "binance exchangeInfo"), listing)

    async def measure_clock(self) -> ClockOffset:
        """Ask for the time and remember the offset."""
        reply = await self._client.get(CLOCK, is_apart=True, cost={WEIGHT: 1})
        return self._note_clock(reply, parse_clock(reply.json))

    async def fetch_quotes(self) -> list[Quotes]:
        """Return prices and funding, and 24 h figures once a minute."""
        calls = [self._book_tickers(), self._optional("mark prices and funding", self._premium_index())]
        if self._intervals_h is None:
            calls.append(self._optional("funding intervals", self._learn_intervals()))
        if self._now_ms() >= self._day_tickers_due_ms:
            self._day_tickers_due_ms = self._now_ms() + RETRY_AFTER_MS
            calls.append(self._optional("24 h figures", self._day_tickers()))
        return await self._gather_quotes(*calls)

    async def fetch_prices(self) -> list[Quotes]:
        """Return the best prices alone."""
        return [await self._book_tickers()]

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return the book."""
        reply = await self._client.get(DEPTH, {"symbol": instrument_id, "limit": BOOK_LEVELS}, cost={WEIGHT: 2})
        return self._refuse_older(parse_order_book(reply.json, instrument_id, self._arrival(reply)))

    async def fetch_trades(self, instrument_id: str) -> Trades:
        """Return the prints since the last call."""

        async def fetch(limit: int, before: SeenPrints | None) -> NewTrades:
            reply = await self._client.get(TRADES, {"symbol": instrument_id, "limit": limit}, cost={WEIGHT: 5})
            return parse_trades(reply.json, instrument_id, limit, before, self._arrival(reply))

        return await self._new_trades(instrument_id, fetch, few=FEW_PRINTS, most=MOST_PRINTS)

    async def fetch_open_interest(self, instrument_id: str) -> OpenInterest:
        """Return live open interest."""
        reply = await self._client.get(OPEN_INTEREST, {"symbol": instrument_id}, cost={WEIGHT: 1})
        return parse_open_interest(reply.json, instrument_id, self._arrival(reply))

    async def fetch_candles(self, instrument_id: str, since_ms: int, /, interval_s: int = 60) -> Candles:
        """Return candles from that of `since_ms` on, the first 1,500 at most."""
        start_ms, wanted = candle_page(since_ms, self._venue_ms(), CANDLE_WEIGHTS[-1][0], interval_s)
        weight = next(weight for most, weight in CANDLE_WEIGHTS if wanted <= most)
        params: dict[str, str | int] = {
            "symbol": instrument_id,
            "interval": CANDLE_NAMES[interval_s],
            "startTime": start_ms,
            "limit": wanted,
        }
        reply = await self._client.get(CANDLES, params, cost={WEIGHT: weight})
        return parse_candles(reply.json, instrument_id, self._arrival(reply), interval_s)

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int) -> Candles:
        """Return 1-minute candles of the mark price from `since_ms` on."""
        wanted = min(self._venue_ms() // MINUTE_MS - since_ms // MINUTE_MS + 1, CANDLE_WEIGHTS[-1][0])
        weight = next(weight for most, weight in CANDLE_WEIGHTS if wanted <= most)
        params: dict[str, str | int] = {"symbol": instrument_id, "interval": "1m", "limit": wanted}
        reply = await self._client.get(MARK_CANDLES, params, cost={WEIGHT: weight})
        return parse_mark_candles(reply.json, instrument_id, self._arrival(reply))

    async def fetch_open_interest_history(self, instrument_id: str) -> tuple[OpenInterest, ...]:
        """Return the last half hour of 5-minute points."""
        params: dict[str, str | int] = {"symbol": instrument_id, "period": "5m", "limit": HISTORY_POINTS}
        reply = await self._client.get(OPEN_INTEREST_HISTORY, params, cost={STATISTICS: 1})
        return parse_open_interest_history(reply.json, instrument_id, self._arrival(reply))

    async def _book_tickers(self) -> Quotes:
        reply = await self._client.get(BOOK_TICKERS, cost={WEIGHT: 5}, is_bulk=True)
        return parse_book_tickers(reply.json, self._arrival(reply))

    async def _premium_index(self) -> Quotes:
        reply = await self._client.get(PREMIUM_INDEX, cost={WEIGHT: 10}, is_bulk=True)
        return parse_premium_index(reply.json, self._intervals_h, self._arrival(reply))

    async def _day_tickers(self) -> Quotes:
        reply = await self._client.get(DAY_TICKERS, cost={WEIGHT: 40}, is_bulk=True)
        quotes = parse_day_tickers(reply.json, self._arrival(reply))
        self._day_tickers_due_ms = self._now_ms() + DAY_TICKERS_EVERY_MS
        return quotes

    async def _learn_intervals(self) -> None:
        reply = await self._client.get(INTERVALS, cost={FUNDING_INFO: 1})
        self._intervals_h = parse_intervals(reply.json, self._arrival(reply))

    def _raise_for_reply(self, reply: Reply) -> None:
        used = reply.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdecimal() and reply.path != BOOK_TICKERS:  # whose header is documented as not accurate
            self.budget.correct(WEIGHT, float(used), sent_ms=reply.sent_ms, now_ms=reply.received_ms)
        raise_for_reply(reply)


VENUE = Binance
