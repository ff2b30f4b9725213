"""LBank's public perpetual REST, as docs/venues.md has it: four calls, errors with HTTP 200."""

from dataclasses import replace
from typing import Any

import orjson

from fetchers.simulated.coins import ListingRules, Row
from fetchers.simulated.limits import Quota
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import SetupPlan
from fetchers.simulated.wire import (
    HOUR_MS,
    Answer,
    Call,
    Rejected,
    fill,
    html_answer,
    json_answer,
    next_settlement_ms,
    whole_number,
)

VENUE = "lbank"
_ALIASES = {"EDGEX": "EDGE", "GOLD": "GOLD(XAU)"}
_NO_FUNDING, _NO_INDEX = "1000SATSUSDT", "1000SHIBUSDT"
SETUPS = (SetupPlan(coin="TAVRO", at=0.5, fate="take_profit", flow_venue="bybit"),)  # borrows what LBank lacks
_ROOT = "/cfd/openApi/v1/pub/"
_DEFAULT_LEVELS, _MOST_LEVELS = 25, 1000


def _finish(row: Row) -> Row:
    return replace(
        row,
        alias=_ALIASES.get(row.base, row.base),
        has_funding=row.id != _NO_FUNDING,
        has_index=row.id != _NO_INDEX,
    )


LISTING = ListingRules(rank=4, finish=_finish)


class LbankWire:
    """Answers as LBank would, with one limit for everything."""

    def __init__(self, market: SimulatedMarket) -> None:
        self.quotas = {"requests": Quota(200, 10_000)}
        self._market = market
        self._rows = market.rows[VENUE]
        self._instruments = orjson.Fragment(orjson.dumps([_instrument(row) for row in self._rows]))
        self._market_data = [_market_data(row) for row in self._rows]

    def answer(self, call: Call) -> Answer:
        """Reply to a GET; a path it does not know never gets past the edge."""
        handlers = {
            f"{_ROOT}getTime": self._time,
            f"{_ROOT}instrument": self._instrument_list,
            f"{_ROOT}marketData": self._all_market_data,
            f"{_ROOT}marketOrder": self._market_order,
        }
        if call.path not in handlers:
            return html_answer(403, "403 Forbidden")
        if not self.quotas["requests"].spend(1, call.now_ms):
            return self.too_many(call.now_ms)
        if call.path.endswith("marketOrder") and "symbol" not in call.query:
            return json_answer({"error_code": 500, "msg": "Internal Server Error", "success": False}, status=500)
        try:
            data = handlers[call.path](call)
        except Rejected as rejected:
            return _failure(rejected)
        return json_answer({"data": data, "error_code": 0, "msg": "Success", "result": "true", "success": True})

    def too_many(self, _: int) -> Answer:
        """Error 10004 with HTTP 200."""
        return _failure(Rejected(10004, "Request too frequent"))

    banned = too_many

    def _time(self, call: Call) -> Any:
        return call.now_ms

    def _instrument_list(self, call: Call) -> Any:
        return self._instruments if call.query.get("productGroup") == "SwapU" else []

    def _all_market_data(self, call: Call) -> Any:
        if call.query.get("productGroup") != "SwapU":
            return []
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        columns = (
            *(snapshot.last_price, snapshot.mark_price, snapshot.index_price),
            *(snapshot.high_price_24h, snapshot.low_price_24h, snapshot.open_price_24h),
            *(snapshot.volume_24h, snapshot.turnover_24h),
        )
        rows = fill(
            self._market_data,
            *(column.tolist() for column in columns),
            [
                f'"fundingRate":"{rate:.6f}","positionFeeRate":"{rate:.6f}",' if row.has_funding else ""
                for row, rate in zip(self._rows, snapshot.funding_rate.tolist(), strict=True)
            ],
            [next_settlement_ms(row, snapshot.time_ms) for row in self._rows],
            [_last_time_s(row, snapshot.time_ms) for row in self._rows],
        )
        return orjson.Fragment(f"[{rows}]")

    def _market_order(self, call: Call) -> Any:
        place = self._market.place(VENUE, call.query["symbol"])
        if place is None:
            raise Rejected(20156, "Invalid instrument")
        asked = whole_number(call.query.get("depth", "0"))
        if asked is None or asked > _MOST_LEVELS:
            raise Rejected(10001, "Invalid depth")
        row = self._rows[place]
        book = self._market.book(VENUE, row.id, asked or _DEFAULT_LEVELS, call.now_ms)
        return {
            "symbol": row.id,
            "asks": _levels(row, book.ask_ticks.tolist(), book.ask_quantity.tolist()),
            "bids": _levels(row, book.bid_ticks.tolist(), book.bid_quantity.tolist()),
        }


def _failure(rejected: Rejected) -> Answer:
    return json_answer({"error_code": rejected.code, "msg": rejected.message, "result": "false", "success": False})


def _last_time_s(row: Row, now_ms: int) -> int:
    # of the last trade: up to minutes ago on a quiet row
    quiet_s = int(min(max(150 * 86400 / row.volume_usdt_24h, 1), 300))
    return now_ms // 1000 // quiet_s * quiet_s


def _levels(row: Row, ticks: list[int], quantities: list[float]) -> list[dict[str, str]]:
    return [
        {
            "volume": f"{quantity:.{row.quantity_decimals}f}",
            "price": f"{tick * row.tick:.{row.price_decimals}f}",
            "orders": "1",
        }
        for tick, quantity in zip(ticks, quantities, strict=True)
    ]


def _instrument(row: Row) -> dict[str, Any]:
    return {
        "priceLimitUpperValue": 0.2,
        "symbol": row.id,
        "symbolName": row.id,
        "symbolAlias": row.alias,
        "volumeTick": row.step,
        "minOrderVolume": f"{row.step:.{row.quantity_decimals}f}",
        "maxOrderVolume": "1000000.0",
        "priceTick": row.tick,
        "baseCurrency": row.base,
        "priceCurrency": row.quote,
        "clearCurrency": row.quote,
        "volumeMultiple": 1.0,
        "exchangeID": "Exchange",
        "priceLimitLowerValue": 0.2,
        "needSuspend": int(row.kind is ListingKind.SUSPENDED),
        "defaultLeverage": 20.0,
        "minOrderCost": "5.0",
    }


def _market_data(row: Row) -> str:
    price, fine = f"%.{row.price_decimals}f", f"%.{row.price_decimals + 2}f"
    index = fine if row.has_index else "0.0%.0s"  # the value is taken and not shown
    return (
        f'{{"symbol":"{row.id}","lastPrice":"{price}","markedPrice":"{fine}","underlyingPrice":"{index}",'
        f'"highestPrice":"{price}","lowestPrice":"{price}","openPrice":"{price}",'
        f'"volume":"%.{row.quantity_decimals}f","turnover":"%.4f",%s'
        f'"positionFeeTime":"{row.funding_interval_h * HOUR_MS // 1000}","nextFeeTime":"%d",'
        '"instrumentStatus":"2","lastTime":"%d"}'
    )


WIRE = LbankWire
