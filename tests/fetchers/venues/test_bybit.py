"""Bybit's replies, recorded and damaged, and what its refusals mean; over HTTP see test_venues.py."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fetchers.errors import BadPayload, RateLimited, UnknownSymbol, Unreachable
from fetchers.parsing.market_lists import parse_markets
from fetchers.venues.bybit import (
    CCXT,
    listing,
    parse_candles,
    parse_clock,
    parse_market_page,
    parse_open_interest_history,
    parse_order_book,
    parse_tickers,
    parse_trades,
    raise_for_reply,
)
from tests.builders import NOW_MS
from tests.fetchers.replies import ARRIVAL, recorded, reply

MARKET: dict[str, Any] = {
    "symbol": "SHIB1000USDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "SHIB1000",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "launchTime": "1634000000000",
    "deliveryTime": "0",
    "priceScale": "6",
    "priceFilter": {"minPrice": "0.000001", "maxPrice": "1.999998", "tickSize": "0.000001"},
    "lotSizeFilter": {"maxOrderQty": "1", "minOrderQty": "10", "qtyStep": "10"},
    "fundingInterval": 480,
    "isPreListing": False,
    "symbolType": "",
}
PRINT = {
    "execId": "a",
    "symbol": "AUSDT",
    "price": "2.5",
    "size": "10",
    "side": "Sell",
    "time": str(NOW_MS - 500),
    "isBlockTrade": False,
}
BOOK = {"s": "AUSDT", "b": [["1.0", "2"]], "a": [["1.1", "3"]], "ts": NOW_MS - 70, "u": 5, "seq": 9, "cts": NOW_MS - 90}


def envelope(result: Any, **changed: Any) -> dict[str, Any]:
    """What Bybit puts around everything."""
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS - 20, **changed}


@pytest.mark.parametrize(("changed", "dropped"), [
    ({}, ""),
    ({"symbolType": "innovation"}, ""),
    ({"symbolType": "stock"}, "not crypto"),
    ({"status": "PreLaunch"}, "pre-launch"),
    ({"isPreListing": True}, "pre-launch"),
    ({"status": "Closed"}, "not trading"),
    ({"deliveryTime": "1798185600000"}, "delisting"),
    ({"contractType": "LinearFutures", "deliveryTime": "1798185600000"}, "delivery"),
    ({"quoteCoin": "USDC", "settleCoin": "USDC"}, "not USDT"),
    ({"priceFilter": {}}, "unreadable"),
    ({"baseCoin": None}, "unreadable"),
])  # fmt: skip
async def test_what_is_kept_of_the_market_list(changed: dict[str, Any], dropped: str) -> None:
    """A row is dropped for the reason that its own marks give, and an odd one costs only itself."""
    good, row = await parse_markets(CCXT, [MARKET, {**MARKET, **changed}], listing)
    assert good.instrument.coin == "SHIB"
    assert (good.instrument.multiplier, good.instrument.has_bulk_open_interest) == (1000.0, True)
    assert row.dropped == dropped


def test_recorded_tickers() -> None:
    """All bulk quantities of the recorded row, at the time on the envelope, which is a string there."""
    quotes = parse_tickers(recorded("bybit/tickers.json"), ARRIVAL)
    assert quotes.ids == ("BTCUSDT",)
    assert quotes.exchange_ms[0] == NOW_MS  # the recording is from later than this test's now
    expected = {
        "bid_price": 68641.2,
        "ask_price": 68641.3,
        "mark_price": 68649.9,
        "index_price": 68650.75,
        "funding_rate": 0.0001,
        "open_interest_base": 69655.813 / 2,  # the venue counts both sides
        "volume_base_24h": 115859.112,
        "volume_usdt_24h": 7940401914.5025,
        "funding_interval_h": np.nan,  # not in this older reply
    }
    assert_array_equal([getattr(quotes, name)[0] for name in expected], list(expected.values()))


def test_recorded_history_of_open_interest() -> None:
    """The recorded point, in base coin of one side, not live."""
    (point,) = parse_open_interest_history(recorded("bybit/open_interest.json"), "BTCUSDT", ARRIVAL)
    assert (point.open_interest_base, point.is_live) == (62129.455 / 2, False)


def test_empty_strings_are_missing_values() -> None:
    """Pre-market rows come with empty quotes: those cells are NaN, the row stays."""
    row = {"symbol": "AUSDT", "markPrice": "1.0", "bid1Price": "", "ask1Price": "", "openInterest": "0"}
    quotes = parse_tickers(envelope({"list": [row]}), ARRIVAL)
    assert quotes.bid_price is not None
    assert quotes.open_interest_base is not None
    assert np.isnan(quotes.bid_price[0])
    assert quotes.open_interest_base[0] == 0.0
    assert (quotes.exchange_ms[0], quotes.bad_rows) == (NOW_MS - 20, 0)


@pytest.mark.parametrize(
    "body", [None, {}, [], envelope(None), envelope({}), envelope({"list": []}), envelope({"list": [{}]}, time="x")]
)
def test_what_is_no_ticker_reply(body: Any) -> None:
    """An envelope without list, time or a useful row is no answer."""
    with pytest.raises(BadPayload, match="bybit tickers"):
        parse_tickers(body, ARRIVAL)


def test_a_book() -> None:
    """Its time is when it was made, its number the update's."""
    book = parse_order_book(envelope(BOOK), "AUSDT", ARRIVAL)
    assert (book.bid_price[0], book.bid_quantity[0], book.ask_price[0], book.ask_quantity[0]) == (1.0, 2.0, 1.1, 3.0)
    assert (book.exchange_ms, book.sequence) == (NOW_MS - 70, 5)


@pytest.mark.parametrize("changed", [{"b": None}, {"a": [["1.0", "1"], ["0.9", "1"]]}, {"ts": 0}, {"b": [["1", "-2"]]}])
def test_a_damaged_book_is_refused(changed: dict[str, Any]) -> None:
    """Missing or impossible members lose the book, never bend it."""
    with pytest.raises(BadPayload, match="bybit orderbook AUSDT"):
        parse_order_book(envelope({**BOOK, **changed}), "AUSDT", ARRIVAL)


def test_prints_come_newest_first_and_leave_oldest_first() -> None:
    """Block trades are left out, doubles as well, and side is the taker's."""
    newer = {**PRINT, "execId": "b", "time": str(NOW_MS - 100), "side": "Buy"}
    block = {**PRINT, "execId": "c", "isBlockTrade": True}
    news = parse_trades(envelope({"list": [newer, block, PRINT, PRINT]}), "AUSDT", 200, None, ARRIVAL)
    assert_array_equal(news.trades.time_ms, [NOW_MS - 500, NOW_MS - 100])
    assert_array_equal(news.trades.is_taker_sell, [True, False])
    assert news.trades.exchange_ms == NOW_MS - 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *product(["price", "size", "time", "side"], [None, "", "-1", [], 0, True]),
        *product(["execId"], [None, [], 0, True]),
    ],
)
def test_a_damaged_print_costs_only_itself(field: str, value: Any) -> None:
    """A print stays in the reply until hundreds of newer ones have come: it must not cost them."""
    damaged = {**PRINT, "execId": "b", field: value}
    news = parse_trades(envelope({"list": [PRINT, damaged]}), "AUSDT", 200, None, ARRIVAL)
    assert len(news.trades.price) == 1
    with pytest.raises(BadPayload, match="bybit recent-trade AUSDT"):
        parse_trades(envelope({"list": [damaged]}), "AUSDT", 200, None, ARRIVAL)


def test_candles_come_newest_first_and_leave_oldest_first() -> None:
    """Bybit's order is turned round."""
    rows = [[str(NOW_MS - i * 60_000), "1", "2", "0.5", str(1 + i / 10), "9", "9"] for i in range(3)]
    candles = parse_candles(envelope({"list": rows}), "AUSDT", ARRIVAL)
    assert_array_equal(candles.close, [1.2, 1.1, 1.0])


def test_the_market_list_has_pages() -> None:
    """A page says where the next begins; none, null or empty is the last."""
    assert parse_market_page(envelope({"list": [MARKET], "nextPageCursor": "abc"})) == ([MARKET], "abc")
    assert parse_market_page(envelope({"list": [], "nextPageCursor": None})) == ([], "")


def test_the_clock() -> None:
    """The envelope's time will do."""
    assert parse_clock(envelope({})) == NOW_MS - 20


@pytest.mark.parametrize(("body", "status", "hold_ms"), [
    (b"403, access too frequent", 403, 600_000),
    (b"<html>CloudFront</html>", 403, 600_000),
    (b"", 429, 600_000),
    ({"retCode": 10018, "retMsg": "Exceeded the IP Rate Limit"}, 200, 600_000),
    ({"retCode": 10006, "retMsg": "Too many visits"}, 200, 10_000),
])  # fmt: skip
def test_being_told_off_holds_the_whole_venue(body: Any, status: int, hold_ms: int) -> None:
    """Any 403 for ten minutes, whatever is in it."""
    with pytest.raises(RateLimited) as caught:
        raise_for_reply(reply(body, status=status))
    assert (caught.value.until_ms, caught.value.pool) == (NOW_MS + hold_ms, None)


@pytest.mark.parametrize(("code", "text", "error"), [
    (10001, "params error: symbol invalid", UnknownSymbol),
    (10001, "Not supported symbols", UnknownSymbol),
    (10001, "params error: limit", BadPayload),
    (10016, "Internal server error", Unreachable),
    (10000, "Server Timeout", Unreachable),
    (99999, "?", BadPayload),
])  # fmt: skip
def test_return_codes(code: int, text: str, error: type[Exception]) -> None:
    """Busy is not broken, and an unknown symbol is neither."""
    with pytest.raises(error, match=str(code)):
        raise_for_reply(reply({"retCode": code, "retMsg": text, "result": {}}))


@pytest.mark.parametrize("code", [0, "0"])
def test_a_good_reply_passes(code: Any) -> None:
    """The code is a string in some replies."""
    raise_for_reply(reply(envelope({}, retCode=code)))
