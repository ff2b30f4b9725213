import pytest

from fetchers.simulated.wires.lbank import LbankWire
from tests.fetchers.simulated.stage import LBANK, START_MS, get, get_json, make_market

MARKET = make_market(coins_per_venue=60)
NOW_MS = START_MS
GROUP = {"productGroup": "SwapU"}


@pytest.fixture
def wire() -> LbankWire:
    """A venue whose limits nobody has used."""
    return LbankWire(MARKET)


def test_market_data_says_everything_in_strings_with_two_gaps(wire: LbankWire) -> None:
    """One row has no funding rate and one no index; there are no quotes and no open interest."""
    reply = get_json(wire, f"{LBANK}marketData", NOW_MS, **GROUP)
    assert (reply["error_code"], reply["success"]) == (0, True)
    rows = {row["symbol"]: row for row in reply["data"]}
    assert [symbol for symbol, row in rows.items() if "fundingRate" not in row] == ["1000SATSUSDT"]
    assert [symbol for symbol, row in rows.items() if row["underlyingPrice"] == "0.0"] == ["1000SHIBUSDT"]
    tavro = rows["TAVROUSDT"]
    assert {type(value) for value in tavro.values()} == {str}
    assert (tavro["fundingRate"], tavro["positionFeeTime"], tavro["instrumentStatus"]) == ("0.001200", "28800", "2")
    assert int(tavro["lastTime"]) * 1000 <= NOW_MS
    assert not {"openInterest", "bidPrice"} & tavro.keys()
    assert len(rows) == len(get_json(wire, f"{LBANK}instrument", NOW_MS, **GROUP)["data"])


def test_the_book_has_no_time_and_the_depth_asked_for(wire: LbankWire) -> None:
    """25 levels unless told otherwise."""
    book = get_json(wire, f"{LBANK}marketOrder", NOW_MS, symbol="TAVROUSDT", depth=50)["data"]
    assert book.keys() == {"symbol", "asks", "bids"}
    assert len(book["asks"]) == 50
    assert book["asks"][0].keys() == {"volume", "price", "orders"}
    assert len(get_json(wire, f"{LBANK}marketOrder", NOW_MS, symbol="TAVROUSDT")["data"]["bids"]) == 25


def test_errors_come_with_http_200_but_for_a_missing_symbol(wire: LbankWire) -> None:
    """20156 for unknown or lowercase symbols, 500 for none, an empty list without the product group."""
    for symbol in ("NOSUCHUSDT", "tavrousdt"):
        answer = get(wire, f"{LBANK}marketOrder", NOW_MS, symbol=symbol)
        assert (answer.status, b'"error_code":20156' in answer.body) == (200, True)
    assert get(wire, f"{LBANK}marketOrder", NOW_MS).status == 500
    assert get_json(wire, f"{LBANK}marketOrder", NOW_MS, symbol="TAVROUSDT", depth=1001)["success"] is False
    assert get_json(wire, f"{LBANK}marketData", NOW_MS)["data"] == []


def test_anything_else_is_stopped_at_the_edge(wire: LbankWire) -> None:
    """There are no trades, no candles, no open interest: 403 and a page."""
    answer = get(wire, f"{LBANK}trades", NOW_MS, symbol="TAVROUSDT")
    assert (answer.status, answer.content_type) == (403, "text/html")
    assert get_json(wire, f"{LBANK}getTime", NOW_MS)["data"] == NOW_MS


def test_the_201st_request_in_ten_seconds_is_10004_with_http_200(wire: LbankWire) -> None:
    """No header tells so; it ends with the window."""
    assert all(get_json(wire, f"{LBANK}getTime", NOW_MS + i)["success"] for i in range(200))
    answer = get(wire, f"{LBANK}getTime", NOW_MS + 9_999)
    assert (answer.status, answer.headers) == (200, {})
    assert b'"error_code":10004' in answer.body
    assert get_json(wire, f"{LBANK}getTime", NOW_MS + 10_000)["success"]
