"""UPS v1 against values typed in from the formulas of design.md section 3."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from scoring.score import (
    PARTS,
    WEIGHTS,
    add_up,
    btc_microtrend,
    clip01,
    compute_scores,
    funding,
    liquidity_pressure,
    oi_divergence,
    orderflow_imbalance,
    short_momentum,
    sweep,
)
from tests.scoring.frames import NAN, SETTINGS, column, passing


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
    assert PARTS.keys() == WEIGHTS.keys()
    assert sum(WEIGHTS.values()) == 100


def test_clip01() -> None:
    """Values are cut to 0…1, NaN stays NaN and no zero comes out negative."""
    clipped = clip01(column([-1, -0.0, 0.25, 1, 7, NAN]))
    assert_allclose(clipped, [0, 0, 0.25, 1, 1, NAN])
    assert not np.signbit(clipped).any()


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


def test_compute_scores() -> None:
    """Every feature reaches its sub-score, and the weights theirs."""
    scores = compute_scores(passing(2), SETTINGS)
    expected = [100, 50, 76, 72, 100, 76, 40]
    assert_allclose(scores.sub_scores, np.transpose([expected, expected]))
    assert_allclose(scores.contributions[:, 0], [20, 10, 11.4, 10.8, 10, 7.6, 4])
    assert_allclose(scores.ups, 73.8)


def test_missing_parts_are_named() -> None:
    """A part that is missing in one column is marked there and nowhere else."""
    codes = {"wall": np.array([3, 0])}
    scores = compute_scores(passing(2, wall_ratio=[NAN, 7.5], missing=codes), SETTINGS)
    assert scores.missing["wall"].tolist() == [True, False]
    assert not any(marks.any() for part, marks in scores.missing.items() if part != "wall")
    assert_allclose(scores.ups, [68.8, 73.8])


def test_everything_missing() -> None:
    """With no data at all the score is 0, not NaN."""
    nothing = dict.fromkeys(PASSING_FLOATS, NAN)
    assert compute_scores(passing(1, **nothing), SETTINGS).ups.tolist() == [0.0]


PASSING_FLOATS = (
    *("open_interest_change", "price_change", "wall_ratio", "bid_exhaustion", "ask_share", "taker_sell_share"),
    *("sweep_multiple", "sweep_age_s", "btc_return", "momentum_z", "vwap_distance", "funding_rate_8h"),
)


@given(arrays(np.float64, (7, 5), elements=st.floats(0, 100)))
def test_contributions_add_up_exactly(sub_scores: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> None:
    """Adding the contributions in their order gives the score to the last bit, within 0…100."""
    scores = add_up(sub_scores, {})
    for contributions, ups in zip(scores.contributions.T.tolist(), scores.ups.tolist(), strict=True):
        total = 0.0
        for contribution in contributions:
            total += contribution
        assert total == ups
        assert 0 <= ups <= 100 + 1e-9


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=12, max_size=12), st.integers(0, 11)
)
def test_missing_never_raises_a_score(values: list[float], hidden: int) -> None:
    """Taking any one input away never raises the score, and the score stays within 0…100."""
    known = dict(zip(PASSING_FLOATS, values, strict=True))
    ups = compute_scores(passing(1, **known), SETTINGS).ups[0]
    without = compute_scores(passing(1, **(known | {PASSING_FLOATS[hidden]: math.nan})), SETTINGS).ups[0]
    assert 0 <= without <= ups <= 100 + 1e-9
