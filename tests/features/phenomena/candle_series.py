"""Candle series for tests: the planted setup of a LONG, and random ones with holes, coarse ticks and plateaus."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.facts.market import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Candles of n instruments, (rows, n) each."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    def first(self, rows: int) -> "Series":
        """Return what was known after `rows` rows."""
        return Series(open=self.open[:rows], high=self.high[:rows], low=self.low[:rows], close=self.close[:rows])

    def times(self, factor: float) -> "Series":
        """Return the same in another unit."""
        return Series(
            open=self.open * factor, high=self.high * factor, low=self.low * factor, close=self.close * factor
        )

    def mirrored(self, about: float) -> "Series":
        """Return the mirror image: p becomes 2 * about - p."""
        twice = 2 * about
        return Series(open=twice - self.open, high=twice - self.low, low=twice - self.high, close=twice - self.close)


PRINTS = Path(__file__).parents[2] / "data" / "binance" / "raw_trades_ETHUSDT.csv.gz"
#: row and close of its corners; between them the closes lie on straight lines
LONG_CORNERS = ((0, 100.0), (6, 96.0), (12, 101.0), (18, 96.1), (24, 103.0), (30, 90.0), (44, 110.0), (60, 95.5))


def long_setup() -> Series:
    """Return a leg from 89.8 up to 110.2 and most of the way back: 61 candles of one instrument."""
    rows, prices = zip(*LONG_CORNERS, strict=True)
    close: FloatArray = np.interp(np.arange(61.0), np.array(rows, float), np.array(prices))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) + 0.2, np.minimum(opened, close) - 0.2
    return Series(open=opened[:, None], high=high[:, None], low=low[:, None], close=close[:, None])


def random_series(seed: int, rows: int, n: int, tick: float = 0.0, holes: float = 0.0) -> Series:
    """Return random walks; prices in whole ticks where `tick` is given, a share of `holes` missing."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.004, (rows, n)), axis=0))
    opened = np.concatenate([close[:1], close[:-1]])
    reach = 0.3 * random.exponential(1.0, (2, rows, n))
    high, low = np.maximum(opened, close) + reach[0], np.minimum(opened, close) - reach[1]
    prices = [opened, high, low, close]
    if tick:
        prices = [np.round(one / tick) * tick for one in prices]
    is_hole = random.random((rows, n)) < holes
    opened, high, low, close = (np.where(is_hole, np.nan, one) for one in prices)
    return Series(open=opened, high=high, low=low, close=close)


def real_series() -> Series:
    """Return candles of a second, made of 6,000 recorded prints of ETHUSDT; seconds without a print are missing."""
    with gzip.open(PRINTS, "rt") as file:
        prints = np.array([[float(one) for one in line.split(",")[:2]] for line in file.read().splitlines()[1:]])
    second = (prints[:, 0] // 1000).astype(np.int64)
    rows = [prints[second == one, 1] for one in range(second[0], second[-1] + 1)]
    ends = [(row[0], row.max(), row.min(), row[-1]) if len(row) else (np.nan,) * 4 for row in rows]
    opened, high, low, close = np.array(ends).T[:, :, np.newaxis]
    return Series(open=opened, high=high, low=low, close=close)
