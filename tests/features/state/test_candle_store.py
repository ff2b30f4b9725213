"""Closed candles in their rings, the longer ones made of them, and what is read of both."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.candle_frame import PRICES
from features.candle_readings import CandleReadings
from features.candle_settings import CandleSettings
from features.facts.market import Candles, read_only
from features.phenomena.swings import find_swings
from features.state.candle_store import CandleStore
from tests.features.phenomena.candle_series import Series, long_setup, random_series, real_series
from tests.features.phenomena.scalar_readings import read

pytestmark = pytest.mark.long

SETTINGS = CandleSettings()
QUARTER_MS = 900_000
START_MS = 1_700_000_100_000 // 3_600_000 * 3_600_000


def candles_of(series: Series, column: int = 0, first: int = 0, last: int | None = None, **changes: float) -> Candles:
    """Return candles of 15 minutes, the first at START_MS, without the rows that are missing."""
    rows = np.arange(len(series.close))[first:last]
    rows = rows[~np.isnan(series.close[rows, column])]
    prices = {name: read_only(getattr(series, name)[rows, column], np.float64) for name in ("open", "high", "low")}
    return Candles(
        venue="bybit",
        id="AUSDT",
        open_ms=read_only(START_MS + rows * QUARTER_MS, np.int64),
        close=read_only(series.close[rows, column] + changes.get("close", 0), np.float64),
        received_ms=START_MS,
        interval_s=900,
        volume_base=read_only(rows + 1.0, np.float64),
        **prices,
    )


def store(n: int = 1, tick: float = 0.01) -> CandleStore:
    """Return an empty store."""
    return CandleStore(np.full(n, tick), SETTINGS)


def test_the_planted_setup_is_read() -> None:
    """The leg, what came back of it, and the zones on its way, as docs/levels.md computes them by hand."""
    kept, series = store(), long_setup()
    kept.append([0], [candles_of(series)])
    read = kept.readings
    assert read.direction.tolist() == [1]
    assert (read.start[0], read.end[0]) == pytest.approx((89.8, 110.2))
    assert read.start_ms[0] == START_MS + 30 * QUARTER_MS
    assert read.end_ms[0] == START_MS + 44 * QUARTER_MS
    assert read.known_ms[0] == START_MS + 50 * QUARTER_MS, "the close of row 49"
    assert read.known_rows[0] == 11
    assert read.closed_ms[0] == START_MS + 61 * QUARTER_MS
    assert read.whole_rows[0] == 61
    assert read.back_before[0] == pytest.approx(series.low[45:50].min())
    assert read.back_since[0] == pytest.approx(95.3)
    assert read.rsi[0] == pytest.approx(30.447, abs=1e-3)
    assert read.atr[0] == pytest.approx(1.4585, abs=1e-4)
    assert read.tolerance[0] == pytest.approx(0.36462, abs=1e-5)
    assert read.level[:2, 0] == pytest.approx([95.85, np.nan], nan_ok=True)
    assert read.touches[0, 0] == 2
    assert read.swing[:, 0] == pytest.approx([95.9, 95.8, np.nan, np.nan, np.nan], nan_ok=True)
    assert read.block_bottom[:2, 0] == pytest.approx([89.8, np.nan], nan_ok=True)


def test_longer_candles_are_made_of_whole_hours() -> None:
    """First open, highest high, lowest low, last close, the sum of the volumes; a part that is missing makes none."""
    kept, series = store(), random_series(1, 23, 1)
    kept.append([0], [candles_of(series, first=1, last=10)])
    kept.append([0], [candles_of(series, first=10)])
    hours = kept.longer.window(np.array([0]), 6)[:, :, 0]
    assert kept.longer.newest_ms[0] == START_MS + 4 * 3_600_000
    assert np.isnan(hours[3, :2]).all(), "the first hour lacks its first quarter"
    four = series.high[8:12, 0].max(), series.low[8:12, 0].min(), series.close[11, 0], 9 + 10 + 11 + 12
    assert hours[1:, 3].tolist() == list(four)
    assert hours[0, 3] == series.open[8, 0]


@pytest.mark.parametrize(("missing", "whole"), [(1, 40), (3, 40), (4, 10)])
def test_a_short_gap_is_a_time_without_trades_and_a_long_one_a_hole(missing: int, whole: int) -> None:
    """Up to three candles in a row are filled with the close before, within a reply and between two."""
    series = random_series(2, 40, 1)
    for one in (series.open, series.high, series.low, series.close):
        one[30 - missing : 30] = np.nan
    for kept, parts in ((store(), [(0, None)]), (store(), [(0, 28), (28, None)])):
        for first, last in parts:
            kept.append([0], [candles_of(series, first=first, last=last)])
        assert kept.readings.whole_rows[0] == whole
        if whole == 40:
            quiet = kept.base.window(np.array([0]), 11)[:, 0, 0]
            close = series.close[29 - missing, 0]
            assert quiet.tolist() == [close] * 4 + [0.0]


def test_what_was_stored_stays_and_a_rewritten_candle_is_counted() -> None:
    """A venue that gives another candle later changes nothing that was read."""
    kept, series = store(), random_series(3, 100, 1)
    kept.append([0], [candles_of(series)])
    before = kept.snapshot(np.array([0]))
    kept.append([0], [candles_of(series, first=50, close=0.001)])
    assert kept.rewritten == 50
    assert np.array_equal(before.values, kept.snapshot(np.array([0])).values, equal_nan=True)


SERIES = st.builds(
    random_series,
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 235),
    n=st.just(3),
    tick=st.sampled_from([0.0, 0.5, 2.0]),
    holes=st.sampled_from([0.0, 0.02, 0.1]),
)


def known(kept: CandleStore) -> dict[str, NDArray[Any]]:
    """Return all that is known of a store's candles, by name."""
    parts = kept.track, kept.readings
    return {f"{type(part).__name__}.{one.name}": getattr(part, one.name) for part in parts for one in fields(part)}


def assert_same(one: CandleStore, other: CandleStore) -> None:
    """Fail with the names of what differs in a bit."""
    theirs = known(other)
    assert [name for name, mine in known(one).items() if not np.array_equal(mine, theirs[name], equal_nan=True)] == []


@settings(max_examples=40, deadline=None)
@given(SERIES, st.data())
def test_one_candle_after_the_other_makes_the_bits_of_all_at_once(series: Series, data: st.DataObject) -> None:
    """Whatever came at first, in whatever portions the rest comes, and whoever comes with it."""
    n, rows = 3, len(series.close)
    grown, at_once = store(n), store(n)
    for column in range(n):
        at_once.append([column], [candles_of(series, column)])
    at = data.draw(st.integers(0, rows))
    grown.append(range(n), [candles_of(series, column, 0, at) for column in range(n)])
    while at < rows:
        step = data.draw(st.integers(1, 4))
        order = data.draw(st.permutations(range(n)))
        apart = data.draw(st.integers(0, n))
        for columns in (order[:apart], order[apart:]):
            grown.append(columns, [candles_of(series, column, at, at + step) for column in columns])
        at += step
    assert_same(grown, at_once)
    alone = CandleStore.restore(grown.snapshot(np.array([1])), np.array([0.01]))
    for name, whole in known(grown).items():
        assert np.array_equal(whole[..., 1:2], known(alone)[name], equal_nan=True), name
    moved = store(2)
    moved.copy_columns(grown, np.array([2]), np.array([0]))
    for name, whole in known(grown).items():
        assert np.array_equal(whole[..., 2:], known(moved)[name][..., :1], equal_nan=True), name


@settings(max_examples=40, deadline=None)
@given(SERIES, st.integers(0, 235))
def test_a_scalar_reference_reads_the_same(series: Series, first: int) -> None:
    """Every reading, of candles that came one by one, beside the same written apart as plain loops."""
    kept, rows = store(3), len(series.close)
    for at in [0, *range(min(first, rows), rows)]:
        last = min(first, rows) if at == 0 else at + 1
        kept.append(range(3), [candles_of(series, column, at, last) for column in range(3)])
    for column in range(3):
        if kept.readings.whole_rows[column]:
            assert_read_as_by_the_reference(kept, column)


def assert_read_as_by_the_reference(kept: CandleStore, column: int, tick: float = 0.01) -> None:
    """Compare every reading of an instrument with the plain loops."""
    count = int(kept.readings.whole_rows[column])
    high, low, close = (one.tolist() for one in kept.base.window(np.array([column]), count, slice(1, 4))[:, :, 0])
    first_ms = int(kept.base.newest_ms[column]) - (count - 1) * QUARTER_MS
    expected = read(high, low, close, first_ms, tick)
    mine = {one.name: getattr(kept.readings, one.name)[..., column] for one in fields(CandleReadings)}
    assert mine["direction"] == expected.direction
    times = [0 if row < 0 else first_ms + row * QUARTER_MS for row in (expected.start_row, expected.end_row)]
    assert [mine["start_ms"], mine["end_ms"]] == times
    for name in ("start", "end", "back_before", "back_since", "beyond", "rsi", "atr", "tolerance"):
        assert mine[name] == pytest.approx(getattr(expected, name), rel=1e-9, nan_ok=True), name
    is_level = mine["touches"] > 0
    found = list(zip(mine["level"][is_level], mine["touches"][is_level], strict=True))
    assert found == [(pytest.approx(level), touches) for level, touches in expected.levels]
    assert mine["swing"][~np.isnan(mine["swing"])].tolist() == expected.swings
    blocks = np.array([mine["block_bottom"], mine["block_top"]]).T
    assert [tuple(one) for one in blocks[~np.isnan(blocks[:, 0])].tolist()] == expected.blocks


def test_no_reading_of_real_candles_is_ever_rewritten() -> None:
    """Whatever comes later: no swing of any prefix moves, appears late or goes, and the reference reads the same."""
    # 200 times the moves: legs of a second's candles become large enough to count
    real = real_series()
    base = np.nanmean(real.close)
    series = Series(**{one.name: base + 200 * (getattr(real, one.name) - base) for one in fields(Series)})
    kept, rows = store(), len(series.close)
    known_at: dict[tuple[int, int], tuple[float, int]] = {}  # by side and time: the price, and when it became known
    for row in range(rows):
        kept.append([0], [candles_of(series, 0, row, row + 1)])
        swings, times = kept.track.swing[:, :, 0], kept.track.swing_ms[:, :, 0]
        for side in (0, 1):
            for price, open_ms in zip(swings[side].tolist(), times[side].tolist(), strict=True):
                if open_ms:
                    price_then, _ = known_at.setdefault((side, open_ms), (price, row))
                    assert price == price_then
        if row % 7 == 0 and kept.readings.whole_rows[0]:
            assert_read_as_by_the_reference(kept, 0)
    assert len(known_at) > 15
    lags = {(START_MS + row * QUARTER_MS - open_ms) // QUARTER_MS for (_, open_ms), (_, row) in known_at.items()}
    assert lags == {SETTINGS.swing_strength}, "each became known with its fifth later candle, never before or after"


@settings(max_examples=25, deadline=None)
@given(SERIES, st.data())
def test_what_is_missing_harms_nobody_else_and_scale_and_mirror_change_nothing(
    series: Series, data: st.DataObject
) -> None:
    """NaN anywhere costs its own instrument a hole; other units and the mirror image give the same readings."""
    column, row = data.draw(st.integers(0, 2)), data.draw(st.integers(0, len(series.close) - 1))
    exact = Series(**{one.name: np.round(getattr(series, one.name) * 1024) / 1024 for one in fields(Series)})
    kept = store(3)
    kept.append(range(3), [candles_of(exact, one) for one in range(3)])
    holed = Series(**{one.name: getattr(exact, one.name).copy() for one in fields(Series)})
    for one in fields(Series):
        getattr(holed, one.name)[row : row + 4, column] = np.nan
    other = store(3)
    other.append(range(3), [candles_of(holed, one) for one in range(3)])
    for name, values in known(kept).items():
        rest = [one for one in range(3) if one != column]
        assert np.array_equal(values[..., rest], known(other)[name][..., rest], equal_nan=True), name
    scaled = store(3, 0.01 * 2.0**-20)
    scaled.append(range(3), [candles_of(exact.times(2.0**-20), one) for one in range(3)])
    for one in fields(CandleReadings):
        mine, theirs = getattr(kept.readings, one.name), getattr(scaled.readings, one.name)
        factor = 2.0**-20 if one.name in PRICES else 1
        assert np.array_equal(mine * factor, theirs, equal_nan=True), one.name
    mirrored = store(3)
    mirrored.append(range(3), [candles_of(exact.mirrored(100.0), one) for one in range(3)])
    _, high, low, *_ = kept.base.window(np.arange(3), 240)  # short gaps filled
    marks = find_swings(high, low, SETTINGS.swing_strength)
    plain = ~(marks.is_high & marks.is_low).any(axis=0)  # a candle that is both is a high first, on either side
    assert kept.readings.direction[plain].tolist() == (-mirrored.readings.direction[plain]).tolist()
    for name in ("start", "end", "back_before", "back_since", "beyond"):
        mine, theirs = getattr(kept.readings, name)[plain], 200 - getattr(mirrored.readings, name)[plain]
        assert np.array_equal(mine, theirs, equal_nan=True), name


def test_an_older_version_s_candles_are_read_anew() -> None:
    """A snapshot without what is known of its candles is read like candles that just came."""
    kept, series = store(), random_series(5, 230, 1)
    kept.append([0], [candles_of(series)])
    older = replace(kept.snapshot(np.array([0])), track=None)
    assert_same(CandleStore.restore(older, np.array([0.01])), kept)


def test_after_an_absence_all_that_is_stored_is_read_anew() -> None:
    """A morning without candles makes no hole: warm-up does not begin anew."""
    kept, series = store(), random_series(6, 230, 1)
    kept.append([0], [candles_of(series, last=180)])
    kept.append([0], [candles_of(series, first=180)])
    at_once = store()
    at_once.append([0], [candles_of(series)])
    assert_same(kept, at_once)


def test_more_candles_than_rows_leave_the_newest() -> None:
    """Of a reply of 499, what the ring holds is kept, and the longer ring has the rest as hours."""
    kept, series = store(), random_series(4, 499, 1)
    kept.append([0], [candles_of(series)])
    assert kept.readings.whole_rows[0] == 240
    assert np.isfinite(kept.longer.window(np.array([0]), 64)[3]).all()
    assert kept.base.window(np.array([0]), 1)[3, 0, 0] == series.close[-1, 0]
