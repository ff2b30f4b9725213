"""Thousands of damaged replies through every parser: a correct record or a named error, nothing else."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import orjson
import pytest

from features.facts.market import Candles, OpenInterest, OrderBook, Quotes, Trades
from fetchers.errors import BadPayload, FetchError, RateLimited, UnknownSymbol
from fetchers.parsing.new_trades import NewTrades
from fetchers.venues import binance, bybit, lbank, mexc
from tests.builders import NOW_MS
from tests.fetchers.replies import ARRIVAL, recorded, reply
from tests.fetchers.venues import test_bybit, test_lbank, test_mexc

REPLIES_EACH = 100  #: of every parser; 24 of them
MINUTE = [NOW_MS - 60_000, "1.0", "1.2", "0.9", "1.1", "5", NOW_MS, "5", 3, "1", "1", "0"]
BINANCE_PRINT = {"id": 7, "price": "2.5", "qty": "10", "time": NOW_MS - 500, "isBuyerMaker": True}
PREMIUM = {"symbol": "A", "markPrice": "1", "indexPrice": "1", "lastFundingRate": "0.0001", "time": NOW_MS}
MEXC_KLINE = {"time": [NOW_MS // 1000 - 60], "open": [1.0], "high": [1.2], "low": [0.9], "close": [1.1], "vol": [7]}

Parse = Callable[[Any], Any]
PARSERS: Mapping[str, tuple[Parse, Any]] = {
    "binance bookTicker": (
        lambda body: binance.parse_book_tickers(body, ARRIVAL),
        [{"symbol": key, "bidPrice": "1.0", "askPrice": "1.1", "time": NOW_MS - 9} for key in "ABC"],
    ),
    "binance premiumIndex": (
        lambda body: binance.parse_premium_index(body, {"A": 4.0}, ARRIVAL),
        [PREMIUM, {**PREMIUM, "symbol": "B"}],
    ),
    "binance ticker/24hr": (
        lambda body: binance.parse_day_tickers(body, ARRIVAL),
        [{"symbol": key, "volume": "12.5", "quoteVolume": "99.1"} for key in "AB"],
    ),
    "binance depth": (
        lambda body: binance.parse_order_book(body, "A", ARRIVAL),
        recorded("binance/depth_CTKUSDT.json"),
    ),
    "binance trades": (
        lambda body: binance.parse_trades(body, "A", 200, None, ARRIVAL),
        [BINANCE_PRINT, {**BINANCE_PRINT, "id": 8, "isBuyerMaker": False}],
    ),
    "binance openInterest": (
        lambda body: binance.parse_open_interest(body, "A", ARRIVAL),
        {"openInterest": "10659.509", "symbol": "A", "time": NOW_MS - 5},
    ),
    "binance openInterestHist": (
        lambda body: binance.parse_open_interest_history(body, "A", ARRIVAL),
        [{"symbol": "A", "sumOpenInterest": "20403.6", "timestamp": str(NOW_MS - at)} for at in (600_000, 300_000)],
    ),
    "binance klines": (
        lambda body: binance.parse_candles(body, "A", ARRIVAL),
        [[NOW_MS - 120_000, *MINUTE[1:]], MINUTE],
    ),
    "binance time": (binance.parse_clock, {"serverTime": NOW_MS}),
    "bybit tickers": (lambda body: bybit.parse_tickers(body, ARRIVAL), recorded("bybit/tickers.json")),
    "bybit orderbook": (lambda body: bybit.parse_order_book(body, "A", ARRIVAL), test_bybit.envelope(test_bybit.BOOK)),
    "bybit recent-trade": (
        lambda body: bybit.parse_trades(body, "A", 200, None, ARRIVAL),
        test_bybit.envelope({"list": [{**test_bybit.PRINT, "execId": key} for key in "abc"]}),
    ),
    "bybit open-interest": (
        lambda body: bybit.parse_open_interest_history(body, "A", ARRIVAL),
        recorded("bybit/open_interest.json"),
    ),
    "bybit kline": (
        lambda body: bybit.parse_candles(body, "A", ARRIVAL),
        test_bybit.envelope({"list": [[str(NOW_MS), "1", "2", "0.5", "1.5", "9", "9"]]}),
    ),
    "bybit instruments-info": (bybit.parse_market_page, test_bybit.envelope({"list": [{}], "nextPageCursor": "x"})),
    "bybit time": (bybit.parse_clock, test_bybit.envelope({})),
    "mexc ticker": (
        lambda body: mexc.parse_ticker(body, {"PEPE_USDT": 1e7}, ARRIVAL),
        test_mexc.envelope([test_mexc.TICKER, {**test_mexc.TICKER, "symbol": "A_USDT"}]),
    ),
    "mexc funding_rate": (
        lambda body: mexc.parse_funding(body, ARRIVAL),
        test_mexc.envelope([{"symbol": "A_USDT", "fundingRate": 6.7e-05, "collectCycle": 8, "timestamp": NOW_MS}]),
    ),
    "mexc depth": (
        lambda body: mexc.parse_order_book(body, "A_USDT", 1e7, ARRIVAL),
        test_mexc.envelope(test_mexc.BOOK),
    ),
    "mexc deals": (
        lambda body: mexc.parse_trades(body, "A_USDT", 1e-4, None, ARRIVAL),
        test_mexc.envelope([test_mexc.PRINT, {**test_mexc.PRINT, "T": 2}]),
    ),
    "mexc kline": (lambda body: mexc.parse_candles(body, "A_USDT", 10.0, ARRIVAL), test_mexc.envelope(MEXC_KLINE)),
    "mexc ping": (mexc.parse_clock, test_mexc.envelope(NOW_MS)),
    "lbank marketData": (
        lambda body: lbank.parse_market_data(body, ARRIVAL),
        test_lbank.envelope([test_lbank.ROW, {**test_lbank.ROW, "symbol": "B"}]),
    ),
    "lbank marketOrder": (
        lambda body: lbank.parse_order_book(body, "A", ARRIVAL),
        test_lbank.envelope(test_lbank.BOOK),
    ),
    "lbank getTime": (lbank.parse_clock, test_lbank.envelope(NOW_MS)),
}
GARBAGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 2.5, -0.0, 1e-320, 1e300, 2**63, 2**64 - 1, NOW_MS, NOW_MS // 1000),
    *("", "x", "0", "-1", "1e999", "nan", "-inf", "1_0", "é", "\x00", "5" * 400, str(NOW_MS)),
    *([], {}, [[]], [None], ["1", "2"], {"symbol": "A"}, [{"symbol": "A"}], [["1", "2"]]),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where everything inside a JSON value is, itself included."""
    found = [path]
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += paths(inner, (*path, key))
    return found


def damage(body: Any, random: np.random.Generator) -> Any:
    """Return the body with one to three of its parts replaced, left out, repeated, swapped or cut short."""
    root = [copy.deepcopy(body)]
    for _ in range(int(random.integers(1, 4))):
        places = paths(root[0])
        *way, key = (0, *places[int(random.integers(len(places)))])
        parent: Any = root
        for step in way:
            parent = parent[step]
        match int(random.integers(5)):
            case 0 if isinstance(parent, dict):
                del parent[key]
            case 1 if isinstance(parent, list) and parent is not root:
                parent.insert(int(random.integers(len(parent) + 1)), copy.deepcopy(parent[key]))
            case 2 if isinstance(parent, list) and parent is not root:
                random.shuffle(parent)
            case 3 if isinstance(parent, list) and parent is not root:
                del parent[key:]
            case _:
                parent[key] = copy.deepcopy(GARBAGE[int(random.integers(len(GARBAGE)))])
    return root[0]


def check(result: Any) -> None:
    """Fail unless the result is as its record's docstring says."""
    match result:
        case Quotes():
            columns = [getattr(result, field.name) for field in fields(result)]
            arrays = [column for column in columns if isinstance(column, np.ndarray)]
            assert {len(array) for array in arrays} == {len(result.ids)}
            assert result.exchange_ms.max() <= NOW_MS
            assert not any(np.isinf(array).any() for array in arrays)
            prices = [result.bid_price, result.ask_price, result.mark_price, result.index_price]
            assert all(not (price <= 0).any() for price in prices if price is not None)
            assert all(type(key) is str for key in result.ids)
        case OrderBook():
            assert result.exchange_ms <= NOW_MS
            assert len(result.bid_price) == len(result.bid_quantity)
            assert len(result.ask_price) == len(result.ask_quantity)
        case NewTrades(trades=Trades() as trades, seen=seen):
            assert len({len(trades.time_ms), len(trades.price), len(trades.quantity), len(trades.is_taker_sell)}) == 1
            assert np.isfinite(trades.price).all()
            assert np.isfinite(trades.quantity).all()
            assert ((trades.time_ms > 0) & (trades.time_ms <= NOW_MS)).all()
            assert len(seen.keys) >= len(trades.price)  # MEXC's self-trades are remembered and are no trades
        case OpenInterest():
            assert 0 <= result.open_interest_base < np.inf
            assert 0 < result.exchange_ms <= NOW_MS
        case Candles():
            assert (result.low <= result.open).all()
            assert (result.high >= result.close).all()
            assert (np.diff(result.open_ms) > 0).all()
        case float() | int():
            assert 1e12 <= result <= 1e13
        case (list(), str()):
            pass
        case tuple():
            for point in result:
                check(point)
        case _:
            pytest.fail(f"{result!r} is no record")


def outcome(function: Callable[[Any], Any], argument: Any) -> Any:
    """Return the result, or the FetchError instead of it."""
    try:
        return function(argument)
    except FetchError as error:
        return error


@pytest.mark.parametrize("name", list(PARSERS))
def test_a_parser_takes_what_is_good(name: str) -> None:
    """The bodies that are damaged below are read before they are."""
    parse, body = PARSERS[name]
    check(parse(body))


@pytest.mark.parametrize("name", list(PARSERS))
def test_a_damaged_reply_is_a_record_or_a_named_error(name: str) -> None:
    """Whatever is wrong with it, and the error begins with the venue and the call."""
    records, errors = fuzz(name, REPLIES_EACH)
    assert records + errors == REPLIES_EACH


def fuzz(name: str, replies: int) -> tuple[int, int]:
    """Send so many damaged replies through a parser and return how many records and how many named errors came out."""
    parse, body = PARSERS[name]
    random = np.random.default_rng(list(name.encode()))
    records = 0
    for _ in range(replies):
        damaged = orjson.loads(orjson.dumps(damage(body, random)))
        result = outcome(parse, damaged)
        if isinstance(result, FetchError):
            assert isinstance(result, BadPayload | UnknownSymbol)
            assert str(result).startswith(name)
        else:
            check(result)
            records += 1
    return records, replies - records


@pytest.mark.parametrize("venue", ["binance", "bybit", "mexc", "lbank"])
def test_a_judge_says_nothing_or_names_the_error(venue: str) -> None:
    """Whatever the status and the body, and a hold always ends within days."""
    raise_for_reply = {"binance": binance, "bybit": bybit, "mexc": mexc, "lbank": lbank}[venue].raise_for_reply
    random = np.random.default_rng(list(venue.encode()))
    refusal = {"code": 510, "msg": "banned until 1700000345678.", "retCode": 10006, "error_code": 183, "success": False}
    for _ in range(REPLIES_EACH):
        status = int(random.choice([200, 400, 403, 418, 429, 451, 500]))
        damaged = damage(refusal, random)
        headers = {"Retry-After": str(random.choice(["3", "x", "-1", "9" * 30]))}
        body = damaged if isinstance(damaged, dict) else b"?"
        result = outcome(raise_for_reply, reply(body, status=status, headers=headers))
        assert result is None or isinstance(result, FetchError)
        if isinstance(result, RateLimited):
            assert NOW_MS <= result.until_ms <= NOW_MS + 3 * 86_400_000
