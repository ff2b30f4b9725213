"""UPS v1 against values typed in from the formulas of docs/features.md."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from scoring.strategies.ups_short.score import (
    PARTS_NEEDED,
    WEIGHTS,
    btc_microtrend,
    funding,
    liquidity_pressure,
    oi_divergence,
    orderflow_imbalance,
    short_momentum,
    sweep,
)
from tests.scoring.frames import NAN, SETTINGS, UPS, column, passing


def test_weights() -> None:
    """The weights are those of the design, in its order, and make a hundred."""
    assert list(WEIGHTS.items()) == [
        ("oi_divergence", 20),
        ("liquidity_pressure", 20),
        ("orderflow_imbalance", 15),
        ("sweep", 15),
        ("btc_microtrend", 10),
        ("short_momentum", 10),
        ("funding", 10),
    ]
    assert PARTS_NEEDED.keys() == WEIGHTS.keys()
    assert sum(WEIGHTS.values()) == 100


@pytest.mark.parametrize(
    ("change", "price", "expected"),
    [
        (0.02, -0.01, 100),
        (0.04, -0.05, 100),
        (0.01, -0.01, 70.71067811865476),
        (0.005, -0.0025, 25),
        (0.026, -0.011, 100),
        (0.0, -0.01, 0),
        (-0.02, -0.01, 0),
        (0.02, 0.01, 0),
        (NAN, -0.01, 0),
        (0.02, NAN, 0),
    ],
)
def test_oi_divergence(change: float, price: float, expected: float) -> None:
    """It is the geometric mean of rising open interest and falling price, and needs both."""
    assert_allclose(oi_divergence(column([change]), column([price])), [expected])


@pytest.mark.parametrize(
    ("wall", "exhaustion", "expected"),
    [
        (3, 0, 0),
        (12, 0.5, 100),
        (30, 0.9, 100),
        (7.5, 0.25, 50),
        (12, NAN, 50),
        (NAN, 0.5, 50),
        (NAN, NAN, 0),
        (1, -2, 0),
    ],
)
def test_liquidity_pressure(wall: float, exhaustion: float, expected: float) -> None:
    """Wall and exhaustion count half each, and a missing one loses only its half."""
    assert_allclose(liquidity_pressure(column([wall]), column([exhaustion])), [expected])


@pytest.mark.parametrize(
    ("share", "sells", "expected"),
    [(0.5, 0.5, 0), (0.75, 0.8, 100), (0.6, 0.5, 28), (0.5, 0.65, 15), (1, NAN, 70), (NAN, 1, 30), (0.2, 0.1, 0)],
)
def test_orderflow_imbalance(share: float, sells: float, expected: float) -> None:
    """The ask share makes 70 points and the taker sells 30, and a missing one loses only its own."""
    assert_allclose(orderflow_imbalance(column([share]), column([sells])), [expected])


@pytest.mark.parametrize(
    ("multiple", "age_s", "expected"),
    [
        (10, 0, 100),
        (20, 0, 100),
        (5, 0, 50),
        (10, 15, 50),
        (8, 3, 72),
        (10, 30, 0),
        (10, 90, 0),
        (0, NAN, 0),
        (NAN, NAN, 0),
    ],
)
def test_sweep(multiple: float, age_s: float, expected: float) -> None:
    """A sweep is worth its multiple over ten, fading to nothing at its time to live."""
    assert_allclose(sweep(column([multiple]), column([age_s]), ttl_s=30), [expected])


@pytest.mark.parametrize(
    ("change", "expected"), [(0.0, 100), (-0.02, 100), (0.0015, 50), (0.003, 0), (0.02, 0), (NAN, 0)]
)
def test_btc_microtrend(change: float, expected: float) -> None:
    """Bitcoin flat or falling is full, rising 0.3 % is nothing."""
    assert_allclose(btc_microtrend(change), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("z", "distance", "expected"),
    [(-2, 0.05, 100), (-1, 0, 35), (1, 0.1, 30), (NAN, 0.025, 15), (-4, NAN, 70), (0, 0, 0)],
)
def test_short_momentum(z: float, distance: float, expected: float) -> None:
    """The fall makes 70 points and the distance above the VWAP 30, and a missing one loses only its own."""
    assert_allclose(short_momentum(column([z]), column([distance])), [expected])


@pytest.mark.parametrize(("rate", "expected"), [(0.001, 100), (0.0004, 40), (0.0, 0), (-0.001, 0), (NAN, 0)])
def test_funding(rate: float, expected: float) -> None:
    """Longs paying 0.1 % per eight hours is full; shorts paying is nothing."""
    assert_allclose(funding(column([rate])), [expected])


def test_score() -> None:
    """Every feature reaches its sub-score, and the weights theirs."""
    scores = UPS.score(passing(2), SETTINGS)
    expected = [100, 50, 76, 72, 100, 76, 40]
    assert_allclose(scores.sub_scores, np.transpose([expected, expected]))
    assert_allclose(scores.contributions[:, 0], [20, 10, 11.4, 10.8, 10, 7.6, 4])
    assert_allclose(scores.total, 73.8)


def test_a_missing_part_lowers_only_its_column() -> None:
    """A part that is missing in one column adds nothing there and changes nothing elsewhere."""
    scores = UPS.score(passing(2, wall_ratio=[NAN, 7.5]), SETTINGS)
    assert_allclose(scores.total, [68.8, 73.8])


def test_everything_missing() -> None:
    """With no data at all the score is 0, not NaN."""
    nothing = dict.fromkeys(PASSING_FLOATS, NAN)
    assert UPS.score(passing(1, **nothing), SETTINGS).total.tolist() == [0.0]


PASSING_FLOATS = (
    *("open_interest_change", "price_change", "wall_ratio", "bid_exhaustion", "ask_share", "taker_sell_share"),
    *("sweep_multiple", "sweep_age_s", "btc_return", "momentum_z", "vwap_distance", "funding_rate_8h"),
)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=12, max_size=12), st.integers(0, 11)
)
def test_missing_never_raises_a_score(values: list[float], hidden: int) -> None:
    """Taking any one input away never raises the score, and the score stays within 0…100."""
    known = dict(zip(PASSING_FLOATS, values, strict=True))
    total = UPS.score(passing(1, **known), SETTINGS).total[0]
    without = UPS.score(passing(1, **(known | {PASSING_FLOATS[hidden]: math.nan})), SETTINGS).total[0]
    assert 0 <= without <= total <= 100 + 1e-9
