"""Candles of one interval in a ring of rows."""

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray

COLUMNS = 5  #: open, high, low, close, volume
EVERY, READ = slice(None), slice(1, 4)  #: of them; high, low and close are read


class CandleRing:
    """Rows that all instruments share, each the same stretch of time; a row is used again for a later one."""

    def __init__(self, n: int, interval_s: int, rows: int) -> None:
        self.interval_ms = 1000 * interval_s
        self.open_ms: IntArray = np.zeros(rows, np.int64)  #: (rows,) 0: nothing yet
        self.values: FloatArray = np.full((COLUMNS, rows, n), np.nan)
        self.newest_ms: IntArray = np.zeros(n, np.int64)  #: (n,) open of each instrument's newest candle, 0: none

    def row(self, open_ms: int) -> int:
        """Return the row of a time."""
        return open_ms // self.interval_ms % len(self.open_ms)

    def rows_until(self, open_ms: int, count: int) -> tuple[IntArray, BoolArray]:
        """Return the rows of the `count` candles up to that of `open_ms`, oldest first, and which still hold theirs."""
        times = open_ms - self.interval_ms * np.arange(count - 1, -1, -1)
        rows = times // self.interval_ms % len(self.open_ms)
        return rows, self.open_ms[rows] == times

    def put(self, columns: IntArray, open_ms: IntArray, values: FloatArray) -> IntArray:
        """Store candles, (k,) each and (5, k); return the places of those that differ from what is stored, which stays.

        What is older than its row holds is left out.
        """
        rows = open_ms // self.interval_ms % len(self.open_ms)
        for time_ms in np.unique(open_ms).tolist():
            row = self.row(time_ms)
            if time_ms > self.open_ms[row]:
                self.values[:, row] = np.nan
                self.open_ms[row] = time_ms
        kept = np.flatnonzero(self.open_ms[rows] == open_ms)
        rows, columns_kept = rows[kept], columns[kept]
        stored = self.values[:, rows, columns_kept]
        is_unknown = np.isnan(stored[3])
        self.values[:, rows[is_unknown], columns_kept[is_unknown]] = values[:, kept[is_unknown]]
        np.maximum.at(self.newest_ms, columns, open_ms)
        return np.asarray(kept[(stored != values[:, kept]).any(axis=0) & ~is_unknown])

    def window(self, columns: IntArray, rows: int, which: slice = EVERY) -> FloatArray:
        """Return the last candles of some instruments, (5, rows, m) or fewer, each one's newest in the last row."""
        newest = self.newest_ms[columns] // self.interval_ms
        number = newest - np.arange(rows - 1, -1, -1)[:, np.newaxis]
        row = number % len(self.open_ms)
        is_stored = self.open_ms[row] == number * self.interval_ms
        return np.where(is_stored & (newest > 0), self.values[which, row, columns], np.nan)
