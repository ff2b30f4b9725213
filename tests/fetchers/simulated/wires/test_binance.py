from itertools import pairwise
from typing import Any

import pytest

from fetchers.simulated.wires.binance import BinanceWire
from tests.fetchers.simulated.stage import START_MS, get, get_json, make_market

MARKET = make_market(coins_per_venue=60)
NOW_MS = START_MS - START_MS % 60_000
SYMBOL = {"symbol": "LUMEXUSDT"}


@pytest.fixture
def wire() -> BinanceWire:
    """A venue whose limits nobody has used."""
    return BinanceWire(MARKET)


def test_bulk_rows_are_the_right_ones_and_types(wire: BinanceWire) -> None:
    """Quotes and 24 h rows of what trades, premium rows of everything, funding rows only of what is not by default."""
    quotes = get_json(wire, "/fapi/v1/ticker/bookTicker", NOW_MS)
    listed = {row["symbol"]: row for row in get_json(wire, "/fapi/v1/exchangeInfo", NOW_MS)["symbols"]}
    trading = {symbol for symbol, row in listed.items() if row["status"] == "TRADING"}
    assert {row["symbol"] for row in quotes} == trading < listed.keys()
    assert {row["symbol"] for row in get_json(wire, "/fapi/v1/ticker/24hr", NOW_MS)} == trading
    premium = get_json(wire, "/fapi/v1/premiumIndex", NOW_MS)
    assert {row["symbol"] for row in premium} == listed.keys()
    assert isinstance(premium[0]["markPrice"], str)
    assert isinstance(premium[0]["nextFundingTime"], int)
    assert premium[0]["nextFundingTime"] > NOW_MS
    hours = {row["symbol"]: row["fundingIntervalHours"] for row in get_json(wire, "/fapi/v1/fundingInfo", NOW_MS)}
    assert "BTCUSD_PERP" in hours
    assert "BTCUSDT" not in hours
    assert {1, 4} <= set(hours.values())


def test_per_symbol_replies_have_the_documented_shape(wire: BinanceWire) -> None:
    """Books, prints (ascending), open interest and its history, candles."""
    depth = get_json(wire, "/fapi/v1/depth", NOW_MS, **SYMBOL, limit=50)
    assert len(depth["bids"]) == len(depth["asks"]) == 50
    assert float(depth["bids"][0][0]) < float(depth["asks"][0][0])
    assert depth["E"] == NOW_MS > depth["T"]
    trades = get_json(wire, "/fapi/v1/trades", NOW_MS, **SYMBOL)
    assert len(trades) == 500
    assert [t["id"] for t in trades] == sorted({t["id"] for t in trades})
    assert all(a["time"] <= b["time"] <= NOW_MS for a, b in pairwise(trades))
    history = get_json(wire, "/futures/data/openInterestHist", NOW_MS, **SYMBOL, period="5m", limit=2)
    assert [int(point["timestamp"]) % 300_000 for point in history] == [0, 0]
    now = get_json(wire, "/fapi/v1/openInterest", NOW_MS, **SYMBOL)
    assert float(now["openInterest"]) == pytest.approx(float(history[-1]["sumOpenInterest"]), rel=0.01)
    klines = get_json(wire, "/fapi/v1/klines", NOW_MS, **SYMBOL, interval="1m", limit=45)
    assert [row[0] for row in klines] == [NOW_MS - 60_000 * back for back in range(44, -1, -1)]
    since = get_json(wire, "/fapi/v1/klines", NOW_MS, **SYMBOL, interval="1m", startTime=NOW_MS - 150_000)
    assert [row[0] for row in since] == [NOW_MS - 120_000, NOW_MS - 60_000, NOW_MS]
    one = get_json(wire, "/fapi/v1/premiumIndex", NOW_MS, **SYMBOL)
    assert one["symbol"] == "LUMEXUSDT"


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/fapi/v1/depth", {"symbol": "LUMEXUSDT", "limit": "30"}, -4021),
        ("/fapi/v1/depth", {}, -1102),
        ("/fapi/v1/depth", {"symbol": "NOSUCHUSDT"}, -1121),
        ("/fapi/v1/depth", {"symbol": "lumexusdt"}, -1121),
        ("/fapi/v1/trades", {"symbol": "OLDIEUSDT"}, -1122),
        ("/fapi/v1/openInterest", {"symbol": "OLDIEUSDT"}, -4108),
        ("/fapi/v1/depth", {"symbol": "LUMEXUSDT", "depth": "5"}, -1104),
        ("/fapi/v1/trades", {"symbol": "LUMEXUSDT", "limit": "1001"}, -1130),
        ("/fapi/v1/trades", {"symbol": "LUMEXUSDT", "limit": "x"}, -1100),
        ("/fapi/v1/klines", {"symbol": "LUMEXUSDT", "interval": "2m"}, -1120),
        ("/futures/data/openInterestHist", {"symbol": "LUMEXUSDT", "period": "1m"}, -1130),
    ],
)
def test_wrong_requests_are_refused_with_400_and_the_code(
    wire: BinanceWire, path: str, query: dict[str, str], code: int
) -> None:
    """Strictly: the bot's mistakes must show here."""
    answer = get(wire, path, NOW_MS, **query)
    assert answer.status == 400
    assert f'"code":{code}'.encode() in answer.body


def test_unknown_paths_are_404(wire: BinanceWire) -> None:
    """In JSON, with code -5000."""
    answer = get(wire, "/fapi/v1/nothing", NOW_MS)
    assert (answer.status, b"-5000" in answer.body) == (404, True)


def test_every_weighted_reply_tells_the_used_weight(wire: BinanceWire) -> None:
    """The documented weights add up, a refused request costs too, and the pools beside it tell nothing."""
    calls: list[tuple[str, dict[str, Any], int]] = [
        ("/fapi/v1/ticker/bookTicker", {}, 5),
        ("/fapi/v1/premiumIndex", {}, 10),
        ("/fapi/v1/ticker/24hr", {}, 40),
        ("/fapi/v1/ticker/24hr", SYMBOL, 1),
        ("/fapi/v1/depth", SYMBOL | {"limit": 50}, 2),
        ("/fapi/v1/depth", SYMBOL | {"limit": 100}, 5),
        ("/fapi/v1/depth", SYMBOL | {"limit": 1000}, 20),
        ("/fapi/v1/depth", SYMBOL | {"limit": 7}, 2),
        ("/fapi/v1/trades", SYMBOL | {"limit": 10}, 5),
        ("/fapi/v1/openInterest", SYMBOL, 1),
        ("/fapi/v1/klines", SYMBOL | {"interval": "1m", "limit": 99}, 1),
        ("/fapi/v1/klines", SYMBOL | {"interval": "1m"}, 5),
        ("/fapi/v1/exchangeInfo", {}, 1),
    ]
    used = 0
    for path, query, weight in calls:
        used += weight
        assert get(wire, path, NOW_MS, **query).headers == {"X-MBX-USED-WEIGHT-1M": str(used)}
    assert get(wire, "/fapi/v1/fundingInfo", NOW_MS).headers == {}
    assert wire.quotas["weight"].peak_share == used / 2400


def test_too_much_weight_is_429_until_the_minute_and_418_for_who_goes_on(wire: BinanceWire) -> None:
    """Retry-After points at the next clock minute; insisting brings a ban with its epoch, which then ends."""
    at = NOW_MS + 15_500
    assert all(get(wire, "/fapi/v1/ticker/24hr", at).status == 200 for _ in range(60))
    refused = get(wire, "/fapi/v1/ping", at)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "45")
    answers = [get(wire, "/fapi/v1/ping", at) for _ in range(10)]
    assert [answer.status for answer in answers] == [429] * 9 + [418]
    until_ms = at + 120_000
    assert f"banned until {until_ms}".encode() in answers[-1].body
    assert get(wire, "/fapi/v1/ping", until_ms - 1).status == 418
    assert get(wire, "/fapi/v1/ping", until_ms).status == 200


def test_the_data_pools_have_limits_of_their_own(wire: BinanceWire) -> None:
    """The thousand-first history in five minutes is refused, and costs no weight."""
    query = SYMBOL | {"period": "5m", "limit": 1}
    for _ in range(1000):
        assert wire.quotas["data"].spend(1, NOW_MS)
    assert get(wire, "/futures/data/openInterestHist", NOW_MS, **query).status == 429
    assert get(wire, "/futures/data/openInterestHist", NOW_MS + 300_000, **query).status == 200
    assert wire.quotas["weight"].used(NOW_MS) == 0
