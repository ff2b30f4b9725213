"""Closed candles in their rings, the longer ones made of them, and what is read of both."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.candle_readings import CandleReadings
from features.candle_settings import CandleSettings
from features.facts.market import Candles, read_only
from features.state.candle_store import CandleStore
from tests.features.phenomena.candle_series import Series, long_setup, random_series

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


def same(one: CandleReadings, other: CandleReadings) -> bool:
    """Whether all readings are the same to the bit."""
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(one))


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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5]), st.sampled_from([0.0, 0.02]), st.data())
def test_a_slice_reads_the_same_bits(seed: int, tick: float, holes: float, data: st.DataObject) -> None:
    """One instrument restored alone, and all loaded at once, read what all together read candle by candle."""
    n, rows = 3, data.draw(st.integers(1, 300))
    series = random_series(seed, rows, n, tick, holes)
    grown, at_once = store(n), store(n)
    cut = data.draw(st.integers(0, rows))
    for column in range(n):
        at_once.append([column], [candles_of(series, column)])
    for first, last in ((0, cut), (cut, rows)):
        grown.append(range(n), [candles_of(series, column, first, last) for column in range(n)])
    assert same(grown.readings, at_once.readings)
    alone = CandleStore.restore(grown.snapshot(np.array([1])), np.array([0.01]))
    for one in fields(CandleReadings):
        whole, sliced = getattr(grown.readings, one.name)[..., 1:2], getattr(alone.readings, one.name)
        assert np.array_equal(whole, sliced, equal_nan=True), one.name
    moved = store(2)
    moved.copy_columns(grown, np.array([2]), np.array([0]))
    assert np.array_equal(moved.readings.end, np.append(grown.readings.end[2], np.nan), equal_nan=True)


def test_more_candles_than_rows_leave_the_newest() -> None:
    """Of a reply of 499, what the ring holds is kept, and the longer ring has the rest as hours."""
    kept, series = store(), random_series(4, 499, 1)
    kept.append([0], [candles_of(series)])
    assert kept.readings.whole_rows[0] == 240
    assert np.isfinite(kept.longer.window(np.array([0]), 112)[3]).all()
    assert kept.base.window(np.array([0]), 1)[3, 0, 0] == series.close[-1, 0]
