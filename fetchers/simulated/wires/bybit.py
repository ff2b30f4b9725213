"""Bybit's public v5 market REST for category=linear, as docs/venues.md has it: numbers as strings.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
import orjson

from features.facts.market import CANDLE_INTERVALS
from fetchers.simulated.candles import CandlesOf
from fetchers.simulated.coins import ListingRules, Row
from fetchers.simulated.limits import Quota
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import SetupPlan
from fetchers.simulated.wire import (
    Answer,
    Call,
    Rejected,
    fill,
    html_answer,
    json_answer,
    levels,
    next_settlement_ms,
    whole_number,
)

VENUE = "bybit"
LISTING = ListingRules(rank=2)
SETUPS = (
    SetupPlan(coin="NIMBA", at=0.75, fate="stop_loss"),
    SetupPlan(coin="QUELL", at=0.0, lacks="score"),
    SetupPlan(coin="SABLO", at=2 / 6, lacks="ask_imbalance"),
    SetupPlan(coin="YARRO", at=5 / 6, lacks="spread"),
)
_BAN_MS = 600_000
_PAGE_ROWS = 200  # the venue's pages hold a thousand: fewer here, so that there are several
_FIVE_MINUTES_MS = 300_000
_DELIVERY_MS = 1798185600000  # 2026-12-25 08:00 UTC
_STATUS = {ListingKind.SUSPENDED: "Delivering", ListingKind.PENDING: "PreLaunch"}
_SYMBOL_TYPE = {ListingKind.STOCK: "stock", ListingKind.COMMODITY: "commodity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    handle: Callable[["BybitWire", Call], Any]
    required: frozenset[str] = frozenset({"category"})
    optional: frozenset[str] = frozenset()


_SYMBOL = frozenset({"category", "symbol"})


class BybitWire:
    """Answers as Bybit would; one limit for everything, and ten minutes of 403 for who goes over it."""

    def __init__(self, market: SimulatedMarket) -> None:
        self.quotas = {"requests": Quota(600, 5_000)}
        self._market = market
        self._rows = market.rows[VENUE]
        self._listed = [i for i, row in enumerate(self._rows) if row.kind is not ListingKind.SUSPENDED]
        self._instruments = [(row, orjson.Fragment(orjson.dumps(_instrument(row)))) for row in self._rows]
        self._ticker = [_ticker(row) for row in self._rows]
        self._banned_until_ms = 0

    def answer(self, call: Call) -> Answer:
        """Reply to a GET in Bybit's envelope."""
        if call.now_ms < self._banned_until_ms:
            return self.too_many(call.now_ms)
        if not self.quotas["requests"].spend(1, call.now_ms):
            self._banned_until_ms = call.now_ms + _BAN_MS
            return self.too_many(call.now_ms)
        endpoint = self._endpoints.get(call.path)
        if endpoint is None:
            return html_answer(404, "404 Not Found")
        try:
            _check(call.query, endpoint)
            return _envelope(call.now_ms, endpoint.handle(self, call))
        except Rejected as rejected:
            return _envelope(call.now_ms, {}, rejected.code, rejected.message)

    def too_many(self, _: int) -> Answer:
        """403 in plain words."""
        return Answer(body=b"403, access too frequent", status=403, content_type="text/plain")

    banned = too_many

    def _place(self, query: Mapping[str, str]) -> int:
        place = self._market.place(VENUE, query["symbol"])
        if place is None or self._rows[place].kind is ListingKind.SUSPENDED:
            raise Rejected(10001, "params error: Symbol Is Invalid")
        return place

    def _time(self, call: Call) -> Any:
        return {"timeSecond": str(call.now_ms // 1000), "timeNano": str(call.now_ms * 1_000_000)}

    def _instruments_info(self, call: Call) -> Any:
        status = call.query.get("status", "Trading")
        if status not in {"Trading", "PreLaunch", "Delivering"}:
            raise Rejected(10001, "params error: status invalid")
        wanted = {"PreLaunch": {"PreLaunch"}, "Delivering": {"Delivering"}}.get(status, {"Trading", "Delivering"})
        limit = min(_number(call.query, "limit", 500, most=1000), _PAGE_ROWS)
        first = _first_row(call.query.get("cursor", ""))
        found = [listed for row, listed in self._instruments if _STATUS.get(row.kind, "Trading") in wanted]
        page = found[first : first + limit]
        # a page of what is not launched yet has a cursor even where it is the last
        is_last = not page or (first + limit >= len(found) and status != "PreLaunch")
        cursor = "" if is_last else quote(f"first={first + len(page)}&last={len(found)}", safe="")
        return {"category": "linear", "list": page, "nextPageCursor": cursor}

    def _tickers(self, call: Call) -> Any:
        places = [self._place(call.query)] if "symbol" in call.query else self._listed
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        columns = (
            *(snapshot.last_price, snapshot.index_price, snapshot.mark_price, snapshot.open_price_24h),
            *(snapshot.last_price / snapshot.open_price_24h - 1, snapshot.high_price_24h, snapshot.low_price_24h),
            *(snapshot.open_price_24h, 2 * snapshot.open_interest, 2 * snapshot.open_interest * snapshot.mark_price),
            *(snapshot.open_interest, snapshot.turnover_24h, snapshot.volume_24h),
        )
        rates = [
            f"{rate:.8f}" if self._rows[i].kind not in _NO_FUNDING else ""
            for i, rate in zip(places, snapshot.funding_rate[places].tolist(), strict=True)
        ]
        best = (snapshot.bid_price, snapshot.bid_quantity, snapshot.ask_price, snapshot.ask_quantity)
        rows = fill(
            [self._ticker[i] for i in places],
            *(column[places].tolist() for column in columns),
            rates,
            [_settlement(self._rows[i], snapshot.time_ms) for i in places],
            *(column[places].tolist() for column in best),
        )
        return {"category": "linear", "list": orjson.Fragment(f"[{rows}]".encode())}

    def _orderbook(self, call: Call) -> Any:
        row = self._rows[self._place(call.query)]
        book = self._market.book(VENUE, row.id, _number(call.query, "limit", 25, most=1000), call.now_ms)
        return {
            "s": row.id,
            "b": levels(row, book.bid_ticks.tolist(), book.bid_quantity.tolist()),
            "a": levels(row, book.ask_ticks.tolist(), book.ask_quantity.tolist()),
            "ts": book.time_ms,
            "u": book.sequence,
            "seq": book.sequence,
            "cts": book.time_ms - 7,
        }

    def _recent_trade(self, call: Call) -> Any:
        row = self._rows[self._place(call.query)]
        found = self._market.last_prints(VENUE, row.id, _number(call.query, "limit", 500, most=1000), call.now_ms)
        template = (
            f'{{"execId":"%d","symbol":"{row.id}","price":"%.{row.price_decimals}f",'
            f'"size":"%.{row.quantity_decimals}f","side":"%s","time":"%d","isBlockTrade":false,"isRPITrade":false,'
            '"seq":"%d"}'
        )
        newest = slice(None, None, -1)
        rows = fill(
            [template] * len(found.number),
            found.number[newest].tolist(),
            (found.price_ticks * row.tick)[newest].tolist(),
            found.quantity[newest].tolist(),
            ["Sell" if is_sell else "Buy" for is_sell in found.is_sell[newest]],
            found.time_ms[newest].tolist(),
            found.number[newest].tolist(),
        )
        return {"category": "linear", "list": orjson.Fragment(f"[{rows}]".encode())}

    def _open_interest(self, call: Call) -> Any:
        row = self._rows[self._place(call.query)]
        if call.query["intervalTime"] != "5min":  # the only interval of this market
            raise Rejected(10001, "params error: intervalTime invalid")
        last_ms = call.now_ms - call.now_ms % _FIVE_MINUTES_MS
        count = _number(call.query, "limit", 50, most=200)
        times = last_ms - np.arange(count, dtype=np.int64) * _FIVE_MINUTES_MS
        amounts, _ = self._market.open_interest(VENUE, row.id, times)
        points = [
            {"openInterest": f"{2 * amount:.8f}", "singleOpenInterest": f"{amount:.8f}", "timestamp": str(time)}
            for amount, time in zip(amounts, times.tolist(), strict=True)
        ]
        return {"symbol": row.id, "category": "linear", "list": points, "nextPageCursor": ""}

    def _kline(self, call: Call) -> Any:
        return self._candles(call, self._market.candles)

    def _mark_kline(self, call: Call) -> Any:
        return self._candles(call, self._market.mark_candles)

    def _candles(self, call: Call, candles_of: CandlesOf) -> Any:
        row = self._rows[self._place(call.query)]
        interval_ms = 60_000 * _number(call.query, "interval", 1)
        if interval_ms // 1000 not in CANDLE_INTERVALS.values():
            raise Rejected(10001, "params error: Invalid period!")
        limit = _number(call.query, "limit", 200, most=1000)
        last_ms = min(call.now_ms, _number(call.query, "end", call.now_ms)) // interval_ms * interval_ms
        first_ms = last_ms - (limit - 1) * interval_ms
        if "start" in call.query:  # the newest `limit` of the range, as on the real one
            first_ms = max(first_ms, -(-_number(call.query, "start", 0) // interval_ms) * interval_ms)
        candles = candles_of(VENUE, row.id, first_ms, last_ms, call.now_ms, interval_ms) if first_ms <= last_ms else []
        digits, quantity_digits = row.price_decimals, row.quantity_decimals
        rows = [
            [
                str(candle.open_ms),
                *(f"{price:.{digits}f}" for price in (candle.open, candle.high, candle.low, candle.close)),
                f"{candle.volume:.{quantity_digits}f}",
                f"{candle.turnover:.4f}",
            ]
            for candle in reversed(candles)
        ]
        return {"category": "linear", "symbol": row.id, "list": rows}

    _endpoints: ClassVar[Mapping[str, _Endpoint]] = {
        "/v5/market/time": _Endpoint(handle=_time, required=frozenset()),
        "/v5/market/instruments-info": _Endpoint(
            handle=_instruments_info, optional=frozenset({"status", "limit", "cursor"})
        ),
        "/v5/market/tickers": _Endpoint(handle=_tickers, optional=frozenset({"symbol"})),
        "/v5/market/orderbook": _Endpoint(handle=_orderbook, required=_SYMBOL, optional=frozenset({"limit"})),
        "/v5/market/recent-trade": _Endpoint(handle=_recent_trade, required=_SYMBOL, optional=frozenset({"limit"})),
        "/v5/market/open-interest": _Endpoint(
            handle=_open_interest, required=_SYMBOL | {"intervalTime"}, optional=frozenset({"limit"})
        ),
        "/v5/market/mark-price-kline": _Endpoint(
            handle=_mark_kline, required=_SYMBOL | {"interval"}, optional=frozenset({"start", "end", "limit"})
        ),
        "/v5/market/kline": _Endpoint(
            handle=_kline, required=_SYMBOL | {"interval"}, optional=frozenset({"start", "end", "limit"})
        ),
    }


_NO_FUNDING = (ListingKind.DELIVERY, ListingKind.PENDING)


def _envelope(now_ms: int, result: Any, code: int = 0, message: str = "OK") -> Answer:
    return json_answer({"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now_ms})


def _check(query: Mapping[str, str], endpoint: _Endpoint) -> None:
    # the real one ignores parameters it does not know; this one does not, or a misspelt limit would go unnoticed
    wrong = (endpoint.required - query.keys()) | (query.keys() - endpoint.required - endpoint.optional)
    if wrong:
        raise Rejected(10001, f"params error: {', '.join(sorted(wrong))}")
    if query.get("category", "linear") != "linear":
        raise Rejected(10001, "Illegal category")


def _first_row(cursor: str) -> int:
    # it is sent encoded and has to come back as it was, not encoded twice
    if not cursor:
        return 0
    if (found := re.fullmatch(r"first=(\d+)&last=\d+", cursor)) is None:
        raise Rejected(10001, "params error: cursor invalid")
    return int(found[1])


def _number(query: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    value = whole_number(query.get(name, str(default)))
    if value is None or (most is not None and not 1 <= value <= most):
        raise Rejected(10001, f"params error: {name} invalid")
    return value


def _settlement(row: Row, now_ms: int) -> str:
    return "" if row.kind in _NO_FUNDING else str(next_settlement_ms(row, now_ms))


def _instrument(row: Row) -> dict[str, Any]:
    tick, step = f"{row.tick:.{row.price_decimals}f}", f"{row.step:.{row.quantity_decimals}f}"
    is_perpetual = row.kind is not ListingKind.DELIVERY
    return {
        "symbol": row.id,
        "contractType": "LinearPerpetual" if is_perpetual else "LinearFutures",
        "status": _STATUS.get(row.kind, "Trading"),
        "baseCoin": row.base,
        "quoteCoin": row.quote,
        "launchTime": "1585526400000",
        # on a perpetual: when it is delisted
        "deliveryTime": str(_DELIVERY_MS) if row.kind in {ListingKind.DELIVERY, ListingKind.SUSPENDED} else "0",
        "deliveryFeeRate": "",
        "priceScale": str(row.price_decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.8", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1000000",
            "minOrderQty": step,
            "qtyStep": step,
            "postOnlyMaxOrderQty": "1000000",
            "maxMktOrderQty": "500000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": row.funding_interval_h * 60 if is_perpetual else 0,
        "settleCoin": row.quote,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": row.kind is ListingKind.PENDING,
        "preListingInfo": None,
        "symbolType": _SYMBOL_TYPE.get(row.kind, "innovation" if row.volume_usdt_24h < 2e6 else ""),
    }


def _ticker(row: Row) -> str:
    price, quantity = f"%.{row.price_decimals}f", f"%.{row.quantity_decimals}f"
    fine = f"%.{row.price_decimals + 2}f"
    is_pending, is_delivery = row.kind is ListingKind.PENDING, row.kind is ListingKind.DELIVERY
    interval = "" if row.kind in _NO_FUNDING else str(row.funding_interval_h)
    phase = "ContinuousTrading" if is_pending else ""
    return (
        f'{{"symbol":"{row.id}","lastPrice":"{price}","indexPrice":"{fine}","markPrice":"{fine}",'
        f'"prevPrice24h":"{price}","price24hPcnt":"%.6f","highPrice24h":"{price}","lowPrice24h":"{price}",'
        f'"prevPrice1h":"{price}","openInterest":"{quantity}","openInterestValue":"%.2f","singleOpenInterest":"{quantity}","turnover24h":"%.4f",'
        f'"volume24h":"{quantity}","fundingRate":"%s","nextFundingTime":"%s","fundingIntervalHour":"{interval}",'
        '"fundingCap":"0.005","predictedDeliveryPrice":"","basisRate":"","deliveryFeeRate":"",'
        f'"deliveryTime":"{_DELIVERY_MS if is_delivery else 0}","bid1Price":"{price}","bid1Size":"{quantity}",'
        f'"ask1Price":"{price}","ask1Size":"{quantity}","basis":"","preOpenPrice":"","preQty":"",'
        f'"curPreListingPhase":"{phase}"}}'
    )


WIRE = BybitWire
