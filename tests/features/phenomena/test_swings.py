"""Swings, legs, clusters and blocks: the planted setup, a scalar reference, and what no later candle may change."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.facts.market import FloatArray
from features.phenomena.indicators import atr, rsi
from features.phenomena.swings import Leg, Swings, find_swings, last_leg, newest_rows
from features.phenomena.zones import Blocks, find_blocks, find_clusters
from tests.features.phenomena.candle_series import Series, long_setup, random_series
from tests.features.phenomena.scalar_levels import alternating, clusters, long_blocks, swing_rows

STRENGTH = 5
SERIES = st.builds(
    random_series,
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 150),
    n=st.integers(1, 4),
    tick=st.sampled_from([0.0, 0.5, 2.0]),
    holes=st.sampled_from([0.0, 0.0, 0.02, 0.3]),
)


def blocks_of(series: Series, direction: int, *, by_close: bool = False) -> Blocks:
    """Blocks of."""
    return find_blocks(
        series.high,
        series.low,
        series.close,
        find_swings(series.high, series.low, STRENGTH),
        atr(series.high, series.low, series.close),
        np.full(series.high.shape[1], direction),
        strength=STRENGTH,
        max_atr=2.0,
        by_close=by_close,
    )


def leg_of(series: Series, strength: int = STRENGTH) -> Leg:
    """Leg of."""
    return last_leg(find_swings(series.high, series.low, strength), series.high, series.low)


def test_the_first_of_equal_extremes_is_the_swing_and_a_point_may_be_superseded() -> None:
    """The first of equal extremes is the swing and a point may be superseded."""
    high = np.array([10.0, 11, 12, 12, 11, 10, 9, 10, 13, 12, 11, 14, 12, 11])[:, np.newaxis]
    low = high - 1
    low[6] = 7
    swings = find_swings(high, low, 2)
    assert np.flatnonzero(swings.is_high).tolist() == [2, 8, 11]
    seen = {}
    for rows in range(1, 15):
        known = alternating(high[:rows, 0].tolist(), low[:rows, 0].tolist(), 2)
        seen[rows - 1] = [(point.row, point.kind, point.price) for point in known]
    assert seen[3] == []
    assert seen[4] == [(2, "H", 12)]
    assert seen[8] == [(2, "H", 12), (6, "L", 7)]
    assert seen[10] == [(2, "H", 12), (6, "L", 7), (8, "H", 13)]
    assert seen[12] == [(2, "H", 12), (6, "L", 7), (8, "H", 13), (10, "L", 10)]
    assert seen[13] == [(2, "H", 12), (6, "L", 7), (8, "H", 13), (10, "L", 10), (11, "H", 14)]
    for rows in range(1, 15):
        leg, view = last_leg(find_swings(high[:rows], low[:rows], 2), high[:rows], low[:rows]), seen[rows - 1]
        if len(view) < 2:
            assert leg.direction[0] == 0
        else:
            assert (leg.start_row[0], leg.end_row[0]) == (view[-2][0], view[-1][0])
            assert (leg.start[0], leg.end[0]) == (view[-2][2], view[-1][2])


def test_the_swings_and_the_leg_of_the_planted_setup() -> None:
    """The swings and the leg of the planted setup."""
    series = long_setup()
    swings = find_swings(series.high, series.low, STRENGTH)
    assert np.flatnonzero(swings.is_low).tolist() == [6, 18, 30]
    assert np.flatnonzero(swings.is_high).tolist() == [12, 24, 44]
    assert series.low[[6, 18, 30], 0] == pytest.approx([95.8, 95.9, 89.8])
    assert series.high[[12, 24, 44], 0] == pytest.approx([101.2, 103.2, 110.2])
    assert leg_of(series.first(49)).direction[0] == -1, "the high of row 44 is not known before row 49"
    leg = leg_of(series.first(50))
    assert (leg.direction[0], leg.start_row[0], leg.end_row[0]) == (1, 30, 44)
    assert (leg.start[0], leg.end[0]) == pytest.approx((89.8, 110.2))
    assert rsi(series.close)[60, 0] == pytest.approx(30.447, abs=1e-3)
    assert atr(series.high, series.low, series.close)[60, 0] == pytest.approx(1.4585, abs=1e-4)


def test_the_clusters_of_the_vector_and_of_the_planted_setup() -> None:
    """The clusters of the vector and of the planted setup."""
    prices = np.array([[100, 100.1, 100.25, 100.45, 101.2, 103, 103.29]]).T
    found = find_clusters(prices, np.array([0.3]), 2)
    levels = [
        (level, touches) for level, touches in zip(found.level[:, 0], found.touches[:, 0], strict=True) if touches
    ]
    assert levels == [(pytest.approx(100.116667, abs=1e-6), 3), (pytest.approx(103.145), 2)]
    planted = np.array([[95.8, 95.9, 89.8, 101.2, 103.2, 110.2]]).T
    found = find_clusters(planted, np.array([2 * 0.36462]), 2)
    assert found.level[found.touches > 0] == pytest.approx([95.85])


def test_the_blocks_of_the_planted_setup() -> None:
    """The blocks of the planted setup."""
    series = long_setup()
    long = blocks_of(series, 1)
    assert long.row.tolist() == [19, 31]
    assert long.born_row.tolist() == [23, 40]
    assert long.died_row.tolist() == [28, -1]
    assert long.bottom == pytest.approx([95.9, 89.8])
    assert long.top == pytest.approx([97.45, 91.628571])
    short = blocks_of(series, -1)
    assert (short.row.tolist(), short.born_row.tolist(), short.died_row.tolist()) == ([25], [28], [40])
    assert (short.bottom[0], short.top[0]) == pytest.approx((100.633333, 103.2))


@given(SERIES, st.integers(2, 6))
@settings(max_examples=60)
def test_a_scalar_reference_finds_the_same(series: Series, strength: int) -> None:
    """A scalar reference finds the same."""
    swings, leg = find_swings(series.high, series.low, strength), leg_of(series, strength)
    for column in range(series.high.shape[1]):
        high, low = series.high[:, column].tolist(), series.low[:, column].tolist()
        assert np.flatnonzero(swings.is_high[:, column]).tolist() == swing_rows(high, strength, 1)
        assert np.flatnonzero(swings.is_low[:, column]).tolist() == swing_rows(low, strength, -1)
        view = alternating(high, low, strength)
        if len(view) < 2:
            assert leg.direction[column] == 0
            continue
        start, end = view[-2:]
        assert leg.direction[column] == (1 if end.kind == "H" else -1)
        assert (leg.start_row[column], leg.end_row[column]) == (start.row, end.row)
        assert (leg.start[column], leg.end[column]) == (start.price, end.price)


@given(SERIES)
@settings(max_examples=40)
def test_a_scalar_reference_finds_the_same_blocks(series: Series) -> None:
    """A scalar reference finds the same blocks."""
    true_ranges = atr(series.high, series.low, series.close)
    found = blocks_of(series, 1)
    for column in range(series.high.shape[1]):
        if np.isnan(series.close[:, column]).any():
            continue  # the reference knows no holes
        high, low, close, ranges = (
            one[:, column].tolist() for one in (series.high, series.low, series.close, true_ranges)
        )
        expected = long_blocks(high, low, close, ranges, STRENGTH, 2.0)
        mine = found.column == column
        fields = zip(found.row[mine], found.born_row[mine], found.died_row[mine], strict=True)
        assert list(fields) == [(block.row, block.born, block.died) for block in expected]


@given(SERIES, st.data())
@settings(max_examples=60)
def test_no_later_candle_changes_what_was_known(series: Series, data: st.DataObject) -> None:
    """No later candle changes what was known."""
    whole = find_swings(series.high, series.low, STRENGTH)
    rows = data.draw(st.integers(0, len(series.high)))
    prefix = find_swings(series.high[:rows], series.low[:rows], STRENGTH)
    settled = max(0, rows - STRENGTH)
    for then, now in zip(prefix, whole, strict=True):
        assert np.array_equal(then[:settled], now[:settled])
        assert not then[settled:].any(), "nothing is claimed before it is known"
    assert np.array_equal(rsi(series.close[:rows]), rsi(series.close)[:rows], equal_nan=True)
    for direction in (1, -1):
        before, after = blocks_of(series.first(rows), direction), blocks_of(series, direction)
        was_born = after.born_row < rows
        for name in ("column", "row", "born_row", "bottom", "top"):
            assert getattr(before, name).tolist() == getattr(after, name)[was_born].tolist()
        died = np.where(after.died_row[was_born] < rows, after.died_row[was_born], -1)
        assert before.died_row.tolist() == died.tolist()


@given(SERIES)
@settings(max_examples=30)
def test_short_is_long_mirrored_and_scale_changes_nothing(series: Series) -> None:
    """Short is long mirrored and scale changes nothing."""
    series = Series(
        **{name: np.round(getattr(series, name) * 1024) / 1024 for name in ("open", "high", "low", "close")}
    )
    mirrored = series.mirrored(128.0)  # binary fractions: the mirror image is exact
    leg, other = leg_of(series), leg_of(mirrored)
    assert _rows_of(find_swings(series.high, series.low, STRENGTH)) == _rows_of(
        Swings(*reversed(find_swings(mirrored.high, mirrored.low, STRENGTH)))
    )
    if not (
        find_swings(series.high, series.low, STRENGTH).is_high & find_swings(series.high, series.low, STRENGTH).is_low
    ).any():
        assert leg.direction.tolist() == (-other.direction).tolist()  # a candle that is both is a high first
        assert leg.end_row.tolist() == other.end_row.tolist()
    assert blocks_of(series, 1).row.tolist() == blocks_of(mirrored, -1).row.tolist()
    scaled = series.times(2.0**-20)
    assert leg_of(scaled).end_row.tolist() == leg.end_row.tolist()
    assert blocks_of(scaled, 1).row.tolist() == blocks_of(series, 1).row.tolist()


def _rows_of(swings: Swings) -> list[list[int]]:
    """Rows of."""
    return [np.flatnonzero(one).tolist() for one in swings]


@given(st.lists(st.floats(90, 110) | st.just(math.nan), min_size=1, max_size=32), st.floats(0, 3))
def test_a_scalar_reference_finds_the_same_clusters(prices: list[float], width: float) -> None:
    """A scalar reference finds the same clusters."""
    found = find_clusters(np.array([prices]).T, np.array([width]), 2)
    is_level = found.touches[:, 0] > 0
    mine = list(zip(found.level[is_level, 0], found.touches[is_level, 0], strict=True))
    assert mine == [(pytest.approx(level), touches) for level, touches in clusters(prices, width, 2)]


def test_a_flat_market_has_no_swings() -> None:
    """A flat market has no swings."""
    flat: FloatArray = np.full((60, 2), 5.0)
    assert not find_swings(flat, flat, STRENGTH).is_high.any()
    assert leg_of(Series(open=flat, high=flat, low=flat, close=flat)).direction.tolist() == [0, 0]


def test_the_newest_marks_come_newest_first() -> None:
    """The newest marks come newest first."""
    marks = np.array([[1, 0], [0, 0], [1, 1], [1, 0]], bool)
    assert newest_rows(marks, 2).tolist() == [[3, 2], [2, -1]]
