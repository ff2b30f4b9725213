"""Binance USD-M's public REST, as docs/venues.md has it: base coin quantities, numbers as strings.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import orjson

from features.facts.market import CANDLE_INTERVALS
from fetchers.simulated.candles import MINUTE_MS, CandlesOf
from fetchers.simulated.coins import ListingRules, Row
from fetchers.simulated.limits import Quota
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import SetupPlan
from fetchers.simulated.wire import Answer, Call, Rejected, fill, json_answer, levels, next_settlement_ms, whole_number

VENUE = "binance"
LISTING = ListingRules(rank=1, recorded_share=1.0)
SETUPS = (
    SetupPlan(coin="LUMEX", at=0.25, fate="take_profit"),
    SetupPlan(coin="OZARK", at=1.0, fate="take_profit"),
    SetupPlan(coin="RUNDL", at=1 / 6, lacks="bid_depth"),
    SetupPlan(coin="WOXEN", at=4 / 6, lacks="oi_divergence"),
)
_FIVE_MINUTES_MS = 300_000
_BAN_MS = 120_000
_PATIENCE = 10  # refused requests in one minute before the ban
_DEPTH_WEIGHT = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_PERPETUAL_DELIVERY_MS = 4133404800000  # what Binance prints as the delivery of a perpetual
_DELIVERY_MS = 1798185600000  # 2026-12-25 08:00 UTC
_STATUS = {ListingKind.SUSPENDED: "SETTLING", ListingKind.PENDING: "PENDING_TRADING"}
_CONTRACT_TYPE = {
    ListingKind.STOCK: "TRADIFI_PERPETUAL",
    ListingKind.COMMODITY: "TRADIFI_PERPETUAL",
    ListingKind.DELIVERY: "CURRENT_QUARTER",
    ListingKind.PENDING: "",
}
_UNDERLYING = {ListingKind.STOCK: "EQUITY", ListingKind.COMMODITY: "COMMODITY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    handle: Callable[["BinanceWire", Call], Any]
    weight: Callable[[Mapping[str, str]], int]
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    quota: str = "weight"


def _error(status: int, code: int, message: str) -> Answer:
    return json_answer({"code": code, "msg": message}, status=status)


def _fixed(weight: int) -> Callable[[Mapping[str, str]], int]:
    return lambda _: weight


def _by_symbol(one: int, every: int) -> Callable[[Mapping[str, str]], int]:
    return lambda query: one if "symbol" in query else every


def _depth_weight(query: Mapping[str, str]) -> int:
    return _DEPTH_WEIGHT.get(whole_number(query.get("limit", "500")) or 0, 2)


def _klines_weight(query: Mapping[str, str]) -> int:
    limit = whole_number(query.get("limit", "500")) or 500
    if "limit" not in query:
        return 5
    return next((weight for most, weight in ((100, 1), (500, 2), (1000, 5)) if limit <= most), 10)


_SYMBOL, _LIMIT = frozenset({"symbol"}), frozenset({"limit"})


class BinanceWire:
    """Answers as Binance would, with its weight per clock minute and its two pools beside it.

    Over 20 methods: one per endpoint.
    """

    def __init__(self, market: SimulatedMarket) -> None:
        self.quotas = {
            "weight": Quota(2400, MINUTE_MS, by_clock=True),
            "data": Quota(1000, _FIVE_MINUTES_MS),
            "funding": Quota(500, _FIVE_MINUTES_MS),
        }
        self._market = market
        self._rows = market.rows[VENUE]
        self._trading = [i for i, row in enumerate(self._rows) if row.kind not in _STATUS]
        self._symbols = orjson.Fragment(orjson.dumps([_symbol(row) for row in self._rows]))
        self._book_ticker = [_book_ticker(row) for row in self._rows]
        self._premium_index = [_premium_index(row) for row in self._rows]
        self._ticker = [_ticker(row) for row in self._rows]
        self._banned_until_ms = 0
        self._refused_in = (0, 0)  # clock minute, refusals in it

    def answer(self, call: Call) -> Answer:
        """Reply to a GET; a refused one costs its weight as well."""
        if call.now_ms < self._banned_until_ms:
            return self.banned(call.now_ms)
        endpoint = self._endpoints.get(call.path)
        if endpoint is None:
            return _error(404, -5000, f"Path {call.path}, Method GET is invalid")
        if not self.quotas[endpoint.quota].spend(endpoint.weight(call.query), call.now_ms):
            return self._refuse(call.now_ms)
        try:
            _check(call.query, endpoint)
            answer = json_answer(endpoint.handle(self, call))
        except Rejected as rejected:
            answer = _error(400, rejected.code, rejected.message)
        if endpoint.quota != "weight":
            return answer
        return replace(answer, headers={"X-MBX-USED-WEIGHT-1M": str(int(self.quotas["weight"].used(call.now_ms)))})

    def too_many(self, now_ms: int) -> Answer:
        """429 with the seconds to the next clock minute."""
        answer = _error(429, -1003, "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute.")
        wait_s = -(-self.quotas["weight"].wait_ms(now_ms) // 1000)
        return replace(answer, headers={"Retry-After": str(wait_s)})

    def banned(self, now_ms: int) -> Answer:
        """418 with the epoch of its end in the message."""
        self._banned_until_ms = self._banned_until_ms or now_ms + _BAN_MS
        until_ms = max(self._banned_until_ms, now_ms)
        answer = _error(418, -1003, f"Way too many requests; IP(127.0.0.1) banned until {until_ms}.")
        return replace(answer, headers={"Retry-After": str(-(-(until_ms - now_ms) // 1000))})

    def _refuse(self, now_ms: int) -> Answer:
        minute, count = self._refused_in
        self._refused_in = (now_ms // MINUTE_MS, count + 1 if minute == now_ms // MINUTE_MS else 1)
        if self._refused_in[1] > _PATIENCE:
            self._banned_until_ms = now_ms + _BAN_MS
            return self.banned(now_ms)
        return self.too_many(now_ms)

    def _place(self, query: Mapping[str, str]) -> int:
        place = self._market.place(VENUE, query["symbol"])
        if place is None:
            raise Rejected(-1121, "Invalid symbol.")
        if self._rows[place].kind in _STATUS:
            raise Rejected(-1122, "Invalid symbol status.")
        return place

    def _row(self, query: Mapping[str, str]) -> Row:
        return self._rows[self._place(query)]

    def _is_settling(self, query: Mapping[str, str]) -> bool:
        place = self._market.place(VENUE, query["symbol"])
        return place is not None and self._rows[place].kind is ListingKind.SUSPENDED

    def _chosen(self, query: Mapping[str, str], places: list[int]) -> tuple[list[int], bool]:
        # all of `places`, or the one asked for (which comes as an object, not as a list)
        if "symbol" not in query:
            return places, False
        return [self._place(query)], True

    def _ping(self, _: Call) -> Any:
        return {}

    def _time(self, call: Call) -> Any:
        return {"serverTime": call.now_ms}

    def _exchange_info(self, call: Call) -> Any:
        return {
            "timezone": "UTC",
            "serverTime": call.now_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
                {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": self._symbols,
        }

    def _book_tickers(self, call: Call) -> Any:
        places, is_one = self._chosen(call.query, self._trading)
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        columns = (snapshot.bid_price, snapshot.bid_quantity, snapshot.ask_price, snapshot.ask_quantity)
        return _body(
            fill(
                [self._book_ticker[i] for i in places],
                *(column[places].tolist() for column in columns),
                [snapshot.time_ms] * len(places),
                [snapshot.sequence] * len(places),
            ),
            is_one=is_one,
        )

    def _premium_indices(self, call: Call) -> Any:
        places, is_one = self._chosen(call.query, list(range(len(self._rows))))
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        columns = (snapshot.mark_price, snapshot.index_price, snapshot.index_price, snapshot.funding_rate)
        return _body(
            fill(
                [self._premium_index[i] for i in places],
                *(column[places].tolist() for column in columns),
                [next_settlement_ms(self._rows[i], snapshot.time_ms) for i in places],
                [snapshot.time_ms] * len(places),
            ),
            is_one=is_one,
        )

    def _tickers(self, call: Call) -> Any:
        places, is_one = self._chosen(call.query, self._trading)
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        change = snapshot.last_price - snapshot.open_price_24h
        average = snapshot.turnover_24h / snapshot.volume_24h
        columns = (
            *(change, 100 * change / snapshot.open_price_24h, average, snapshot.last_price, snapshot.open_price_24h),
            *(snapshot.high_price_24h, snapshot.low_price_24h, snapshot.volume_24h, snapshot.turnover_24h),
        )
        return _body(
            fill(
                [self._ticker[i] for i in places],
                *(column[places].tolist() for column in columns),
                [snapshot.time_ms - 86_400_000] * len(places),
                [snapshot.time_ms] * len(places),
            ),
            is_one=is_one,
        )

    def _funding_info(self, _: Call) -> Any:
        # only the rows that are not as by default, and COIN-M's among them
        apart = [row for row in self._rows if row.funding_interval_h != 8]
        listed = [(row.id, row.funding_interval_h) for row in apart] + [("BTCUSD_PERP", 8)]
        return [
            {
                "symbol": symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": hours,
                "disclaimer": False,
            }
            for symbol, hours in listed
        ]

    def _depth(self, call: Call) -> Any:
        if self._is_settling(call.query):
            return {"lastUpdateId": 7, "E": call.now_ms, "T": call.now_ms - 9, "bids": [], "asks": []}
        row = self._row(call.query)
        limit = _number(call.query, "limit", 500)
        if limit not in _DEPTH_WEIGHT:
            raise Rejected(-4021, f"{limit} is not valid depth limit.")
        book = self._market.book(VENUE, row.id, limit, call.now_ms)
        return {
            "lastUpdateId": book.sequence,
            "E": book.time_ms,
            "T": book.time_ms - 9,
            "bids": levels(row, book.bid_ticks.tolist(), book.bid_quantity.tolist()),
            "asks": levels(row, book.ask_ticks.tolist(), book.ask_quantity.tolist()),
        }

    def _trades(self, call: Call) -> Any:
        row = self._row(call.query)
        limit = _number(call.query, "limit", 500, most=1000)
        found = self._market.last_prints(VENUE, row.id, limit, call.now_ms)
        template = (
            f'{{"id":%d,"price":"%.{row.price_decimals}f","qty":"%.{row.quantity_decimals}f","quoteQty":"%.4f",'
            '"time":%d,"isBuyerMaker":%s,"isRPITrade":false}'
        )
        price = found.price_ticks * row.tick
        rows = fill(
            [template] * len(price),
            *(found.number.tolist(), price.tolist(), found.quantity.tolist(), (price * found.quantity).tolist()),
            found.time_ms.tolist(),
            ["true" if is_sell else "false" for is_sell in found.is_sell],
        )
        return _body(rows, is_one=False)

    def _open_interest(self, call: Call) -> Any:
        if self._is_settling(call.query):
            raise Rejected(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")
        row = self._row(call.query)
        amounts, _ = self._market.open_interest(VENUE, row.id, np.array([call.now_ms]))
        return {"openInterest": f"{amounts[0]:.{row.quantity_decimals}f}", "symbol": row.id, "time": call.now_ms}

    def _open_interest_history(self, call: Call) -> Any:
        row = self._row(call.query)
        if call.query["period"] != "5m":  # the only period of this market
            raise Rejected(-1130, "Data sent for parameter 'period' is not valid.")
        limit = _number(call.query, "limit", 30, most=500)
        last_ms = call.now_ms - call.now_ms % _FIVE_MINUTES_MS
        times = last_ms - np.arange(limit - 1, -1, -1, dtype=np.int64) * _FIVE_MINUTES_MS
        amounts, prices = self._market.open_interest(VENUE, row.id, times)
        return [
            {
                "symbol": row.id,
                "sumOpenInterest": f"{amount:.8f}",
                "sumOpenInterestValue": f"{amount * price:.8f}",
                "timestamp": str(time),
            }
            for amount, price, time in zip(amounts, prices, times.tolist(), strict=True)
        ]

    def _klines(self, call: Call) -> Any:
        return self._candles(call, self._market.candles)

    def _mark_klines(self, call: Call) -> Any:
        return self._candles(call, self._market.mark_candles)

    def _candles(self, call: Call, candles_of: CandlesOf) -> Any:
        row = self._row(call.query)
        if call.query["interval"] not in CANDLE_INTERVALS:
            raise Rejected(-1120, "Invalid interval.")
        interval_ms = 1000 * CANDLE_INTERVALS[call.query["interval"]]
        limit = _number(call.query, "limit", 500, most=1500)
        last_ms = min(call.now_ms, _number(call.query, "endTime", call.now_ms)) // interval_ms * interval_ms
        first_ms = last_ms - (limit - 1) * interval_ms
        if "startTime" in call.query:
            first_ms = -(-_number(call.query, "startTime", 0) // interval_ms) * interval_ms
            last_ms = min(last_ms, first_ms + (limit - 1) * interval_ms)
        if first_ms > last_ms:
            return []
        digits, quantity_digits = row.price_decimals, row.quantity_decimals
        return [
            [
                candle.open_ms,
                *(f"{price:.{digits}f}" for price in (candle.open, candle.high, candle.low, candle.close)),
                f"{candle.volume:.{quantity_digits}f}",
                candle.open_ms + interval_ms - 1,
                f"{candle.turnover:.5f}",
                candle.count,
                f"{candle.volume / 2:.{quantity_digits}f}",
                f"{candle.turnover / 2:.5f}",
                "0",
            ]
            for candle in candles_of(VENUE, row.id, first_ms, last_ms, call.now_ms, interval_ms)
        ]

    _endpoints: ClassVar[Mapping[str, _Endpoint]] = {
        "/fapi/v1/ping": _Endpoint(handle=_ping, weight=_fixed(1)),
        "/fapi/v1/time": _Endpoint(handle=_time, weight=_fixed(1)),
        "/fapi/v1/exchangeInfo": _Endpoint(handle=_exchange_info, weight=_fixed(1)),
        "/fapi/v1/ticker/bookTicker": _Endpoint(handle=_book_tickers, weight=_by_symbol(2, 5), optional=_SYMBOL),
        "/fapi/v1/premiumIndex": _Endpoint(handle=_premium_indices, weight=_by_symbol(1, 10), optional=_SYMBOL),
        "/fapi/v1/ticker/24hr": _Endpoint(handle=_tickers, weight=_by_symbol(1, 40), optional=_SYMBOL),
        "/fapi/v1/fundingInfo": _Endpoint(handle=_funding_info, weight=_fixed(1), quota="funding"),
        "/fapi/v1/depth": _Endpoint(handle=_depth, weight=_depth_weight, required=_SYMBOL, optional=_LIMIT),
        "/fapi/v1/trades": _Endpoint(handle=_trades, weight=_fixed(5), required=_SYMBOL, optional=_LIMIT),
        "/fapi/v1/openInterest": _Endpoint(handle=_open_interest, weight=_fixed(1), required=_SYMBOL),
        "/futures/data/openInterestHist": _Endpoint(
            handle=_open_interest_history,
            weight=_fixed(1),
            required=frozenset({"symbol", "period"}),
            optional=_LIMIT,
            quota="data",
        ),
        "/fapi/v1/markPriceKlines": _Endpoint(
            handle=_mark_klines,
            weight=_klines_weight,
            required=frozenset({"symbol", "interval"}),
            optional=frozenset({"limit", "startTime", "endTime"}),
        ),
        "/fapi/v1/klines": _Endpoint(
            handle=_klines,
            weight=_klines_weight,
            required=frozenset({"symbol", "interval"}),
            optional=frozenset({"limit", "startTime", "endTime"}),
        ),
    }


def _check(query: Mapping[str, str], endpoint: _Endpoint) -> None:
    for name in sorted(endpoint.required):
        if not query.get(name):
            message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise Rejected(-1102, message)
    known = len(query.keys() & (endpoint.required | endpoint.optional))
    if known < len(query):
        message = f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{len(query)}'."
        raise Rejected(-1104, message)


def _number(query: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    value = whole_number(query.get(name, str(default)))
    if value is None:
        message = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        raise Rejected(-1100, message)
    if most is not None and not 1 <= value <= most:
        raise Rejected(-1130, f"Data sent for parameter '{name}' is not valid.")
    return value


def _body(rows: str, *, is_one: bool) -> bytes:
    return rows.encode() if is_one else f"[{rows}]".encode()


def _symbol(row: Row) -> dict[str, Any]:
    tick, step = f"{row.tick:.{row.price_decimals}f}", f"{row.step:.{row.quantity_decimals}f}"
    is_delivery = row.kind is ListingKind.DELIVERY
    return {
        "symbol": row.id,
        "pair": row.id.partition("_")[0],
        "contractType": _CONTRACT_TYPE.get(row.kind, "PERPETUAL"),
        "deliveryDate": _DELIVERY_MS if is_delivery else _PERPETUAL_DELIVERY_MS,
        "onboardDate": 1700000000000,
        "status": _STATUS.get(row.kind, "TRADING"),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": row.base,
        "quoteAsset": row.quote,
        "marginAsset": row.quote,
        "pricePrecision": row.price_decimals + 1,  # finer than the tick, as on the real one: not to be used for prices
        "quantityPrecision": row.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": _UNDERLYING.get(row.kind, "COIN"),
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.10",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9", "multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _book_ticker(row: Row) -> str:
    price, quantity = f"%.{row.price_decimals}f", f"%.{row.quantity_decimals}f"
    return (
        f'{{"symbol":"{row.id}","bidPrice":"{price}","bidQty":"{quantity}","askPrice":"{price}",'
        f'"askQty":"{quantity}","time":%d,"lastUpdateId":%d}}'
    )


def _premium_index(row: Row) -> str:
    price = f"%.{row.price_decimals + 3}f"
    return (
        f'{{"symbol":"{row.id}","markPrice":"{price}","indexPrice":"{price}","estimatedSettlePrice":"{price}",'
        '"lastFundingRate":"%.8f","interestRate":"0.00010000","nextFundingTime":%d,"time":%d}'
    )


def _ticker(row: Row) -> str:
    price, quantity = f"%.{row.price_decimals}f", f"%.{row.quantity_decimals}f"
    average = f"%.{row.price_decimals + 2}f"
    return (
        f'{{"symbol":"{row.id}","priceChange":"{price}","priceChangePercent":"%.3f","weightedAvgPrice":"{average}",'
        f'"lastPrice":"{price}","lastQty":"1","openPrice":"{price}","highPrice":"{price}","lowPrice":"{price}",'
        f'"volume":"{quantity}","quoteVolume":"%.2f","openTime":%d,"closeTime":%d,"firstId":1,"lastId":2,"count":2}}'
    )


WIRE = BinanceWire
