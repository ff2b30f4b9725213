import pytest

from fetchers.simulated.wires.mexc import MexcWire
from tests.fetchers.simulated.stage import MEXC, START_MS, get, get_json, make_market

MARKET = make_market(coins_per_venue=60)
NOW_MS = START_MS


@pytest.fixture
def wire() -> MexcWire:
    """A venue whose limits nobody has used."""
    return MexcWire(MARKET)


def test_sizes_are_contracts_and_numbers_are_numbers(wire: MexcWire) -> None:
    """PEPE's contract is ten million coins; its open interest in USDT comes out right only with that."""
    ticker = {row["symbol"]: row for row in get_json(wire, f"{MEXC}ticker", NOW_MS)["data"]}
    pepe = ticker["PEPE_USDT"]
    assert isinstance(pepe["lastPrice"], float)
    assert isinstance(pepe["holdVol"], int)
    value = pepe["holdVol"] * 1e7 * pepe["fairPrice"]
    row = MARKET.rows["mexc"][MARKET.place("mexc", "PEPE_USDT") or 0]
    assert value == pytest.approx(row.open_interest_usdt, rel=0.2)
    assert pepe["amount24"] / (pepe["volume24"] * 1e7) == pytest.approx(pepe["lastPrice"], rel=0.2)
    assert pepe["bid1"] < pepe["ask1"]
    assert NOW_MS - 61_000 < pepe["timestamp"] <= NOW_MS
    assert "OLDIE_USDT" not in ticker


def test_funding_comes_for_all_or_one_with_cycle_and_prices(wire: MexcWire) -> None:
    """The bulk call and the one with a symbol agree."""
    everything = get_json(wire, f"{MEXC}funding_rate", NOW_MS)["data"]
    one = get_json(wire, f"{MEXC}funding_rate/KORVA_USDT", NOW_MS)["data"]
    assert one in everything
    assert one["fundingRate"] == 0.0012
    assert one["nextSettleTime"] % (one["collectCycle"] * 3_600_000) == 0
    assert {row["collectCycle"] for row in everything} == {1, 4, 8}


def test_per_symbol_replies_have_the_documented_shape(wire: MexcWire) -> None:
    """Levels of price, contracts and orders; deals newest first without an id; columnar candles in seconds."""
    depth = get_json(wire, f"{MEXC}depth/KORVA_USDT", NOW_MS, limit=50)["data"]
    assert [len(side) for side in (depth["asks"], depth["bids"])] == [50, 50]
    price, contracts, orders = depth["asks"][0]
    assert isinstance(contracts, int)
    assert (price > depth["bids"][0][0], orders) == (True, 1)
    assert depth["timestamp"] == NOW_MS
    deals = get_json(wire, f"{MEXC}deals/KORVA_USDT", NOW_MS)["data"]
    assert len(deals) == 100
    assert [deal["t"] for deal in deals] == sorted((deal["t"] for deal in deals), reverse=True)
    assert {deal["T"] for deal in deals} == {1, 2}
    since_s = NOW_MS // 1000 - 300
    candles = get_json(wire, f"{MEXC}kline/KORVA_USDT", NOW_MS, interval="Min1", start=since_s)["data"]
    assert {len(column) for column in candles.values()} == {5}
    assert candles["time"][0] >= since_s


def test_a_delisted_contract_answers_with_an_empty_frozen_book(wire: MexcWire) -> None:
    """Success, no levels, a time of days ago; its deals are gone with code 1001."""
    reply = get_json(wire, f"{MEXC}depth/OLDIE_USDT", NOW_MS)
    assert reply["success"]
    assert (reply["data"]["asks"], reply["data"]["bids"]) == ([], [])
    assert reply["data"]["timestamp"] < NOW_MS - 86_400_000
    assert get_json(wire, f"{MEXC}deals/OLDIE_USDT", NOW_MS)["code"] == 1001


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("depth/NOSUCH_USDT", {}, 1001),
        ("depth/KORVAUSDT", {}, 1001),
        ("deals/KORVA_USDT", {"limit": 101}, 600),
        ("depth/KORVA_USDT", {"depth": 5}, 600),
        ("kline/KORVA_USDT", {"interval": "1m"}, 600),
        ("ticker", {"category": "x"}, 600),
    ],
)
def test_wrong_requests_get_a_code_with_http_200(
    wire: MexcWire, path: str, query: dict[str, object], code: int
) -> None:
    """Success false, the code, no data."""
    answer = get(wire, f"{MEXC}{path}", NOW_MS, **query)
    assert answer.status == 200
    assert f'"success":false,"code":{code}'.encode() in answer.body


def test_time_and_unknown_paths(wire: MexcWire) -> None:
    """Ping tells the time; a path it does not have is a page with 404."""
    assert get_json(wire, f"{MEXC}ping", NOW_MS)["data"] == NOW_MS
    assert get(wire, f"{MEXC}depth", NOW_MS).status == 404
    assert get(wire, "/api/v3/exchangeInfo", NOW_MS).status == 404


def test_each_endpoint_has_its_own_limit(wire: MexcWire) -> None:
    """The eleventh book in two seconds is code 510, whatever the symbol; deals go on."""
    for i in range(10):
        assert get_json(wire, f"{MEXC}depth/KORVA_USDT", NOW_MS + i, limit=5)["success"]
    refused = get_json(wire, f"{MEXC}depth/PEPE_USDT", NOW_MS + 1_000, limit=5)
    assert (refused["success"], refused["code"]) == (False, 510)
    assert get_json(wire, f"{MEXC}deals/KORVA_USDT", NOW_MS + 1_000, limit=5)["success"]
    assert get_json(wire, f"{MEXC}depth/PEPE_USDT", NOW_MS + 2_000, limit=5)["success"]
