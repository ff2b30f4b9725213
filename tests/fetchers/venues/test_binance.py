"""Binance's replies, recorded and damaged, and what its refusals mean; over HTTP see test_venues.py."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fetchers.errors import BadPayload, RateLimited, UnknownSymbol
from fetchers.parsing.build_records import Arrival
from fetchers.parsing.market_lists import parse_markets
from fetchers.venues.binance import (
    CCXT,
    WEIGHT,
    Binance,
    listing,
    parse_book_tickers,
    parse_candles,
    parse_clock,
    parse_day_tickers,
    parse_intervals,
    parse_open_interest,
    parse_open_interest_history,
    parse_order_book,
    parse_premium_index,
    parse_trades,
    raise_for_reply,
)
from tests.builders import NOW_MS
from tests.fetchers.replies import ARRIVAL, recorded, reply

MARKET: dict[str, Any] = {
    "symbol": "1000PEPEUSDT",
    "pair": "1000PEPEUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1683270000000,
    "status": "TRADING",
    "baseAsset": "1000PEPE",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 7,
    "quantityPrecision": 0,
    "underlyingType": "COIN",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.0000001", "maxPrice": "200", "tickSize": "0.0000001"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "maxQty": "50000000", "minQty": "1"},
    ],
}
PRINT = {"id": 7, "price": "2.5", "qty": "10", "quoteQty": "25", "time": NOW_MS - 500, "isBuyerMaker": True}


def damaged(name: str, **changed: Any) -> dict[str, Any]:
    """A recorded book with members changed."""
    return {**recorded(f"binance/{name}"), **changed}


@pytest.mark.parametrize(("changed", "dropped"), [
    ({}, ""),
    ({"contractType": "TRADIFI_PERPETUAL", "underlyingType": "EQUITY"}, "not crypto"),
    ({"underlyingType": "INDEX"}, "not crypto"),
    ({"underlyingType": "PREMARKET"}, "pre-launch"),
    ({"contractType": "", "status": "PENDING_TRADING"}, "pre-launch"),
    ({"status": "SETTLING"}, "not trading"),
    ({"contractType": "CURRENT_QUARTER", "deliveryDate": 1798185600000}, "delivery"),
    ({"deliveryDate": 1798185600000}, "delisting"),
    ({"quoteAsset": "USDC", "marginAsset": "USDC"}, "not USDT"),
    ({"filters": "none", "pricePrecision": None}, "unreadable"),
    ({"symbol": None}, "unreadable"),
])  # fmt: skip
async def test_what_is_kept_of_the_market_list(changed: dict[str, Any], dropped: str) -> None:
    """A row is dropped for the reason that its own marks give, and an odd one costs only itself."""
    good, row = await parse_markets(CCXT, [MARKET, {**MARKET, **changed}], listing)
    assert good.dropped == ""
    assert row.dropped == dropped


async def test_an_instrument_carries_the_venues_names() -> None:
    """Tick, multiplier and coin come out of the id and filters."""
    (row,) = await parse_markets(CCXT, [MARKET], listing)
    instrument = row.instrument
    assert instrument.pair == "1000PEPE/USDT"
    assert (instrument.coin, instrument.multiplier, instrument.tick_size) == ("PEPE", 1000.0, 1e-7)


def test_a_recorded_book() -> None:
    """Levels, time and number are the recording's; the time is when the reply was made."""
    body = recorded("binance/depth_AKROUSDT.json")
    book = parse_order_book(body, "AKROUSDT", ARRIVAL)
    assert_allclose(book.bid_price[:2], [0.01731, 0.01730])
    assert_allclose(book.bid_quantity[:2], [57618, 183887])
    assert len(book.bid_price) == len(book.ask_price) == book.levels_asked == 50
    assert (book.sequence, book.exchange_ms, book.received_ms) == (600859605486, 1626992741242, NOW_MS)
    assert not book.bid_price.flags.writeable


@pytest.mark.parametrize("side", ["bids", "asks"])
@pytest.mark.parametrize(
    "levels",
    [
        [["1.0", "2"], ["1.0", "2"]],
        [["1.0", "2"], ["2.0", "2"], ["1.5", "1"]],
        [["1.0", "0"]],
        [["-1.0", "2"]],
        [["nan", "2"]],
        [["1.0", "inf"]],
        [["1e30", "2"]],
        [["1.0"]],
        [["", "2"]],
        [[True, "2"]],
        [None],
        ["12"],
        "12",
        None,
        {},
    ],
)
def test_a_damaged_book_is_refused(side: str, levels: Any) -> None:
    """Unsorted, repeated, zero, negative, endless or missing numbers lose the book, never bend it."""
    with pytest.raises(BadPayload, match="binance depth AKROUSDT"):
        parse_order_book(damaged("depth_AKROUSDT.json", **{side: levels}), "AKROUSDT", ARRIVAL)


@pytest.mark.parametrize("body", [None, [], {}, "book", {"bids": [], "asks": []}, {"lastUpdateId": 1}])
def test_what_is_no_book_at_all(body: Any) -> None:
    """An empty object, a list or a book without time and number is no answer."""
    with pytest.raises(BadPayload):
        parse_order_book(body, "AKROUSDT", ARRIVAL)


def test_an_empty_book_is_still_a_book() -> None:
    """Whether empty sides or crossed prices mean anything is for the state to say."""
    book = parse_order_book(damaged("depth_CTKUSDT.json", bids=[]), "CTKUSDT", ARRIVAL)
    assert len(book.bid_price) == 0


def test_a_bad_row_costs_only_itself() -> None:
    """Of a bulk reply odd cells become NaN, odd rows vanish, and both are counted."""
    row = {"symbol": "AUSDT", "bidPrice": "1.0", "askPrice": "1.1", "time": NOW_MS - 40}
    odd = [
        {**row, "symbol": "BUSDT", "bidPrice": ""},
        {**row, "symbol": "CUSDT", "askPrice": "-3"},
        {"bidPrice": "1"},
        7,
    ]
    quotes = parse_book_tickers([row, *odd], Arrival(received_ms=NOW_MS, clock_offset_ms=10))
    assert quotes.ids == ("AUSDT", "BUSDT", "CUSDT")
    assert quotes.bid_price is not None
    assert quotes.ask_price is not None
    assert_array_equal(quotes.bid_price, [1.0, np.nan, 1.0])
    assert_array_equal(quotes.ask_price, [1.1, 1.1, np.nan])
    assert_array_equal(quotes.exchange_ms, [NOW_MS - 50] * 3)
    assert quotes.bad_rows == 3


@pytest.mark.parametrize("body", [[], {}, None, [1, 2], [{"symbol": "AUSDT"}], [{"symbol": "AUSDT", "bidPrice": "x"}]])
def test_a_bulk_reply_without_a_useful_row_is_none(body: Any) -> None:
    """It would otherwise look like a venue on which everything is missing."""
    with pytest.raises(BadPayload, match="binance bookTicker"):
        parse_book_tickers(body, ARRIVAL)


def test_a_row_without_time_was_never() -> None:
    """Time 0 makes it stale, and a time ahead of us is cut to the moment we saw it."""
    rows = [
        {"symbol": f"{i}USDT", "markPrice": "1", "indexPrice": "2", "time": at}
        for i, at in enumerate((None, 5, NOW_MS + 9))
    ]
    assert_array_equal(parse_premium_index(rows, {}, ARRIVAL).exchange_ms, [0, 0, NOW_MS])


def test_a_quiet_top_is_not_stale_but_a_frozen_reply_is() -> None:
    """All rows are as old as the one that changed last; garbage beyond any clock's error does not make them fresh."""
    row = {"symbol": "AUSDT", "bidPrice": "1", "askPrice": "2", "time": NOW_MS - 3_600_000}
    newest = {**row, "symbol": "BUSDT", "time": NOW_MS - 400}
    garbage = {**row, "symbol": "CUSDT", "time": NOW_MS + 600_000}
    assert_array_equal(parse_book_tickers([row, newest, garbage], ARRIVAL).exchange_ms, [NOW_MS - 400] * 3)
    assert_array_equal(parse_book_tickers([row], ARRIVAL).exchange_ms, [NOW_MS - 3_600_000])
    with pytest.raises(BadPayload, match="no row had a usable time"):
        parse_book_tickers([garbage], ARRIVAL)


def test_funding_takes_its_interval_from_the_list_of_exceptions() -> None:
    """Eight hours unless fundingInfo says otherwise, unknown before it was had; a negative rate is a rate."""
    listed = [{"symbol": "BUSDT", "fundingIntervalHours": 4}, {"symbol": "CUSDT"}]
    intervals = parse_intervals(listed, ARRIVAL)
    rows = [
        {"symbol": key, "markPrice": "1", "indexPrice": "1", "lastFundingRate": "-0.0001", "time": NOW_MS}
        for key in ("AUSDT", "BUSDT", "CUSDT")
    ]
    assert parse_premium_index(rows, None, ARRIVAL).funding_interval_h is None
    quotes = parse_premium_index(rows, intervals, ARRIVAL)
    assert quotes.funding_rate is not None
    assert quotes.funding_interval_h is not None
    assert_array_equal(quotes.funding_interval_h, [8.0, 4.0, np.nan])
    assert_array_equal(quotes.funding_rate, [-0.0001] * 3)


def test_day_figures() -> None:
    """Volumes in base coin and USDT; a day without trades is zero, not missing."""
    quotes = parse_day_tickers([{"symbol": "AUSDT", "volume": "0", "quoteVolume": "0.00", "closeTime": 1}], ARRIVAL)
    assert quotes.volume_base_24h is not None
    assert quotes.volume_base_24h[0] == 0.0
    assert quotes.exchange_ms[0] == NOW_MS


def test_prints_are_taken_once_and_in_order() -> None:
    """Repeated and shuffled rows come out single and oldest first; a buyer who was maker was sold to."""
    rows = [{**PRINT, "id": 9, "time": NOW_MS - 100, "isBuyerMaker": False}, PRINT, {**PRINT, "id": 8}, PRINT]
    news = parse_trades(rows, "AUSDT", 200, None, ARRIVAL)
    assert_array_equal(news.trades.time_ms, [NOW_MS - 500, NOW_MS - 500, NOW_MS - 100])
    assert_array_equal(news.trades.is_taker_sell, [True, True, False])
    assert not news.trades.continues


@pytest.mark.parametrize("field", ["id", "price", "qty", "time", "isBuyerMaker"])
@pytest.mark.parametrize("value", [None, "x", "-1", [], {}, 1e300])
def test_a_damaged_print_costs_only_itself(field: str, value: Any) -> None:
    """A print stays in the reply until hundreds of newer ones have come: it must not cost them."""
    damaged_print = {**PRINT, "id": 8, field: value}
    news = parse_trades([PRINT, damaged_print], "AUSDT", 200, None, ARRIVAL)
    assert news.trades.price.tolist() == [2.5]
    with pytest.raises(BadPayload, match="binance trades AUSDT"):
        parse_trades([damaged_print], "AUSDT", 200, None, ARRIVAL)


def test_open_interest_now_and_then() -> None:
    """The live one is live, the history is not and comes oldest first."""
    live = parse_open_interest({"openInterest": "10659.509", "symbol": "AUSDT", "time": NOW_MS - 5}, "AUSDT", ARRIVAL)
    assert (live.open_interest_base, live.exchange_ms, live.is_live) == (10659.509, NOW_MS - 5, True)
    rows = [{"sumOpenInterest": str(i), "timestamp": str(NOW_MS - i * 300_000)} for i in range(3)]
    points = parse_open_interest_history(rows, "AUSDT", ARRIVAL)
    assert [point.open_interest_base for point in points] == [2.0, 1.0, 0.0]
    with pytest.raises(BadPayload, match="openInterest was None"):
        parse_open_interest({"symbol": "AUSDT", "time": NOW_MS}, "AUSDT", ARRIVAL)


@pytest.mark.parametrize(
    "row",
    [
        [NOW_MS, "1", "2"],
        [NOW_MS, "1", "0.9", "1", "1", "5"],
        [NOW_MS, "1", "2", "1.5", "1", "5"],
        [1, "1", "1", "1", "1", "5"],
        [NOW_MS, "1", "2", "0.5", "1", "-5"],
        [NOW_MS, "1", "2", "0.5", "1", None],
    ],
)
def test_an_impossible_candle_costs_only_itself(row: list[Any]) -> None:
    """A candle is whole, with open and close between low and high, at a time of this century."""
    good = [NOW_MS - 60_000, "1.0", "1.2", "0.9", "1.1", "5", NOW_MS, "5", 3, "1", "1", "0"]
    candles = parse_candles([good], "AUSDT", ARRIVAL)
    assert (candles.open[0], candles.high[0], candles.low[0], candles.close[0]) == (1.0, 1.2, 0.9, 1.1)
    assert candles.volume_base is not None
    assert candles.volume_base[0] == 5.0
    assert len(parse_candles([row, good], "AUSDT", ARRIVAL).open) == 1
    with pytest.raises(BadPayload, match="binance klines"):
        parse_candles([row], "AUSDT", ARRIVAL)


def test_the_clock() -> None:
    """Only epoch milliseconds are a time."""
    assert parse_clock({"serverTime": NOW_MS}) == NOW_MS
    with pytest.raises(BadPayload, match="serverTime"):
        parse_clock({"serverTime": NOW_MS // 1000})


NEXT_MINUTE_MS = (NOW_MS // 60_000 + 1) * 60_000 + 1000
TOO_MANY = {"code": -1003, "msg": "Too many requests; current limit is 2400 requests per minute."}
BAN_MS = NOW_MS + 345_678
BANNED = {"code": -1003, "msg": f"Way too many requests; IP(1.2.3.4) banned until {BAN_MS}. Please use the websocket."}


@pytest.mark.parametrize(("body", "status", "headers", "until_ms"), [
    (TOO_MANY, 429, {}, NEXT_MINUTE_MS),
    (TOO_MANY, 429, {"Retry-After": "17"}, NOW_MS + 17_000),
    (TOO_MANY, 400, {}, NEXT_MINUTE_MS),
    (BANNED, 418, {}, BAN_MS),
    (BANNED, 418, {"Retry-After": "1"}, BAN_MS),
    (b"<html>teapot</html>", 418, {}, NOW_MS + 120_000),
    ({"code": -1003, "msg": "banned until 9999999999999"}, 418, {}, NOW_MS + 3 * 86_400_000),
    (b"<html>Forbidden</html>", 403, {}, NOW_MS + 600_000),
    ({"code": 0, "msg": "Service unavailable from a restricted location"}, 451, {}, NOW_MS + 600_000),
])  # fmt: skip
def test_being_told_off_holds_the_whole_venue(body: Any, status: int, headers: dict[str, str], until_ms: int) -> None:
    """For as long as the reply says, else to the next minute, the shortest ban, or ten minutes."""
    with pytest.raises(RateLimited) as caught:
        raise_for_reply(reply(body, status=status, headers=headers))
    assert (caught.value.until_ms, caught.value.pool) == (until_ms, None)


@pytest.mark.parametrize("code", [-1121, -1122])
def test_unknown_symbols(code: int) -> None:
    """Unknown, and known but not trading, are both to be quarantined."""
    with pytest.raises(UnknownSymbol, match=str(code)):
        raise_for_reply(reply({"code": code, "msg": "Invalid symbol."}, status=400))


@pytest.mark.parametrize(
    ("body", "status"), [({"code": -4021, "msg": "7 is not valid depth limit"}, 400), (b"", 502), ({}, 200)]
)
def test_other_replies_are_left_to_the_client(body: Any, status: int) -> None:
    """A bad request, a server error and a good reply have no meaning that is Binance's own."""
    raise_for_reply(reply(body, status=status))


@pytest.mark.parametrize("day_at_s", range(0, 60, 2))
@pytest.mark.parametrize("late_ms", [0, 700, 1900])
def test_quotes_have_room_till_the_minute_is_over(day_at_s: int, late_ms: int) -> None:
    """Polls that take all that a plan may spend leave quotes to every tick, wherever the 24 h figures come."""
    venue = Binance("http://127.0.0.1:1", lambda: NOW_MS)
    budget, kept_free, step_ms = venue.budget, venue.kept_for_quotes, 2_000
    began_ms = NOW_MS // 60_000 * 60_000 + late_ms
    for at_ms in range(began_ms, began_ms + 120_000, step_ms):
        is_day = (at_ms - began_ms) // 1000 % 60 == day_at_s
        cost = {WEIGHT: 55 if is_day else 15}
        assert budget.take(cost, at_ms) == 0, f"{(at_ms - began_ms) / 1000} s"
        budget.done(cost, at_ms)
        for _ in range(int(budget.available(at_ms, step_ms)[WEIGHT] // venue.candidate_cost[WEIGHT])):
            if budget.take(venue.candidate_cost, at_ms, kept_free=kept_free) == 0:
                budget.done(venue.candidate_cost, at_ms)
