"""Indicators against Wilder's own series, TA-Lib, a scalar reference, flat markets and holes."""

import numpy as np
import pytest
import talib

from features.facts.market import FloatArray
from features.phenomena.indicators import Smoother, atr, bollinger, ema, macd, rsi
from tests.features.phenomena.candle_series import random_series
from tests.features.phenomena.scalar_levels import wilder_rsi

WILDER = (
    *(44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89),
    *(46.03, 45.61, 46.28, 46.28, 46.00, 46.03, 46.41, 46.22, 45.64, 46.21),
)


def column(*values: float) -> FloatArray:
    """Column."""
    return np.array(values)[:, np.newaxis]


def test_rsi_of_wilders_series() -> None:
    """Rsi of wilders series."""
    found = rsi(column(*WILDER))[:, 0]
    assert np.isnan(found[:14]).all()
    expected = [70.464135, 66.249619, 66.480942, 69.346853, 66.294713, 57.915021, 62.880718]
    assert found[14:] == pytest.approx(expected, abs=1e-6)
    assert found == pytest.approx(wilder_rsi(list(WILDER)), abs=1e-10, nan_ok=True)


def test_rsi_of_one_way_markets_and_of_one_that_does_not_move() -> None:
    """Rsi of one way markets and of one that does not move."""
    steps = np.arange(40.0)
    found = rsi(np.stack([100 + 0 * steps, 100 + steps, 100 - steps], axis=1))
    assert found[14:].tolist() == [[50.0, 100.0, 0.0]] * 26


def test_ema_is_seeded_by_the_mean() -> None:
    """Ema is seeded by the mean."""
    assert ema(column(*map(float, range(1, 9))), 5)[:, 0] == pytest.approx([np.nan] * 4 + [3, 4, 5, 6], nan_ok=True)


def test_all_are_those_of_talib() -> None:
    """All are those of talib."""
    series = random_series(1, 400, 1)
    high, low, close = series.high, series.low, series.close
    one = close[:, 0]
    assert rsi(close)[:, 0] == pytest.approx(talib.RSI(one, 14), rel=1e-11, nan_ok=True)
    assert atr(high, low, close)[:, 0] == pytest.approx(talib.ATR(high[:, 0], low[:, 0], one, 14), 1e-11, nan_ok=True)
    assert ema(close, 20)[:, 0] == pytest.approx(talib.EMA(one, 20), rel=1e-12, nan_ok=True)
    line, signal, histogram = talib.MACD(one, 12, 26, 9)
    found = macd(close)
    is_known = ~np.isnan(signal)  # TA-Lib shows the line only where the signal is known
    assert np.flatnonzero(~np.isnan(found.line[:, 0]))[0] == 25
    assert np.flatnonzero(~np.isnan(found.signal[:, 0]))[0] == 33
    assert found.line[is_known, 0] == pytest.approx(line[is_known], abs=1e-10)
    assert found.signal[is_known, 0] == pytest.approx(signal[is_known], abs=1e-10)
    assert found.histogram[is_known, 0] == pytest.approx(histogram[is_known], abs=1e-10)
    upper, middle, lower = talib.BBANDS(one, 20, 2, 2)
    for ours, theirs in zip(bollinger(close), (lower, middle, upper), strict=True):
        assert ours[:, 0] == pytest.approx(theirs, abs=1e-9, nan_ok=True)


def test_behind_a_hole_all_warms_up_anew() -> None:
    """Behind a hole all warms up anew."""
    whole = random_series(2, 120, 3)
    close, high, low = whole.close.copy(), whole.high.copy(), whole.low.copy()
    for one in (close, high, low):
        one[40, 1] = np.nan
    for indicator in (
        lambda *candles: rsi(candles[2]),
        lambda *candles: ema(candles[2], 20),
        lambda *candles: macd(candles[2]).signal,
        lambda *candles: bollinger(candles[2]).upper,
        atr,
    ):
        found = indicator(high, low, close)
        others = indicator(whole.high, whole.low, whole.close)
        assert np.array_equal(found[:, [0, 2]], others[:, [0, 2]], equal_nan=True)
        assert np.isnan(found[40:54, 1]).all(), "the hole and 13 rows behind it"
        assert not np.isnan(found[90, 1])
    behind = rsi(close[41:, 1:2])
    assert np.array_equal(rsi(close)[41:, 1:2], behind, equal_nan=True), "as if it began there"


def test_fourteen_rows_are_too_few() -> None:
    """Fourteen rows are too few."""
    series = random_series(3, 14, 2)
    assert np.isnan(rsi(series.close)).all()
    assert np.isnan(atr(series.high, series.low, series.close)).all()


def test_a_row_at_a_time_makes_the_same_bits_as_all_rows_and_as_one_column_alone() -> None:
    """A row at a time makes the same bits as all rows and as one column alone."""
    values = random_series(4, 300, 5, holes=0.01).close
    smoother = Smoother(5, 14, 1 / 14)
    by_row = np.array([smoother.step(row) for row in values])
    at_once = Smoother(5, 14, 1 / 14).run(values)
    alone = Smoother(1, 14, 1 / 14).run(values[:, 3:4])
    assert np.array_equal(by_row, at_once, equal_nan=True)
    assert np.array_equal(at_once[:, 3:4], alone, equal_nan=True)
