"""What can go wrong with an answer, and where: pure functions from a good answer to a bad one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from fetchers.simulated.server import Fault, Spoil
from fetchers.simulated.wire import Answer, Call, Wire
from fetchers.venues import binance, bybit, lbank, mexc

#: by venue, the role of each endpoint and how its path begins
ENDPOINTS: Mapping[str, Mapping[str, str]] = {
    "binance": {
        "prices": binance.BOOK_TICKERS,
        "funding": binance.PREMIUM_INDEX,
        "day": binance.DAY_TICKERS,
        "book": binance.DEPTH,
        "trades": binance.TRADES,
        "open interest": binance.OPEN_INTEREST,
        "history": binance.OPEN_INTEREST_HISTORY,
        "candles": binance.CANDLES,
        "markets": binance.MARKETS,
        "clock": binance.CLOCK,
    },
    "bybit": {
        "prices": bybit.TICKERS,
        "book": bybit.DEPTH,
        "trades": bybit.TRADES,
        "history": bybit.OPEN_INTEREST_HISTORY,
        "candles": bybit.CANDLES,
        "markets": bybit.MARKETS,
        "clock": bybit.CLOCK,
    },
    "mexc": {
        "prices": f"{mexc.PREFIX}/ticker",
        "funding": f"{mexc.PREFIX}/funding_rate",
        "book": f"{mexc.PREFIX}/depth",
        "trades": f"{mexc.PREFIX}/deals",
        "candles": f"{mexc.PREFIX}/kline",
        "markets": f"{mexc.PREFIX}/detail",
        "clock": f"{mexc.PREFIX}/ping",
    },
    "lbank": {
        "prices": lbank.MARKET_DATA,
        "book": lbank.DEPTH,
        "markets": lbank.MARKETS,
        "clock": lbank.CLOCK,
    },
}
SKEW_MS, STALE_MS = 30_000, 3_600_000
GARBAGE: tuple[Any, ...] = ("", "x", None, -1, 1e300, "nan", [], True)
SIDES = {"b": "a", "bids": "asks", "bid1Price": "ask1Price", "bidPrice": "askPrice", "bid1": "ask1"}

Change = Callable[[str, Any], Any]  #: of a leaf: (field, value) -> value


def spoil(function: Callable[[Any], Any]) -> Spoil:
    """Return the fault that changes the decoded body of a good answer."""

    def spoilt(_: Wire, __: Call, answer: Answer) -> Answer:
        return replace(answer, body=orjson.dumps(function(orjson.loads(answer.body))))

    return spoilt


def changed(value: Any, change: Change, field: str = "") -> Any:
    """Return a JSON value with every leaf changed."""
    if isinstance(value, dict):
        return {key: changed(inner, change, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [changed(inner, change, field) for inner in value]
    return change(field, value)


def _garbage() -> Spoil:
    random = np.random.default_rng(7)

    def change(field: str, value: Any) -> Any:
        is_number = field not in {"code", "retCode", "error_code", "success"} and _number(value) is not None
        return GARBAGE[int(random.integers(len(GARBAGE)))] if is_number else value

    return spoil(lambda body: changed(body, change))


def _missing_fields() -> Spoil:
    random = np.random.default_rng(8)

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if random.random() < 0.5}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return spoil(without)


def _shifted(by_ms: float) -> Spoil:
    def change(_: str, value: Any) -> Any:
        number = _number(value)
        if number is None:
            return value
        unit_ms = next((unit for unit in (1, 1000) if 1.6e12 < number * unit < 1.9e12), None)
        if unit_ms is None:
            return value
        moved = int(number + by_ms / unit_ms)
        return str(moved) if isinstance(value, str) else moved

    return spoil(lambda body: changed(body, change))


def _frozen() -> Spoil:
    first: dict[tuple[str, str], Answer] = {}

    def spoilt(_: Wire, call: Call, answer: Answer) -> Answer:
        return first.setdefault((call.path, call.query.get("symbol", "")), answer)

    return spoilt


def _crossed(value: Any) -> Any:
    if isinstance(value, list):
        return [_crossed(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    swapped = {key: _crossed(inner) for key, inner in value.items()}
    for bid, ask in SIDES.items():
        if bid in value and ask in value:
            swapped[bid], swapped[ask] = value[ask], value[bid]
    return swapped


def _without_sides(value: Any) -> Any:
    if isinstance(value, dict):
        books = {"b", "a", "bids", "asks"}
        return {key: [] if key in books else _without_sides(inner) for key, inner in value.items()}
    return value


def _doubled(value: Any) -> Any:
    """Repeat the longest list in it and put it out of order."""
    random = np.random.default_rng(9)

    def doubled(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {key: doubled(one) for key, one in inner.items()}
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return [inner[i] for i in random.permutation(np.repeat(np.arange(len(inner)), 2)).tolist()]
        return inner

    return doubled(value)


def delisted(coins: frozenset[str]) -> Spoil:
    """Return the fault in which these coins are gone from every list, and unknown when asked for."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [
                without(inner)
                for inner in value
                if not (isinstance(inner, dict) and _coin(inner.get("symbol")) in coins)
            ]
        return value

    def spoilt(wire: Wire, call: Call, answer: Answer) -> Answer:
        symbol = call.query.get("symbol") or call.path.rpartition("/")[2]
        if _coin(symbol) not in coins:
            return replace(answer, body=orjson.dumps(without(orjson.loads(answer.body))))
        query = {**call.query, "symbol": "GONEUSDT"} if "symbol" in call.query else call.query
        return wire.answer(replace(call, path=call.path.replace(symbol, "GONE_USDT"), query=query))

    return spoilt


def faults_of(venue: str, role: str) -> Iterator[tuple[str, Fault]]:
    """Yield what can go wrong with this endpoint."""
    yield "timeout", "slow"
    yield "hang", "hang"
    yield "reset", "reset"
    yield "429", "too_many"
    if venue == "binance":
        yield "418", "banned"
    yield "403 HTML", "forbidden"
    yield "403 of a country", "country"
    yield "500", "server_error"
    yield "empty 200", "empty"
    yield "HTML 200", "html"
    yield "truncated JSON", "truncated"
    yield "garbage numbers", _garbage()
    yield "missing fields", _missing_fields()
    yield "stale times", _shifted(-STALE_MS)
    yield "clock skew 30 s ahead", _shifted(SKEW_MS)
    yield "clock skew 30 s behind", _shifted(-SKEW_MS)
    yield "frozen", _frozen()
    if role in {"prices", "book"}:
        yield "crossed", spoil(_crossed)
    if role == "book":
        yield "empty book", spoil(_without_sides)
    if role == "trades":
        yield "duplicated and out of order", spoil(_doubled)


def _coin(symbol: object) -> str:
    return str(symbol).replace("_", "").removesuffix("USDT")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None
