from typing import Any
from urllib.parse import unquote

import pytest

from fetchers.simulated.wires.bybit import BybitWire
from tests.fetchers.simulated.stage import START_MS, get, get_json, make_market

MARKET = make_market(coins_per_venue=60)
NOW_MS = START_MS
LINEAR = {"category": "linear"}
NIMBA = LINEAR | {"symbol": "NIMBAUSDT"}


@pytest.fixture
def wire() -> BybitWire:
    """A venue whose limits nobody has used."""
    return BybitWire(MARKET)


def test_the_market_list_comes_in_pages_and_prelaunch_apart(wire: BybitWire) -> None:
    """The cursor, sent back decoded once, gives every trading row once; status=PreLaunch gives the others."""
    path = "/v5/market/instruments-info"

    def pages(**query: Any) -> list[str]:
        seen, cursor = [], ""
        while True:
            paging = {"cursor": unquote(cursor)} if cursor else {}
            result = get_json(wire, path, NOW_MS, **LINEAR, **query, **paging)["result"]
            seen += [row["symbol"] for row in result["list"]]
            if not (cursor := result["nextPageCursor"]):
                return seen

    whole = get_json(wire, path, NOW_MS, **LINEAR, limit=1000)["result"]
    assert pages(limit=25) == [row["symbol"] for row in whole["list"]]
    assert pages(status="PreLaunch") == ["NEWBIEUSDT"], "its cursor leads to an empty page"
    cursor = get_json(wire, path, NOW_MS, **LINEAR, limit=25)["result"]["nextPageCursor"]
    assert get_json(wire, path, NOW_MS, **LINEAR, limit=25, cursor=cursor)["retCode"] == 10001, "encoded twice"
    kinds = {row["symbol"]: row["symbolType"] for row in whole["list"]}
    assert kinds["TSLAUSDT"] == "stock"


def test_tickers_say_everything_in_strings_some_of_them_empty(wire: BybitWire) -> None:
    """One call for quotes with sizes, mark, index, funding, open interest; pre-market and delivery rows have gaps."""
    reply = get_json(wire, "/v5/market/tickers", NOW_MS, **LINEAR)
    assert (reply["retCode"], reply["time"]) == (0, NOW_MS)
    rows = {row["symbol"]: row for row in reply["result"]["list"]}
    nimba = rows["NIMBAUSDT"]
    assert float(nimba["bid1Price"]) < float(nimba["ask1Price"])
    assert float(nimba["openInterestValue"]) == pytest.approx(
        float(nimba["openInterest"]) * float(nimba["markPrice"]), rel=1e-3
    )
    assert float(nimba["openInterest"]) == pytest.approx(2 * float(nimba["singleOpenInterest"]), rel=1e-6)
    assert rows["NEWBIEUSDT"]["fundingRate"] == rows["BTCUSDT-25DEC26"]["fundingIntervalHour"] == ""
    assert {row["fundingIntervalHour"] for row in rows.values()} == {"", "1", "4", "8"}
    assert "OLDIEUSDT" not in rows


def test_per_symbol_replies_have_the_documented_shape(wire: BybitWire) -> None:
    """Books of any depth, prints and history newest first, candles newest first."""
    book = get_json(wire, "/v5/market/orderbook", NOW_MS, **NIMBA, limit=37)["result"]
    assert (book["s"], len(book["a"]), len(book["b"]), book["ts"]) == ("NIMBAUSDT", 37, 37, NOW_MS)
    assert len(get_json(wire, "/v5/market/orderbook", NOW_MS, **NIMBA)["result"]["a"]) == 25
    trades = get_json(wire, "/v5/market/recent-trade", NOW_MS, **NIMBA, limit=60)["result"]["list"]
    times = [int(trade["time"]) for trade in trades]
    assert times == sorted(times, reverse=True)
    assert len({trade["execId"] for trade in trades}) == 60
    assert {trade["side"] for trade in trades} == {"Buy", "Sell"}
    history = get_json(wire, "/v5/market/open-interest", NOW_MS, **NIMBA, intervalTime="5min", limit=7)["result"][
        "list"
    ]
    stamps = [int(point["timestamp"]) for point in history]
    assert stamps == [stamps[0] - 300_000 * i for i in range(7)]
    candles = get_json(wire, "/v5/market/kline", NOW_MS, **NIMBA, interval=1, start=NOW_MS - 180_000)["result"]["list"]
    opens = [int(candle[0]) for candle in candles]
    assert opens == sorted(opens, reverse=True)
    assert len(candles) == 3


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v5/market/orderbook", LINEAR),
        ("/v5/market/orderbook", LINEAR | {"symbol": "NOSUCH"}),
        ("/v5/market/orderbook", NIMBA | {"limit": 1001}),
        ("/v5/market/orderbook", NIMBA | {"limit": 0}),
        ("/v5/market/orderbook", NIMBA | {"depth": 5}),
        ("/v5/market/tickers", {"category": "spot"}),
        ("/v5/market/tickers", {}),
        ("/v5/market/kline", NIMBA | {"interval": "2"}),
        ("/v5/market/open-interest", NIMBA | {"intervalTime": "1min"}),
        ("/v5/market/instruments-info", LINEAR | {"status": "trading"}),
    ],
)
def test_wrong_requests_are_refused_with_10001_and_http_200(
    wire: BybitWire, path: str, query: dict[str, object]
) -> None:
    """In the envelope, with an empty result."""
    answer = get_json(wire, path, NOW_MS, **query)
    assert (answer["retCode"], answer["result"]) == (10001, {})


def test_time_and_unknown_paths(wire: BybitWire) -> None:
    """The time comes thrice; a path it does not have is a page with 404."""
    reply = get_json(wire, "/v5/market/time", NOW_MS)
    assert int(reply["result"]["timeNano"]) == NOW_MS * 1_000_000
    assert get(wire, "/v5/market/nothing", NOW_MS).status == 404


def test_the_601st_request_in_five_seconds_is_locked_out_for_ten_minutes(wire: BybitWire) -> None:
    """403 in plain words, whatever is asked, until the time is over."""
    assert all(get(wire, "/v5/market/time", NOW_MS + i).status == 200 for i in range(600))
    answer = get(wire, "/v5/market/time", NOW_MS + 4_999)
    assert (answer.status, answer.body) == (403, b"403, access too frequent")
    assert get(wire, "/v5/market/time", NOW_MS + 4_998 + 600_000).status == 403
    assert get(wire, "/v5/market/time", NOW_MS + 4_999 + 600_000).status == 200
