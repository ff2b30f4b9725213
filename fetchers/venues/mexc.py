"""MEXC perpetuals, which trade contracts: quantities become base coin here, n contracts times the contract's size.

Bulk: quotes (no sizes), open interest and 24 h figures in one call, funding in another. No history of open interest,
and prints without ids. Limits per endpoint, from MEXC's contract documentation of 2026, the lower of its versions.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from features.facts.market import Candles, FloatArray, OrderBook, Quotes, Trades, read_only
from fetchers.errors import BadPayload, RateLimited, UnknownSymbol
from fetchers.listing import MARKETS_DEADLINE_S, ClockOffset, Listing
from fetchers.parsing.build_records import MINUTE_MS, Arrival, bulk, candle_page, candles, newest_change_ms, order_book
from fetchers.parsing.market_lists import UNREADABLE, CcxtVenue, Market, default_url, instrument, listed, parse_markets
from fetchers.parsing.new_trades import NewTrades, PrintFormat, SeenPrints, find_new_trades
from fetchers.parsing.payload import column, error_code, member, objects, time_ms, usable, whole_number
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply, words
from fetchers.transport.pools import HEADROOM, Sliding
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.venues.base import RestVenue

BOOK_LEVELS = 100  #: a side; it weighs the same
NAME = "mexc"
DETAIL, TICKER, FUNDING, DEPTH, DEALS, KLINE, PING = "detail", "ticker", "funding", "depth", "deals", "kline", "ping"
WINDOW_MS = 2_000
LIMITS = {DETAIL: 10, TICKER: 10, DEPTH: 10, FUNDING: 20, DEALS: 20, KLINE: 20, PING: 20}

PREFIX = "/api/v1/contract"
LISTS = (f"{PREFIX}/detail", f"{PREFIX}/detail/country")  # the second where the first is gone
NOT_FOUND = 404
#: in the names of plates such as mc-trade-zone-TradFi
NOT_CRYPTO_PLATES = frozenset(
    ["tradfi", "stock", "etf", "preipo", "pre-ipo", "forex", "metal", "oil", "commodit", "index", "indices"]
)
WORD, STOCK_NAME = re.compile(r"\w+"), re.compile(r"\w+STOCK")  # GOLD(XAU) is GOLD and XAU
INNOVATION_FEE, MOST_FEE = 0.001, 0.05  # taker fees, fractions
MOST_PRINTS = 100
PRINT = PrintFormat(
    time="t", price="p", quantity="v", side="T", is_taker_sell={1: False, 2: True}, is_self_trade=("M", 1)
)
MOST_CANDLES = 2000
LONGEST_IN_MINUTES_S = 3600  #: an hour is Min60, four are Hour4
FROZEN_MS = 60_000  # a delisted contract's book stays as it was, empty, with its last time

EDGE_HOLD_MS, FREQUENT_HOLD_MS = 600_000, 10_000
REFUSED_BY_EDGE, TOO_MANY_REQUESTS, TOO_FREQUENT, UNKNOWN_CONTRACT = 403, 429, 510, 1001

CCXT = CcxtVenue(id=NAME, ccxt_class="mexc", host=("contract", "public"), reply=lambda _, rows: {"data": rows})


def listing(market: Market) -> Listing:
    """Return a market as an instrument, or why it is left out.

    Its baseCoin is a code of its own (PUMPFUN); people know the coin by baseCoinName (PUMP).
    """
    row = market["info"]
    shown, code = str(row.get("baseCoinName") or ""), market["baseId"]
    fee = float(np.nan_to_num(column([row], "takerFeeRate", least=0.0, most=MOST_FEE)[0]))
    return listed(
        instrument(
            NAME,
            market,
            base=shown if re.fullmatch(r"\w+", shown) else "",
            other_names=(code, *WORD.findall(shown), code.removesuffix("STOCK")),
            taker_fee_percent=100 * fee,
            is_innovation_zone=fee >= INNOVATION_FEE,
            has_bulk_open_interest=True,
        ),
        _why_not(market),
        is_crypto=_is_crypto(row),
    )


def _is_crypto(row: Mapping[str, Any]) -> bool | None:
    # `type` 2 has only most of what is no coin, and no plate says that something is one
    plates = row.get("conceptPlate")
    names = [str(plate).casefold() for plate in plates] if isinstance(plates, list) else []
    is_marked = any(word in plate for plate in names for word in NOT_CRYPTO_PLATES)
    is_share = any(STOCK_NAME.fullmatch(str(row.get(field, ""))) for field in ("baseCoin", "baseCoinName"))
    return False if is_marked or is_share or row.get("type") not in (None, 1, "1") else None


def mark_innovation_zone(listings: Sequence[Listing], rows: Sequence[Any]) -> tuple[Listing, ...]:
    """Return the listings, those closed to the API in the Innovation Zone while they are the few.

    Until March 2026 no contract at all was open to it, which said nothing.
    """
    is_closed = [isinstance(row, dict) and row.get("apiAllowed") is False for row in rows]
    if 2 * sum(is_closed) >= len(rows):
        return tuple(listings)
    return tuple(
        replace(one, instrument=replace(one.instrument, is_innovation_zone=True)) if closed else one
        for one, closed in zip(listings, is_closed, strict=True)
    )


def _why_not(market: Market) -> str:
    row = market["info"]
    if not market["quote"] == market["settle"] == "USDT":
        return "not USDT"
    if row.get("futureType", 1) != 1:
        return "delivery"
    if not market["active"]:
        return "not trading"
    return "hidden" if row.get("isHidden") else ""


def parse_ticker(payload: Any, contract_sizes: Mapping[str, float], arrival: Arrival) -> Quotes:
    """Return quotes, marks, open interest and 24 h figures, as old as the newest row: its time is its last trade's."""
    call = "mexc ticker"
    data = _data(payload, list, call)
    quotes = bulk(
        data,
        call,
        arrival,
        newest_change_ms(data, "timestamp", call, arrival),
        bid_price="bid1",
        ask_price="ask1",
        mark_price="fairPrice",
        index_price="indexPrice",
        open_interest_base="holdVol",
        volume_base_24h="volume24",
        volume_usdt_24h="amount24",
    )
    sizes = np.array([contract_sizes.get(key, np.nan) for key in quotes.ids])
    return replace(
        quotes,
        open_interest_base=_in_base(quotes.open_interest_base, sizes),
        volume_base_24h=_in_base(quotes.volume_base_24h, sizes),
    )


def _in_base(contracts: FloatArray | None, sizes: FloatArray) -> FloatArray:
    assert contracts is not None
    return read_only(contracts * sizes, np.float64)


def parse_funding(payload: Any, arrival: Arrival) -> Quotes:
    """Return funding rates and their intervals."""
    return bulk(
        _data(payload, list, "mexc funding_rate"),
        "mexc funding_rate",
        arrival,
        "timestamp",
        settles_at="nextSettleTime",
        funding_rate="fundingRate",
        funding_interval_h="collectCycle",
    )


def parse_order_book(payload: Any, instrument_id: str, contract_size: float, arrival: Arrival) -> OrderBook:
    """Return a book; a level is price, contracts, number of orders.

    Raises UnknownSymbol where it is what MEXC gives of a delisted contract: success, empty sides, an old time.
    """
    call = f"mexc depth {instrument_id}"
    data = _data(payload, dict, call)
    unit = np.array([1.0, contract_size])
    bids = usable(data.get("bids"), 2, call, "bids") * unit
    asks = usable(data.get("asks"), 2, call, "asks") * unit
    venue_ms = time_ms(data, "timestamp", call)
    if not len(bids) + len(asks) and arrival.received_ms - arrival.ours(venue_ms) > FROZEN_MS:
        raise UnknownSymbol(f"{call}: the book was empty and frozen, as a delisted contract's")
    return order_book(
        call,
        (NAME, instrument_id),
        bids=bids,
        asks=asks,
        arrival=arrival,
        venue_ms=venue_ms,
        sequence=whole_number(data, "version"),
        levels_asked=BOOK_LEVELS,
    )


def parse_trades(
    payload: Any, instrument_id: str, contract_size: float, before: SeenPrints | None, arrival: Arrival
) -> NewTrades:
    """Return the prints that are new, by time, price, contracts and side for want of an id."""
    call = f"mexc deals {instrument_id}"
    rows = objects(_data(payload, list, call), call)[::-1]
    values = [(row.get("t"), row.get("p"), row.get("v"), row.get("T")) for row in rows]
    try:
        keys = [hash(value) for value in values]
    except TypeError:  # a list or an object in a print
        keys = [hash(repr(value)) for value in values]
    return find_new_trades(
        call,
        (NAME, instrument_id),
        rows,
        keys,
        PRINT,
        before,
        contract_size=contract_size,
        is_full=len(rows) >= MOST_PRINTS,
        exchange_ms=arrival.received_ms,
        arrival=arrival,
    )


def parse_candles(
    payload: Any, instrument_id: str, contract_size: float | None, arrival: Arrival, interval_s: int = 60
) -> Candles:
    """Return candles, the last of which may still be open; with their volume where the contract's size is known."""
    call = f"mexc kline {instrument_id}"
    if contract_size is None:
        rows = _candle_rows(payload, call) * np.array([1000.0, 1, 1, 1, 1])
    else:
        rows = _candle_rows(payload, call, "vol") * np.array([1000.0, 1, 1, 1, 1, contract_size])
    return candles(call, (NAME, instrument_id), rows, arrival, interval_s)


def parse_mark_candles(payload: Any, instrument_id: str, arrival: Arrival) -> Candles:
    """Return 1-minute candles of the fair price, which have no volume."""
    call = f"mexc fair price kline {instrument_id}"
    return candles(call, (NAME, instrument_id), _candle_rows(payload, call) * np.array([1000.0, 1, 1, 1, 1]), arrival)


def _candle_rows(payload: Any, call: str, *more: str) -> FloatArray:
    # on the wire they are columns, times in seconds
    data = _data(payload, dict, call)
    columns = [member(data, field, list, call) for field in ("time", "open", "high", "low", "close", *more)]
    if len(set(map(len, columns))) > 1:
        raise BadPayload(f"{call}: the columns were of different lengths")
    return usable([list(row) for row in zip(*columns, strict=True)], len(columns), call, "data")


def parse_clock(payload: Any) -> float:
    """Return the venue's time [epoch ms]."""
    return time_ms(payload, "data", "mexc ping")


def _data(payload: Any, kind: type[Any], call: str) -> Any:
    return member(payload, "data", kind, call)


def raise_for_reply(reply: Reply) -> None:
    """Raise what MEXC means by a reply that is no answer; what it does not know is left to the client."""
    code = error_code(reply.json, "code")
    what = f"mexc {reply.path}: HTTP {reply.status}, code {code}, {words(reply, 'message')[:240]!r}"
    if code == TOO_FREQUENT or reply.status == TOO_MANY_REQUESTS:
        raise RateLimited(what, until_ms=reply.received_ms + FREQUENT_HOLD_MS, pool=reply.pools[0])
    if reply.status == REFUSED_BY_EDGE:
        raise RateLimited(what, until_ms=reply.received_ms + EDGE_HOLD_MS)
    if code == UNKNOWN_CONTRACT:
        raise UnknownSymbol(what)
    if isinstance(reply.json, dict) and reply.json.get("success") is False:
        raise BadPayload(what)


class Mexc(RestVenue):
    """MEXC's perpetuals as a `Venue`."""

    name = NAME
    bulk_columns = ("bid_price", "ask_price", "open_interest_base")

    def __init__(
        self,
        base_url: str | None,
        now_ms: Callable[[], int],
        headroom: float = HEADROOM,
        route: Route = ANY_ROUTE,
    ) -> None:
        pools = {pool: Sliding(limit, WINDOW_MS, is_even=True) for pool, limit in LIMITS.items()}
        budget = RateBudget(pools, headroom=headroom)
        super().__init__(
            base_url=base_url or default_url(CCXT),
            budget=budget,
            kept_for_quotes={},  # its bulk calls have pools of their own
            raise_for_reply=raise_for_reply,
            now_ms=now_ms,
            route=route,
        )
        self.candidate_cost: Mapping[str, float] = {DEPTH: 1, DEALS: 1}
        self.trades_cost: Mapping[str, float] = {DEALS: 1}
        self.open_interest_cost: Mapping[str, float] = {}
        self.history_cost: Mapping[str, float] = {KLINE: 1}
        self.candle_cost = {KLINE: 1}
        self.candle_pause_s = 0.3  # half of what the pool allows: minutes for open signals come of it too
        self.has_whole_history = False  # no open interest in it
        self._contract_sizes: dict[str, float] = {}

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of the contract list, and remember the contracts' sizes."""
        rows = _data((await self._list()).json, list, "mexc detail")
        listings = mark_innovation_zone(await parse_markets(CCXT, rows, listing), rows)
        read = [one.instrument for one in listings if one.dropped != UNREADABLE]
        self._contract_sizes = {row.id: row.contract_size for row in read}
        return listings

    async def _list(self) -> Reply:
        first, second = LISTS
        try:
            return await self._client.get(first, cost={DETAIL: 1}, is_apart=True, deadline_s=MARKETS_DEADLINE_S)
        except BadPayload as error:
            if f"HTTP {NOT_FOUND}" not in str(error):
                raise
        return await self._client.get(second, cost={DETAIL: 1}, is_apart=True, deadline_s=MARKETS_DEADLINE_S)

    async def measure_clock(self) -> ClockOffset:
        """Ask for the time and remember the offset."""
        reply = await self._get("/ping", PING)
        return self._note_clock(reply, parse_clock(reply.json))

    async def fetch_quotes(self) -> list[Quotes]:
        """Return prices, open interest, 24 h figures and funding."""
        return await self._gather_quotes(self._ticker(), self._optional("funding rates", self._funding()))

    async def fetch_prices(self) -> list[Quotes]:
        """Return the best prices alone."""
        return [await self._ticker()]

    async def fetch_order_book(self, instrument_id: str) -> OrderBook:
        """Return the book."""
        reply = await self._get(f"/depth/{instrument_id}", DEPTH, limit=BOOK_LEVELS)
        size = self._contract_size(instrument_id)
        return self._refuse_older(parse_order_book(reply.json, instrument_id, size, self._arrival(reply)))

    async def fetch_trades(self, instrument_id: str) -> Trades:
        """Return the prints since the last call."""

        async def fetch(limit: int, before: SeenPrints | None) -> NewTrades:
            reply = await self._get(f"/deals/{instrument_id}", DEALS, limit=limit)
            size = self._contract_size(instrument_id)
            return parse_trades(reply.json, instrument_id, size, before, self._arrival(reply))

        return await self._new_trades(instrument_id, fetch, few=MOST_PRINTS, most=MOST_PRINTS)

    async def fetch_candles(self, instrument_id: str, since_ms: int, /, interval_s: int = 60) -> Candles:
        """Return candles from that of `since_ms` on, the first 2,000 at most."""
        start_ms, wanted = candle_page(since_ms, self._venue_ms(), MOST_CANDLES, interval_s)
        end_ms = start_ms + (wanted - 1) * 1000 * interval_s
        name = f"Min{interval_s // 60}" if interval_s <= LONGEST_IN_MINUTES_S else f"Hour{interval_s // 3600}"
        reply = await self._get(
            f"/kline/{instrument_id}", KLINE, interval=name, start=start_ms // 1000, end=end_ms // 1000
        )
        size = self._contract_sizes.get(instrument_id)  # of a delisted contract its end is asked for, too
        return parse_candles(reply.json, instrument_id, size, self._arrival(reply), interval_s)

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int) -> Candles:
        """Return 1-minute candles of the fair price from `since_ms` on."""
        path, now_ms = f"/kline/fair_price/{instrument_id}", self._venue_ms()
        start_s = since_ms // MINUTE_MS * MINUTE_MS // 1000
        reply = await self._get(path, KLINE, interval="Min1", start=start_s, end=now_ms // 1000)
        return parse_mark_candles(reply.json, instrument_id, self._arrival(reply))

    async def _ticker(self) -> Quotes:
        reply = await self._client.get(f"{PREFIX}/ticker", cost={TICKER: 1}, is_bulk=True)
        return parse_ticker(reply.json, self._contract_sizes, self._arrival(reply))

    async def _funding(self) -> Quotes:
        reply = await self._client.get(f"{PREFIX}/funding_rate", cost={FUNDING: 1}, is_bulk=True)
        return parse_funding(reply.json, self._arrival(reply))

    def _contract_size(self, instrument_id: str) -> float:
        try:
            return self._contract_sizes[instrument_id]
        except KeyError as error:
            raise UnknownSymbol(f"mexc {instrument_id}: not in the contract list") from error

    async def _get(self, path: str, pool: str, **params: str | int) -> Reply:
        endpoint = PREFIX + (path.rpartition("/")[0] or path)  # an instrument, where there is one, comes last
        return await self._client.get(PREFIX + path, params, cost={pool: 1}, endpoint=endpoint)


VENUE = Mexc
