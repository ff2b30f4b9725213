import re

import numpy as np
import pytest

from features.facts.venues import VENUES
from fetchers.simulated.named_coins import ListingKind
from tests.fetchers.simulated.stage import LBANK, MEXC, START_MS, get, make_market, make_wires

MARKET = make_market(coins_per_venue=60)
BULK = {
    "binance": ("/fapi/v1/premiumIndex", {}),
    "bybit": ("/v5/market/tickers", {"category": "linear"}),
    "mexc": (f"{MEXC}ticker", {}),
    "lbank": (f"{LBANK}marketData", {"productGroup": "SwapU"}),
}


@pytest.mark.parametrize("venue", VENUES)
def test_the_same_seed_and_time_give_the_same_bytes(venue: str) -> None:
    """Whatever was asked before; and at another start the same but for the times."""
    path, query = BULK[venue]
    at = 31_000
    first, second = make_wires(MARKET)[venue], make_wires(make_market(coins_per_venue=60))[venue]
    get(first, path, START_MS + 90_000, **query)
    body = get(first, path, START_MS + at, **query).body
    assert body == get(second, path, START_MS + at, **query).body
    later_ms = START_MS + 86_400_000
    later = make_wires(make_market(coins_per_venue=60, start_ms=later_ms))[venue]
    times = re.compile(rb'(ime(stamp)?|timeSecond)":"?\d+')
    assert times.sub(b"", get(later, path, later_ms + at, **query).body) == times.sub(b"", body)
    other = make_wires(make_market(coins_per_venue=60, seed=2))[venue]
    assert get(other, path, START_MS + at, **query).body != body


@pytest.mark.parametrize("venue", VENUES)
def test_a_snapshot_is_consistent_in_itself(venue: str) -> None:
    """Mark and index close to the quotes, the day's figures around them, the turnover the volume's worth."""
    snapshot = MARKET.snapshot(venue, START_MS)
    mid = (snapshot.bid_price + snapshot.ask_price) / 2
    is_coarse = snapshot.ask_price / snapshot.bid_price - 1 > 0.003
    np.testing.assert_allclose(snapshot.mark_price[~is_coarse], mid[~is_coarse], rtol=2e-3)
    np.testing.assert_allclose(snapshot.index_price[~is_coarse], mid[~is_coarse], rtol=3e-3)
    assert (snapshot.low_price_24h <= snapshot.bid_price).all()
    assert (snapshot.high_price_24h >= snapshot.ask_price).all()
    vwap = snapshot.turnover_24h / snapshot.volume_24h
    assert ((snapshot.low_price_24h <= vwap) & (vwap <= snapshot.high_price_24h)).all()
    assert (np.abs(snapshot.funding_rate) < 0.002).all()


def test_volumes_are_low_caps() -> None:
    """Most perpetuals trade half a million to 200 million USDT a day; some are outside on purpose."""
    rows = [row for row in make_market(coins_per_venue=400).rows["bybit"] if row.kind is ListingKind.PERPETUAL]
    inside = [0.5e6 <= row.volume_usdt_24h <= 200e6 for row in rows]
    assert 0.8 < np.mean(inside) < 0.99


def test_the_day_before_the_start_is_calm() -> None:
    """No dull row's open interest moves by half a percent in a quarter of an hour, and history meets the present."""
    times = START_MS - np.arange(0, 3600, 60, dtype=np.int64) * 1000
    for row in MARKET.rows["bybit"]:
        amounts, _ = MARKET.open_interest("bybit", row.id, times)
        assert np.abs(amounts[15:] / amounts[:-15] - 1).max() < 0.005
        place = MARKET.place("bybit", row.id)
        assert amounts[0] == MARKET.snapshot("bybit", START_MS).open_interest[place]


def test_suspended_rows_stand_still() -> None:
    """Their quotes are those of days ago, whenever asked."""
    place = MARKET.place("binance", "OLDIEUSDT")
    now, later = (MARKET.snapshot("binance", START_MS + at).mark_price[place] for at in (0, 3_600_000))
    assert now == later


def test_candles_hold_the_prints_of_their_minute() -> None:
    """Open, high, low, close, volume and count are those of the prints; a quiet minute repeats the last close."""
    first_ms = START_MS - START_MS % 60_000 - 600_000
    row_id = "LUMEXUSDT"
    row = MARKET.rows["binance"][MARKET.place("binance", row_id) or 0]
    candles = MARKET.candles("binance", row_id, first_ms, first_ms + 540_000, START_MS)
    assert [candle.open_ms for candle in candles] == list(range(first_ms, first_ms + 600_000, 60_000))
    for candle in candles:
        found = MARKET.prints("binance", row_id, candle.open_ms, candle.open_ms + 59_999)
        price = found.price_ticks * row.tick
        assert (candle.open, candle.close, candle.high, candle.low) == (price[0], price[-1], price.max(), price.min())
        assert candle.volume == pytest.approx(found.quantity.sum())
        assert candle.count == len(price)
    quiet = min(
        MARKET.rows["binance"], key=lambda row: row.volume_usdt_24h if row.kind is ListingKind.PERPETUAL else 1e99
    )
    minutes = MARKET.candles("binance", quiet.id, first_ms - 3_600_000, first_ms, START_MS)
    silent = [i for i, candle in enumerate(minutes) if candle.count == 0 and i]
    assert all(minutes[i].open == minutes[i].close == minutes[i - 1].close for i in silent)
