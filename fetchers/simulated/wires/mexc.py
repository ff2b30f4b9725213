"""MEXC's public contract REST, as docs/venues.md has it: sizes in contracts, numbers as numbers.

Over 300 lines on purpose: a venue's wire is one file, so that adding or checking one means reading one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from fetchers.simulated.candles import CandlesOf
from fetchers.simulated.coins import ListingRules, Row
from fetchers.simulated.limits import Quota
from fetchers.simulated.market import MAX_LEVELS, SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import SetupPlan
from fetchers.simulated.wire import (
    Answer,
    Call,
    Rejected,
    fill,
    html_answer,
    json_answer,
    next_settlement_ms,
    whole_number,
)

VENUE = "mexc"
LISTING = ListingRules(rank=3, id_suffix="_USDT", counts_contracts=True)
SETUPS = (
    SetupPlan(coin="KORVA", at=0.0, fate="timeout"),  # the first, since a timeout takes longest
    SetupPlan(coin="VERTA", at=3 / 6, lacks="sweep"),
    SetupPlan(coin="ZELIM", at=1.0, lacks="stale_data"),
)
_INNOVATION_BELOW_USDT = 700_000.0  # of volume a day: none of the planted coins
_PLATES = {
    ListingKind.STOCK: ["mc-trade-zone-tradfi", "mc-trade-zone-stock"],
    ListingKind.COMMODITY: ["mc-trade-zone-tradfi"],
}
_INTERVALS = {"Min1": 60, "Min5": 300, "Min15": 900, "Min30": 1800, "Min60": 3600, "Hour4": 14_400}  # [s]
_ROOT = "/api/v1/contract/"
_WINDOW_MS = 2_000
_TOO_MANY = Rejected(510, "Requests are too frequent, please try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    handle: Callable[["MexcWire", Call], Any]
    limit: int  #: requests in two seconds
    optional: frozenset[str] = frozenset()


class MexcWire:
    """Answers as MEXC would, each endpoint with its own limit."""

    def __init__(self, market: SimulatedMarket) -> None:
        self.quotas = {name: Quota(endpoint.limit, _WINDOW_MS) for name, endpoint in self._endpoints.items()}
        self._market = market
        self._rows = market.rows[VENUE]
        self._listed = [i for i, row in enumerate(self._rows) if row.kind is not ListingKind.SUSPENDED]
        self._details = orjson.dumps(
            {"success": True, "code": 0, "data": [_detail(i, row) for i, row in enumerate(self._rows)]}
        )
        self._ticker = [_ticker(i, row) for i, row in enumerate(self._rows)]
        self._funding = [_funding(row) for row in self._rows]
        # how old a row's last trade is at most [ms]: its ticker's timestamp lags by up to that
        self._quiet_ms = [int(min(150 / (row.volume_usdt_24h / 86400), 60) * 1000) + 400 for row in self._rows]

    def answer(self, call: Call) -> Answer:
        """Reply to a GET; errors come with HTTP 200 and a code."""
        path = call.path.removeprefix(_ROOT)
        name = path[: path.rfind("/") + 1] or path
        endpoint = self._endpoints.get(name)
        if not call.path.startswith(_ROOT) or endpoint is None:
            return html_answer(404, "404 Not Found")
        if not self.quotas[name].spend(1, call.now_ms):
            return self.too_many(call.now_ms)
        try:
            if wrong := call.query.keys() - endpoint.optional:
                raise Rejected(600, f"Parameter error: {', '.join(sorted(wrong))}")
            data = endpoint.handle(self, call)
        except Rejected as rejected:
            return _failure(rejected)
        return data if isinstance(data, Answer) else json_answer({"success": True, "code": 0, "data": data})

    def too_many(self, _: int) -> Answer:
        """Code 510 in a JSON body."""
        return _failure(_TOO_MANY)

    banned = too_many

    def _place(self, call: Call) -> int:
        place = self._market.place(VENUE, _symbol(call))
        if place is None or self._rows[place].kind is ListingKind.SUSPENDED:
            raise Rejected(1001, "Contract does not exist!")
        return place

    def _row(self, call: Call) -> Row:
        return self._rows[self._place(call)]

    def _ping(self, call: Call) -> Any:
        return call.now_ms

    def _all_details(self, _: Call) -> Any:
        return Answer(body=self._details)

    def _tickers(self, call: Call) -> Any:
        snapshot = self._market.snapshot(VENUE, call.now_ms)
        contracts = [self._rows[i].contract_size for i in self._listed]
        change = snapshot.last_price - snapshot.open_price_24h
        columns = (
            *(snapshot.last_price, snapshot.bid_price, snapshot.ask_price),
            *(snapshot.turnover_24h, snapshot.low_price_24h, snapshot.high_price_24h),
            *(change / snapshot.open_price_24h, change, snapshot.index_price, snapshot.mark_price),
            *(snapshot.funding_rate, 1.1 * snapshot.mark_price, 0.9 * snapshot.mark_price),
        )
        # the last trade's time: repeats until the next one, and lags by what the row's trades are apart
        last_trade_ms = [snapshot.time_ms - snapshot.time_ms % self._quiet_ms[i] for i in self._listed]
        return orjson.Fragment(
            "["
            + fill(
                [self._ticker[i] for i in self._listed],
                *(column[self._listed].tolist() for column in columns),
                (snapshot.volume_24h[self._listed] / contracts).tolist(),
                (snapshot.open_interest[self._listed] / contracts).tolist(),
                last_trade_ms,
            )
            + "]"
        )

    def _fundings(self, call: Call) -> Any:
        rows = self._funding_rows(self._listed, call.now_ms)
        return orjson.Fragment(f"[{rows}]")

    def _funding_of(self, call: Call) -> Any:
        return orjson.Fragment(self._funding_rows([self._place(call)], call.now_ms))

    def _funding_rows(self, places: list[int], now_ms: int) -> str:
        snapshot = self._market.snapshot(VENUE, now_ms)
        return fill(
            [self._funding[i] for i in places],
            snapshot.funding_rate[places].tolist(),
            [next_settlement_ms(self._rows[i], snapshot.time_ms) for i in places],
            [snapshot.time_ms] * len(places),
            snapshot.index_price[places].tolist(),
            snapshot.mark_price[places].tolist(),
        )

    def _depth(self, call: Call) -> Any:
        place = self._market.place(VENUE, _symbol(call))
        if place is not None and self._rows[place].kind is ListingKind.SUSPENDED:
            # gone from the list, but its depth goes on answering
            start_ms = self._market.start_ms
            return {"cts": None, "asks": [], "bids": [], "version": 7, "timestamp": start_ms - 864_000_000}
        row = self._row(call)
        limit = _number(call.query, "limit", MAX_LEVELS, most=10_000)
        book = self._market.book(VENUE, row.id, limit, call.now_ms)
        return {
            "cts": None,
            "asks": _forgotten(_levels(row, book.ask_ticks.tolist(), book.ask_quantity.tolist()), book.sequence),
            "bids": _levels(row, book.bid_ticks.tolist(), book.bid_quantity.tolist()),
            "version": book.sequence if book.sequence % 2 else str(book.sequence),  # it changes its mind
            "timestamp": book.time_ms,
        }

    def _deals(self, call: Call) -> Any:
        row = self._row(call)
        found = self._market.last_prints(VENUE, row.id, _number(call.query, "limit", 100, most=100), call.now_ms)
        return [
            {
                "p": _price(row, ticks),
                "v": round(quantity / row.contract_size),
                "T": 2 if is_sell else 1,
                "O": 3,
                "M": 2,
                "t": time_ms,
            }
            for ticks, quantity, is_sell, time_ms in zip(
                found.price_ticks[::-1].tolist(),
                found.quantity[::-1].tolist(),
                found.is_sell[::-1].tolist(),
                found.time_ms[::-1].tolist(),
                strict=True,
            )
        ]

    def _kline(self, call: Call) -> Any:
        return self._candles(call, self._market.candles)

    def _mark_kline(self, call: Call) -> Any:
        return self._candles(call, self._market.mark_candles)

    def _candles(self, call: Call, candles_of: CandlesOf) -> Any:
        row = self._row(call)
        interval_s = _INTERVALS.get(call.query.get("interval", "Min1"))
        if interval_s is None:
            raise Rejected(600, "Parameter error: interval")
        interval_ms = 1000 * interval_s
        last_ms = min(call.now_ms, _number(call.query, "end", call.now_ms // 1000) * 1000) // interval_ms * interval_ms
        first_ms = last_ms - 1999 * interval_ms
        if "start" in call.query:
            first_ms = max(first_ms, -(-_number(call.query, "start", 0) * 1000 // interval_ms) * interval_ms)
        candles = candles_of(VENUE, row.id, first_ms, last_ms, call.now_ms, interval_ms) if first_ms <= last_ms else []
        digits = row.price_decimals
        prices = {
            name: [round(getattr(candle, name), digits) for candle in candles]
            for name in ("open", "close", "high", "low")
        }
        return {
            "time": [candle.open_ms // 1000 for candle in candles],
            **prices,
            "vol": [round(candle.volume / row.contract_size) for candle in candles],
            "amount": [round(candle.turnover, 6) for candle in candles],
            **{f"real{name.title()}": values for name, values in prices.items()},
        }

    # A trailing slash is in the place of the symbol
    _endpoints: ClassVar[Mapping[str, _Endpoint]] = {
        "ping": _Endpoint(handle=_ping, limit=20),
        "detail": _Endpoint(handle=_all_details, limit=10),
        "ticker": _Endpoint(handle=_tickers, limit=10),
        "funding_rate": _Endpoint(handle=_fundings, limit=20),
        "funding_rate/": _Endpoint(handle=_funding_of, limit=20),
        "depth/": _Endpoint(handle=_depth, limit=10, optional=frozenset({"limit"})),
        "deals/": _Endpoint(handle=_deals, limit=20, optional=frozenset({"limit"})),
        "kline/fair_price/": _Endpoint(handle=_mark_kline, limit=20, optional=frozenset({"interval", "start", "end"})),
        "kline/": _Endpoint(handle=_kline, limit=20, optional=frozenset({"interval", "start", "end"})),
    }


def _symbol(call: Call) -> str:
    return call.path.rpartition("/")[2]


def _failure(rejected: Rejected) -> Answer:
    return json_answer({"success": False, "code": rejected.code, "message": rejected.message})


def _number(query: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    value = whole_number(query.get(name, str(default)))
    if value is None or (most is not None and not 1 <= value <= most):
        raise Rejected(600, f"Parameter error: {name}")
    return value


def _price(row: Row, ticks: int) -> float:
    return round(ticks * row.tick, row.price_decimals)


def _levels(row: Row, ticks: list[int], quantities: list[float]) -> list[list[float]]:
    return [
        [_price(row, tick), round(quantity / row.contract_size), 1]
        for tick, quantity in zip(ticks, quantities, strict=True)
    ]


def _forgotten(rows: list[list[float]], sequence: int) -> list[list[float]]:
    # now and then the last level is one that is gone
    return [*rows[:-1], [rows[-1][0], 0, 0]] if rows and sequence % 7 == 0 else rows


def _detail(place: int, row: Row) -> dict[str, Any]:
    is_coin = row.kind is ListingKind.PERPETUAL
    is_innovation = is_coin and row.volume_usdt_24h < _INNOVATION_BELOW_USDT
    return {
        "symbol": row.id,
        "displayName": f"{row.id}永续",
        "displayNameEn": f"{row.id} PERPETUAL",
        "positionOpenType": 3,
        "baseCoin": f"{row.base}OFFICIAL" if is_coin and place % 3 == 0 else row.base,  # a code of its own
        "quoteCoin": row.quote,
        "baseCoinName": row.base,
        "quoteCoinName": row.quote,
        "settleCoin": row.base if row.kind is ListingKind.INVERSE else row.quote,
        "futureType": 1,
        "contractSize": row.contract_size,
        "minLeverage": 1,
        "maxLeverage": 50,
        "priceScale": row.price_decimals,
        "volScale": 0,
        "amountScale": 4,
        "priceUnit": row.tick,
        "volUnit": 1,
        "minVol": 1,
        "maxVol": 1000000,
        "takerFeeRate": 0.001 if is_innovation else 0.0002,
        "makerFeeRate": 0,
        "maintenanceMarginRate": 0.01,
        "initialMarginRate": 0.02,
        "indexOrigin": ["BINANCE", "MEXC"],
        "state": 3 if row.kind is ListingKind.SUSPENDED else 0,
        "isNew": False,
        "isHot": False,
        "isHidden": row.kind is ListingKind.SUSPENDED,
        "apiAllowed": row.kind is not ListingKind.SUSPENDED and not is_innovation,
        "conceptPlate": _PLATES.get(row.kind, ["mc-trade-zone-meme"]),
        "type": 2 if row.kind is ListingKind.COMMODITY else 1,  # it has not all that is no coin
        "id": place + 10,
    }


def _ticker(place: int, row: Row) -> str:
    price, fine = f"%.{row.price_decimals}f", f"%.{row.price_decimals + 2}f"
    return (
        f'{{"contractId":{place + 10},"symbol":"{row.id}","lastPrice":{price},"bid1":{price},"ask1":{price},'
        f'"amount24":%.4f,"lower24Price":{price},"high24Price":{price},"riseFallRate":%.4f,"riseFallValue":{price},'
        f'"indexPrice":{fine},"fairPrice":{fine},"fundingRate":%.6f,"maxBidPrice":{price},"minAskPrice":{price},'
        '"volume24":%d,"holdVol":%d,"timestamp":%d}'
    )


def _funding(row: Row) -> str:
    fine = f"%.{row.price_decimals + 2}f"
    return (
        f'{{"symbol":"{row.id}","fundingRate":%.6f,"maxFundingRate":0.0018,"minFundingRate":-0.0018,'
        f'"collectCycle":{row.funding_interval_h},"nextSettleTime":%d,"timestamp":%d,"idxPrice":{fine},'
        f'"fairPrice":{fine}}}'
    )


WIRE = MexcWire
