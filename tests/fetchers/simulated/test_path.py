import numpy as np

from features.facts.venues import VENUES
from fetchers.simulated.named_coins import ListingKind
from tests.fetchers.simulated.stage import START_MS, make_market

MARKET = make_market(coins_per_venue=150)


def _marks() -> dict[str, list[tuple[str, float]]]:
    """Name of the coin -> each venue's mark price per coin."""
    marks: dict[str, list[tuple[str, float]]] = {}
    for venue in VENUES:
        snapshot = MARKET.snapshot(venue, START_MS + 7_000)
        for row, price in zip(MARKET.rows[venue], snapshot.mark_price.tolist(), strict=True):
            if row.kind is ListingKind.PERPETUAL:
                base = "BTC" if row.base == "BTC" else row.base.strip("10")
                marks.setdefault(base, []).append((venue, price / row.multiplier))
    return marks


def test_a_coin_costs_the_same_everywhere_once_multipliers_are_out() -> None:
    """Within a few basis points, for PEPE per million contracts as for one; only the other NEIRO disagrees."""
    apart = set()
    for coin, marks in _marks().items():
        prices = [price for _, price in marks]
        if max(prices) / min(prices) - 1 > 0.001:
            apart.add(coin)
            assert max(prices) / min(prices) - 1 > 0.03
    assert apart == {"NEIRO"}


def test_prices_are_a_pure_function_of_time() -> None:
    """Asking for a time late, early or among others gives the same."""
    paths = MARKET._paths
    coins = np.arange(40)
    once = paths.price(coins, np.full(40, 33.5))
    paths.price(coins, np.full(40, 99.0))
    np.testing.assert_array_equal(once[::-1], paths.price(coins[::-1], np.full(40, 33.5)))
    assert (once > 0).all()


def test_low_caps_move_like_low_caps() -> None:
    """A dull coin's minute moves some basis points, its day some percent, and nothing runs away."""
    paths, coin = MARKET._paths, MARKET.rows["bybit"][-1].coin
    minutes = paths.price(np.full(1440, coin), np.arange(1440, dtype=np.float64) * 60)
    returns = np.diff(np.log(minutes))
    assert 3e-4 < returns.std() < 4e-3
    assert 0.01 < np.ptp(np.log(minutes)) < 0.5
