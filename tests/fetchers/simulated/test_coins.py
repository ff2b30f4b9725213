"""The market lists as ccxt parses them: its own classes, handed our replies instead of a socket."""

from collections import Counter
from typing import Any

import ccxt
import pytest

from features.facts.venues import VENUES
from fetchers.simulated.named_coins import ListingKind
from tests.fetchers.simulated.stage import LBANK, MEXC, START_MS, get_json, make_market, make_wires

COINS_PER_VENUE = 80
MARKET = make_market(coins_per_venue=COINS_PER_VENUE)
WIRES = make_wires(MARKET)


def _markets(venue: str) -> list[dict[str, Any]]:
    paths: dict[str, tuple[str, dict[str, Any]]] = {
        "binance": ("/fapi/v1/exchangeInfo", {}),
        "bybit": ("/v5/market/instruments-info", {"category": "linear", "limit": 1000}),
        "mexc": (f"{MEXC}detail", {}),
        "lbank": (f"{LBANK}instrument", {"productGroup": "SwapU"}),
    }
    path, query = paths[venue]
    is_done: list[bool] = []

    def fetch(url: str, *_: object, **__: object) -> Any:
        if "PreLaunch" in url:
            query["status"] = "PreLaunch"
        is_done.append(True)
        return get_json(WIRES[venue], path, START_MS, **query)

    exchange = {
        "binance": ccxt.binanceusdm,
        "bybit": lambda: ccxt.bybit({"options": {"fetchMarkets": {"types": ["linear"]}}}),
        "mexc": lambda: ccxt.mexc({"options": {"defaultType": "swap"}}),
        "lbank": lambda: ccxt.lbank({"options": {"defaultType": "swap"}}),
    }[venue]()
    exchange.fetch = fetch
    if venue in {"mexc", "lbank"}:
        exchange.fetch_spot_markets = lambda *_: []
    parsed: list[dict[str, Any]] = exchange.fetch_markets()
    assert is_done
    return parsed


PARSED = {venue: {market["id"]: market for market in _markets(venue)} for venue in VENUES}


@pytest.mark.parametrize("venue", VENUES)
def test_ccxt_parses_every_row_with_its_tick_and_contract_size(venue: str) -> None:
    """What ccxt makes of the list is what the catalogue meant."""
    parsed = PARSED[venue]
    for row in MARKET.rows[venue]:
        market = parsed[row.id]
        assert market["precision"]["price"] == pytest.approx(row.tick)
        assert market["contractSize"] == row.contract_size
        assert market["swap"] is (row.kind is not ListingKind.DELIVERY)
        if row.kind is ListingKind.PERPETUAL:
            assert market["active"]
            assert market["linear"]
            assert market["settle"] == "USDT"


@pytest.mark.parametrize("venue", VENUES)
def test_each_venue_lists_what_was_asked_and_the_odd_rows_beside_it(venue: str) -> None:
    """Exactly so many perpetuals (planted, recorded and named ones among them), ids unique."""
    rows = MARKET.rows[venue]
    kinds = Counter(row.kind for row in rows)
    assert kinds[ListingKind.PERPETUAL] == COINS_PER_VENUE
    assert kinds[ListingKind.SUSPENDED] == 1
    assert kinds[ListingKind.STOCK] == 1
    assert len({row.id for row in rows}) == len(rows)


def test_the_traps_of_the_real_lists_are_there() -> None:
    """Multipliers in front, behind and in the contract, renamed and aliased coins, statuses, other settlements."""
    assert {"1000PEPEUSDT", "1000000MOGUSDT", "BTCUSDT_261225", "BTCUSDC", "币安人生USDT"} <= PARSED["binance"].keys()
    assert {"SHIB1000USDT", "10000SATSUSDT", "BTCPERP"} <= PARSED["bybit"].keys()
    assert PARSED["bybit"]["NEWBIEUSDT"]["active"] is False
    assert PARSED["bybit"]["BTCUSDT-25DEC26"]["future"]
    assert PARSED["mexc"]["PEPE_USDT"]["contractSize"] == 1e7
    assert PARSED["mexc"]["GAS_USDT"]["base"] == "GASDAO"
    assert PARSED["mexc"]["BTC_USD"]["inverse"]
    assert PARSED["mexc"]["OLDIE_USDT"]["active"] is False
    assert PARSED["lbank"]["EDGEXUSDT"]["info"]["symbolAlias"] == "EDGE"
    assert PARSED["lbank"]["OLDIEUSDT"]["info"]["needSuspend"] == 1
    assert PARSED["binance"]["TSLAUSDT"]["info"]["contractType"] == "TRADIFI_PERPETUAL"
    assert PARSED["binance"]["TSLAUSDT"]["swap"]
    assert PARSED["binance"]["OLDIEUSDT"]["info"]["status"] == "SETTLING"


def test_planted_coins_are_listed_on_their_own_venues_only() -> None:
    """A setup's coin has no third venue that could outbid it."""
    for venue in VENUES:
        ids = {row.base for row in MARKET.rows[venue]}
        assert ("TAVRO" in ids) is (venue in {"lbank", "bybit"})
        assert ("LUMEX" in ids) is (venue == "binance")
