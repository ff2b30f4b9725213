"""MEXC's replies, as documented and damaged, and what its refusals mean; over HTTP see test_venues.py."""

from itertools import product
from typing import Any

import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fetchers.errors import BadPayload, RateLimited, UnknownSymbol
from fetchers.parsing.market_lists import parse_markets
from fetchers.venues.mexc import (
    BOOK_LEVELS,
    CCXT,
    listing,
    parse_candles,
    parse_clock,
    parse_funding,
    parse_order_book,
    parse_ticker,
    parse_trades,
    raise_for_reply,
)
from tests.builders import NOW_MS
from tests.fetchers.replies import ARRIVAL, reply

MARKET: dict[str, Any] = {
    "symbol": "GAS_USDT",
    "baseCoin": "GAS",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "futureType": 1,
    "contractSize": 0.1,
    "priceUnit": 0.001,
    "volUnit": 1,
    "state": 0,
    "isHidden": False,
    "apiAllowed": False,
    "type": 1,
}
TICKER = {
    "contractId": 10,
    "symbol": "PEPE_USDT",
    "lastPrice": 1.1e-05,
    "bid1": 1.1e-05,
    "ask1": 1.2e-05,
    "volume24": 20,
    "amount24": 2300.5,
    "holdVol": 30,
    "indexPrice": 1.15e-05,
    "fairPrice": 1.16e-05,
    "fundingRate": 0,
    "timestamp": NOW_MS - 60_000,
}
BOOK = {
    "cts": None,
    "asks": [[108779.2, 3240, 1], [108779.3, 5, 2]],
    "bids": [[108779.1, 3240, 1]],
    "version": 28111438870,
    "timestamp": NOW_MS - 300,
}
PRINT = {"p": 109177.4, "v": 14, "T": 1, "O": 1, "M": 2, "t": NOW_MS - 500}


def envelope(data: Any) -> dict[str, Any]:
    """What MEXC puts around everything."""
    return {"success": True, "code": 0, "data": data}


@pytest.mark.parametrize(("changed", "dropped"), [
    ({}, ""),
    ({"type": 2}, "not crypto"),
    ({"state": 4}, "not trading"),
    ({"isHidden": True}, "hidden"),
    ({"futureType": 2}, "delivery"),
    ({"settleCoin": "GAS", "quoteCoin": "USD"}, "not USDT"),
    ({"settleCoin": "USDC", "quoteCoin": "USDC"}, "not USDT"),
    ({"contractSize": 0}, "unreadable"),
    ({"contractSize": None}, "unreadable"),
    ({"priceUnit": 1e300}, "unreadable"),
])  # fmt: skip
async def test_what_is_kept_of_the_market_list(changed: dict[str, Any], dropped: str) -> None:
    """A row is dropped for the reason that its own marks give, and an odd one costs only itself."""
    good, row = await parse_markets(CCXT, [MARKET, {**MARKET, **changed}], listing)
    assert good.dropped == ""
    assert row.dropped == dropped


async def test_names_are_the_venues_not_ccxts() -> None:
    """For ccxt base is GASDAO; people on MEXC, and the other venues, call it GAS."""
    (row,) = await parse_markets(CCXT, [MARKET], listing)
    assert (row.instrument.id, row.instrument.base, row.instrument.coin) == ("GAS_USDT", "GAS", "GAS")
    assert (row.instrument.contract_size, row.instrument.tick_size) == (0.1, 0.001)


def test_tickers_count_contracts() -> None:
    """Open interest and volume become coins, prices are per coin, and a quiet row is as fresh as the newest."""
    newest = {**TICKER, "symbol": "NEW_USDT", "timestamp": NOW_MS - 700}
    quotes = parse_ticker(envelope([TICKER, newest]), {"PEPE_USDT": 1e7}, ARRIVAL)
    assert quotes.open_interest_base is not None
    assert quotes.volume_base_24h is not None
    assert_array_equal(quotes.open_interest_base, [3e8, float("nan")])
    assert_array_equal(quotes.volume_base_24h, [2e8, float("nan")])
    assert quotes.bid_price is not None
    assert quotes.bid_price[1] == 1.1e-05
    assert_array_equal(quotes.exchange_ms, [NOW_MS - 700, NOW_MS - 700])


def test_funding() -> None:
    """Rates with their own interval, at the row's own time."""
    row = {"symbol": "PEPE_USDT", "fundingRate": -6.7e-05, "collectCycle": 4, "timestamp": NOW_MS - 900}
    quotes = parse_funding(envelope([row]), ARRIVAL)
    assert quotes.funding_rate is not None
    assert quotes.funding_interval_h is not None
    assert (quotes.funding_rate[0], quotes.funding_interval_h[0], quotes.exchange_ms[0]) == (
        -6.7e-05,
        4.0,
        NOW_MS - 900,
    )


def test_a_book_counts_contracts() -> None:
    """A level is price, contracts and number of orders."""
    book = parse_order_book(envelope(BOOK), "BTC_USDT", 1e-4, ARRIVAL)
    assert_allclose(book.ask_price, [108779.2, 108779.3])
    assert_allclose(book.ask_quantity, [0.324, 0.0005])
    assert (book.sequence, book.exchange_ms) == (28111438870, NOW_MS - 300)


@pytest.mark.parametrize(
    "changed",
    [{"bids": None}, {"asks": [[1, 0, 1]]}, {"asks": [[2, 1, 1], [1, 1, 1]]}, {"timestamp": None}],
)
def test_a_damaged_book_is_refused(changed: dict[str, Any]) -> None:
    """Missing or impossible members lose the book, never bend it."""
    with pytest.raises(BadPayload, match="mexc depth BTC_USDT"):
        parse_order_book(envelope({**BOOK, **changed}), "BTC_USDT", 1e-4, ARRIVAL)


def test_an_empty_and_frozen_book_is_a_delisted_contracts() -> None:
    """MEXC answers with success for what it no longer lists; an empty book of now is only empty."""
    empty = {**BOOK, "asks": [], "bids": []}
    assert len(parse_order_book(envelope(empty), "BTC_USDT", 1e-4, ARRIVAL).bid_price) == 0
    with pytest.raises(UnknownSymbol, match="delisted"):
        parse_order_book(envelope({**empty, "timestamp": NOW_MS - 61_000}), "BTC_USDT", 1e-4, ARRIVAL)


def test_prints_without_ids_are_counted() -> None:
    """Two fills alike in everything are two; in the next reply the same two are known and a third is news."""
    first = parse_trades(envelope([PRINT, PRINT]), "BTC_USDT", 1e-4, None, ARRIVAL)
    assert_allclose(first.trades.quantity, [0.0014, 0.0014])
    assert_array_equal(first.trades.is_taker_sell, [False, False])
    newer = {**PRINT, "T": 2, "t": NOW_MS - 400}
    second = parse_trades(envelope([newer, PRINT, PRINT, PRINT]), "BTC_USDT", 1e-4, first.seen, ARRIVAL)
    assert_array_equal(second.trades.time_ms, [NOW_MS - 500, NOW_MS - 400])
    assert second.trades.continues


def test_a_self_trade_is_nobodys_flow() -> None:
    """It is left out of the prints, and remembered, so that the next reply still continues."""
    rows = [{"p": 1.0, "v": 1, "T": 2, "O": 1, "M": own, "t": NOW_MS - age} for age, own in ((9, 1), (20, 2), (30, 2))]
    first = parse_trades(envelope(rows[1:]), "BTC_USDT", 1.0, None, ARRIVAL)
    news = parse_trades(envelope(rows), "BTC_USDT", 1.0, first.seen, ARRIVAL)
    assert (len(first.trades.time_ms), len(news.trades.time_ms), news.trades.continues) == (2, 0, True)
    newer = [{"p": 2.0, "v": 1, "T": 1, "O": 1, "M": 2, "t": NOW_MS - 5}, rows[0]]
    last = parse_trades(envelope(newer), "BTC_USDT", 1.0, news.seen, ARRIVAL)
    assert (last.trades.price.tolist(), last.trades.continues) == ([2.0], True)


@pytest.mark.parametrize(("field", "value"), [*product("pvTt", [None, "x", -1, [], {}, 0]), ("T", 3), ("t", 3)])
def test_a_damaged_print_costs_only_itself(field: str, value: Any) -> None:
    """A print stays in the reply until hundreds of newer ones have come: it must not cost them."""
    damaged = {**PRINT, field: value}
    news = parse_trades(envelope([PRINT, damaged]), "BTC_USDT", 1e-4, None, ARRIVAL)
    assert len(news.trades.price) == 1
    with pytest.raises(BadPayload, match="mexc deals BTC_USDT"):
        parse_trades(envelope([damaged]), "BTC_USDT", 1e-4, None, ARRIVAL)


@pytest.mark.parametrize(("version", "sequence"), [("28111438870", 28111438870), (None, None)])
def test_one_impossible_level_or_number_costs_only_itself(version: Any, sequence: int | None) -> None:
    """A level of quantity 0 is one that the venue forgot; the number of the book may be a text, or missing."""
    changed = {"asks": [[1.2, 3, 1], [1.3, 0, 0], [1.4, 1, 1]], "bids": [[1.1, 5, 1]], "version": version}
    book = parse_order_book(envelope({**BOOK, **changed}), "BTC_USDT", 1.0, ARRIVAL)
    assert book.ask_price.tolist() == [1.2, 1.4]
    assert book.sequence == sequence
    # three came: where three were asked for the side was cut short, whatever is left of it
    assert book.levels_asked == BOOK_LEVELS - 1


def test_candles_are_columns_in_seconds() -> None:
    """Times become milliseconds; columns of different lengths are refused."""
    seconds = NOW_MS // 1000
    data = {
        "time": [seconds - 60, seconds],
        "open": [1, 2],
        "high": [3, 3],
        "low": [1, 1],
        "close": [2, 3],
        "vol": [1, 1],
    }
    candles = parse_candles(envelope(data), "BTC_USDT", 0.001, ARRIVAL)
    assert_array_equal(candles.open_ms, [NOW_MS - 60_000, NOW_MS])
    assert candles.volume_base is not None
    assert_array_equal(candles.volume_base, [0.001, 0.001])
    with pytest.raises(BadPayload, match="different lengths"):
        parse_candles(envelope({**data, "close": [2]}), "BTC_USDT", 0.001, ARRIVAL)


@pytest.mark.parametrize("data", [NOW_MS, str(NOW_MS)])
def test_the_clock(data: Any) -> None:
    """Ping answers with a number, or with one in a string."""
    assert parse_clock(envelope(data)) == NOW_MS


@pytest.mark.parametrize(
    ("body", "status"), [({"success": False, "code": 510, "message": "Requests are too frequent"}, 200), (b"", 429)]
)
def test_too_frequent_holds_that_endpoint_only(body: Any, status: int) -> None:
    """Each endpoint has its own limit."""
    with pytest.raises(RateLimited) as caught:
        raise_for_reply(reply(body, status=status, pools=("depth",)))
    assert (caught.value.until_ms, caught.value.pool) == (NOW_MS + 10_000, "depth")


def test_a_refusal_by_the_edge_holds_the_venue() -> None:
    """A page of HTML does not say which endpoint it is about."""
    with pytest.raises(RateLimited) as caught:
        raise_for_reply(reply(b"<html>Access Denied</html>", status=403, pools=("depth",)))
    assert (caught.value.until_ms, caught.value.pool) == (NOW_MS + 600_000, None)


@pytest.mark.parametrize(("body", "error"), [
    ({"success": False, "code": 1001, "message": "Contract does not exist!"}, UnknownSymbol),
    ({"success": False, "code": 600, "message": "Parameter error"}, BadPayload),
])  # fmt: skip
def test_codes(body: dict[str, Any], error: type[Exception]) -> None:
    """What the venue does not list, and what it did not understand."""
    with pytest.raises(error, match=str(body["code"])):
        raise_for_reply(reply(body))


def test_a_good_reply_passes() -> None:
    """Success is success."""
    raise_for_reply(reply(envelope([])))
