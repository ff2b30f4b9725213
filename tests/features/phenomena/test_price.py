"""Features of price alone, by hand."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from features.phenomena.price import mid_price, momentum_z, simple_return, spread_bps, volatility, vwap_distance

NAN = math.nan


@pytest.mark.parametrize(
    ("bid", "ask", "mid"),
    [
        (99.9, 100.1, 100.0),
        (100.0, 100.0, 100.0),  # locked: still a price
        (100.1, 99.9, NAN),
        (0.0, 100.0, NAN),
        (NAN, 100.0, NAN),
        (99.0, math.inf, NAN),
        (1e-9, 1.2e-9, 1.1e-9),
    ],
)
def test_mid_price(bid: float, ask: float, mid: float) -> None:
    """The middle of two prices, unless one is none or the bid is above the ask."""
    assert_allclose(mid_price(np.array([bid]), np.array([ask])), [mid])


def test_spread() -> None:
    """0.2 on 100 is 20 bps, and a crossed book's spread is negative."""
    assert_allclose(spread_bps(np.array([99.9, 100.1, NAN]), np.array([100.1, 99.9, 1.0])), [20, -20, NAN])


def test_simple_return() -> None:
    """A fall from 100 to 99.8 is -0.2 %."""
    assert_allclose(simple_return(np.array([99.8, NAN]), np.array([100.0, 1.0])), [-0.002, NAN])


def walk(*steps: float) -> list[float]:
    """Return prices newest first, that made these log steps, oldest first."""
    return [100 * math.exp(sum(steps[:count])) for count in range(len(steps), -1, -1)]


def test_volatility_of_equal_steps_is_the_step() -> None:
    """Fifteen steps of 0.2 % either way have a volatility of 0.2 %."""
    steps = [0.002 if i % 2 else -0.002 for i in range(15)]
    assert_allclose(volatility(np.array([walk(*steps)]).T), [0.002])


def test_volatility_skips_what_is_missing() -> None:
    """A return over two lags counts once, for two lags."""
    prices = walk(*[0.002] * 15)
    prices[7] = NAN  # two steps become one of 0.004
    assert_allclose(volatility(np.array([prices]).T), [math.sqrt((13 * 0.002**2 + 0.004**2) / 15)])


def test_volatility_has_a_floor() -> None:
    """A price that never moves has 5 bps."""
    assert_allclose(volatility(np.full((16, 1), 7.0)), [0.0005])


@pytest.mark.parametrize(("known", "expected"), [(10, NAN), (11, 0.002)])
def test_volatility_needs_two_thirds_of_its_lags(known: int, expected: float) -> None:
    """Eleven prices span ten of fifteen lags, ten only nine."""
    prices = walk(*[0.002] * 15)
    prices[known:] = [NAN] * (16 - known)
    assert_allclose(volatility(np.array([prices]).T), [expected])


def test_volatility_of_nothing_is_missing() -> None:
    """No price, no volatility."""
    assert_allclose(volatility(np.full((16, 2), NAN)), [NAN, NAN])


def test_momentum_z() -> None:
    """One sigma down over one window and over three is a z of -1."""
    z = momentum_z(np.array([-0.002, NAN]), np.array([-0.002 * math.sqrt(3), 0.0]), np.array([0.002, 0.002]))
    assert_allclose(z, [-1.0, NAN])


def test_vwap_distance() -> None:
    """105 over a VWAP of 100 is 5 %; a day without trades has no VWAP."""
    price, usdt, base = np.array([105.0, 105.0, 105.0]), np.array([1e6, 0.0, NAN]), np.array([1e4, 0.0, 1e4])
    assert_allclose(vwap_distance(price, usdt, base), [0.05, NAN, NAN])
