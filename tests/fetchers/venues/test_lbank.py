"""LBank's replies, recorded and damaged, and what its refusals mean; over HTTP see test_venues.py."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fetchers.errors import BadPayload, RateLimited, UnknownSymbol
from fetchers.parsing.market_lists import parse_markets
from fetchers.venues.lbank import CCXT, listing, parse_clock, parse_market_data, parse_order_book, raise_for_reply
from tests.builders import NOW_MS
from tests.fetchers.replies import ARRIVAL, recorded, reply

ROW = {
    "symbol": "AUSDT",
    "lastPrice": "68427.3",
    "markedPrice": "68434.1",
    "underlyingPrice": "0.0",
    "volume": "33534.28",
    "turnover": "1200636218.2",
    "fundingRate": "0.0001",
    "positionFeeTime": "14400",
    "lastTime": str(NOW_MS // 1000),
}
BOOK = {
    "symbol": "AUSDT",
    "asks": [{"volume": "4.234", "price": "77766.5", "orders": "1"}],
    "bids": [{"volume": "9.7759", "price": "77766.4", "orders": "1"}],
}


def envelope(data: Any) -> dict[str, Any]:
    """What LBank puts around everything."""
    return {"data": data, "error_code": 0, "msg": "Success", "result": "true", "success": True}


async def test_the_recorded_market_list() -> None:
    """Both recorded rows are kept, with their ticks, and publish neither prints nor open interest."""
    rows = await parse_markets(CCXT, recorded("lbank/instrument.json")["data"], listing)
    assert [(row.instrument.id, row.instrument.tick_size, row.dropped) for row in rows] == [
        ("LTCUSDT", 0.01, ""),
        ("BTCUSDT", 0.1, ""),
    ]
    assert not any(row.instrument.publishes_trades or row.instrument.publishes_open_interest for row in rows)


@pytest.mark.parametrize(("changed", "dropped", "base", "coin"), [
    ({"needSuspend": 1}, "not crypto", "LTC", "LTC"),
    ({"clearCurrency": "USDC"}, "not USDT", "LTC", "LTC"),
    ({"priceCurrency": "USD"}, "not USDT", "LTC", "LTC"),
    ({"baseCurrency": "EDGEX", "symbolAlias": "EDGE"}, "", "EDGE", "EDGE"),
    ({"baseCurrency": "1000SATS", "symbolAlias": ""}, "", "1000SATS", "SATS"),
    ({"priceTick": ""}, "unreadable", "LTCUSDT", "LTCUSDT"),
])  # fmt: skip
async def test_what_is_kept_of_the_market_list(changed: dict[str, Any], dropped: str, base: str, coin: str) -> None:
    """People know a contract by its alias; its multiplier is in the base."""
    good = recorded("lbank/instrument.json")["data"][0]
    _, row = await parse_markets(CCXT, [good, {**good, **changed}], listing)
    assert (row.dropped, row.instrument.base, row.instrument.coin) == (dropped, base, coin)


def test_market_data() -> None:
    """The mark is the price, intervals become hours, an index of nothing and a missing rate are missing."""
    bare = {key: value for key, value in ROW.items() if key != "fundingRate"}
    quotes = parse_market_data(envelope([ROW, {**bare, "symbol": "BUSDT"}]), ARRIVAL)
    assert quotes.bid_price is None
    assert quotes.mark_price is not None
    assert quotes.index_price is not None
    assert quotes.funding_rate is not None
    assert quotes.funding_interval_h is not None
    assert_array_equal(quotes.mark_price, [68434.1, 68434.1])
    assert np.isnan(quotes.index_price).all()
    assert_array_equal(quotes.funding_rate, [0.0001, np.nan])
    assert_array_equal(quotes.funding_interval_h, [4.0, 4.0])
    assert_array_equal(quotes.exchange_ms, [NOW_MS, NOW_MS])


@pytest.mark.parametrize("data", [None, [], [{"symbol": "AUSDT", "markedPrice": "0"}], "x"])
def test_market_data_without_a_price_is_none(data: Any) -> None:
    """LBank answers a request it did not understand with success and nothing in it."""
    with pytest.raises(BadPayload, match="lbank marketData"):
        parse_market_data(envelope(data), ARRIVAL)


def test_a_book() -> None:
    """Without time or number it is as old as its arrival."""
    book = parse_order_book(envelope(BOOK), "AUSDT", ARRIVAL)
    assert (book.bid_price[0], book.bid_quantity[0], book.ask_price[0], book.ask_quantity[0]) == (
        77766.4,
        9.7759,
        77766.5,
        4.234,
    )
    assert (book.exchange_ms, book.sequence) == (NOW_MS, None)


@pytest.mark.parametrize(
    "side", [None, {}, [7], [{"price": "1"}], [{"price": "1", "volume": "0"}], [{"price": "1", "volume": "x"}]]
)
def test_a_damaged_book_is_refused(side: Any) -> None:
    """Missing or impossible members lose the book, never bend it."""
    with pytest.raises(BadPayload, match="lbank marketOrder AUSDT"):
        parse_order_book(envelope({**BOOK, "bids": side}), "AUSDT", ARRIVAL)


def test_the_clock() -> None:
    """Epoch milliseconds, nothing else."""
    assert parse_clock(envelope(NOW_MS)) == NOW_MS
    with pytest.raises(BadPayload):
        parse_clock(envelope(None))


@pytest.mark.parametrize(("body", "status"), [
    ({"error_code": 183, "success": False}, 200),
    ({"error_code": "10004", "success": False}, 200),
    (b"<html>Cloudflare</html>", 429),
    (b"<html>Cloudflare</html>", 403),
])  # fmt: skip
@pytest.mark.parametrize(("complaints", "hold_ms"), [(0, 10_000), (1, 20_000), (3, 80_000), (60, 600_000)])
def test_holds_double(body: Any, status: int, complaints: int, hold_ms: int) -> None:
    """LBank does not say for how long, so ten seconds, and twice that each time, up to ten minutes."""
    with pytest.raises(RateLimited) as caught:
        raise_for_reply(reply(body, status=status), complaints)
    assert (caught.value.until_ms, caught.value.pool) == (NOW_MS + hold_ms, None)


@pytest.mark.parametrize(("body", "error"), [
    ({"error_code": 20156, "msg": "not listed", "success": False}, UnknownSymbol),
    ({"error_code": 9, "success": True}, BadPayload),
    ({"error_code": 0, "success": False}, BadPayload),
])  # fmt: skip
def test_errors_come_with_http_200(body: dict[str, Any], error: type[Exception]) -> None:
    """So the body has to be read to know one."""
    with pytest.raises(error, match="lbank"):
        raise_for_reply(reply(body))


def test_a_good_reply_passes() -> None:
    """Books come without the success flag."""
    raise_for_reply(reply({"data": BOOK, "error_code": 0, "result": "true"}))
