"""Indicators of closed candles, row by row: equal to TA-Lib where that is defined, and safe against holes.

Arrays are (rows, n), oldest row first; NaN is a missing candle, behind which every indicator warms up anew.
"""

from typing import NamedTuple

import numpy as np

from features.facts.market import FloatArray, IntArray

RSI_PERIOD = ATR_PERIOD = 14
FAST_PERIOD, SLOW_PERIOD, SIGNAL_PERIOD = 12, 26, 9
BAND_PERIOD, BAND_WIDTH = 20, 2.0


class Smoother:
    """The mean of the first `period` values, then an exponential mean: the state of n series between two rows.

    One that takes a row at a time and one that takes all rows make the same bits.
    """

    def __init__(self, n: int, period: int, alpha: float) -> None:
        self.period, self.alpha = period, alpha
        self.count: IntArray = np.zeros(n, np.int64)
        self.value: FloatArray = np.zeros(n)

    def step(self, values: FloatArray) -> FloatArray:
        """Take one row, (n,), and return the means, NaN until there are `period` values without a hole."""
        return np.asarray(self.run(values[np.newaxis])[0])

    def run(self, values: FloatArray) -> FloatArray:
        """Take many rows, (rows, n), and return the means after each."""
        if not len(values):
            return values
        count = rows_without_hole(values)
        rows = np.arange(1, len(values) + 1)[:, np.newaxis]
        count += np.where(count == rows, self.count, 0)
        # behind a hole the mean begins at 0, so that the first value becomes the mean exactly
        weight = smoothing_weight(count, self.period, self.alpha)
        known = np.where(count > 0, values, 0.0)
        means = np.empty_like(known)
        for row in range(len(means)):
            step = np.subtract(known[row], self.value, out=means[row])
            step *= weight[row]
            step += self.value
            self.value = step
        self.value, self.count = self.value.copy(), count[-1]
        return np.where(count >= self.period, means, np.nan)


def smoothing_weight(count: IntArray, period: int, alpha: float) -> FloatArray:
    """Return with which weight the last of `count` values moves the mean, (...,): a plain mean first, then `alpha`."""
    return np.where(count > period, alpha, 1 / np.maximum(count, 1))


class Macd(NamedTuple):
    """Moving average convergence and divergence, each (rows, n) [USDT]."""

    line: FloatArray
    signal: FloatArray
    histogram: FloatArray


class Bands(NamedTuple):
    """Bollinger's bands, each (rows, n) [USDT]."""

    lower: FloatArray
    middle: FloatArray
    upper: FloatArray


def rsi(close: FloatArray, period: int = RSI_PERIOD) -> FloatArray:
    """Return Wilder's relative strength index, (rows, n) [0…100]; 50 where the price did not move at all.

    Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    n = close.shape[1]
    change = _change(close)
    moves = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)], axis=1)
    means = Smoother(2 * n, period, 1 / period).run(moves)
    return strength_index(means[:, :n], means[:, n:])


def strength_index(gain: FloatArray, loss: FloatArray) -> FloatArray:
    """Return the share of the mean rise in rise and fall, (...,) [0…100]; 50 where both are 0."""
    total = gain + loss
    return np.where(total == 0, 50.0, 100 * gain / np.where(total == 0, 1.0, total))


def atr(high: FloatArray, low: FloatArray, close: FloatArray, period: int = ATR_PERIOD) -> FloatArray:
    """Return Wilder's average true range, (rows, n) [USDT]; the first row has no true range."""
    return Smoother(high.shape[1], period, 1 / period).run(true_range(high, low, close))


def true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the true range, (rows, n) [USDT], NaN in the first row and behind a hole."""
    before = np.full_like(close, np.nan)
    before[1:] = close[:-1]
    return range_since(before, high, low)


def range_since(before: FloatArray, high: FloatArray, low: FloatArray) -> FloatArray:
    """Return the true range of candles whose last close was `before`, (...,) [USDT]."""
    return np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))


def ema(values: FloatArray, period: int) -> FloatArray:
    """Return the exponential moving average, seeded by the mean of the first `period`, (rows, n)."""
    return Smoother(values.shape[1], period, 2 / (period + 1)).run(values)


def macd(close: FloatArray) -> Macd:
    """Return MACD 12/26/9; the fast average is seeded so late that both begin in the same row, as in TA-Lib."""
    late = np.where(rows_without_hole(close) > SLOW_PERIOD - FAST_PERIOD, close, np.nan)
    line = ema(late, FAST_PERIOD) - ema(close, SLOW_PERIOD)
    signal = ema(line, SIGNAL_PERIOD)
    return Macd(line, signal, line - signal)


def bollinger(close: FloatArray, period: int = BAND_PERIOD, width: float = BAND_WIDTH) -> Bands:
    """Return the mean and the mean less and plus `width` standard deviations (of the population)."""
    middle, deviation = np.full_like(close, np.nan), np.full_like(close, np.nan)
    if len(close) >= period:
        windows = np.lib.stride_tricks.sliding_window_view(close, period, axis=0)
        middle[period - 1 :] = windows.mean(axis=-1)
        deviation[period - 1 :] = windows.std(axis=-1)
    return Bands(middle - width * deviation, middle, middle + width * deviation)


def rows_without_hole(values: FloatArray) -> IntArray:
    """Return, for each row, how many rows up to it have a value without a hole, (rows, n)."""
    row = np.arange(1, len(values) + 1)[:, np.newaxis]
    return np.asarray(row - np.maximum.accumulate(np.where(np.isnan(values), row, 0), axis=0))


def _change(values: FloatArray) -> FloatArray:
    change = np.full_like(values, np.nan)
    change[1:] = values[1:] - values[:-1]
    return change
