"""Closed candles of all instruments, of one interval and a longer one made of it, and what is read from them.

A candle that was stored stays as it is: what was read from it is a fact. Where a venue gives another one later, that is
counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from features.candle_readings import WINDOW_ROWS, CandleReadings, no_readings, read_candles
from features.candle_settings import CandleSettings
from features.facts.market import Candles, FloatArray, IntArray

SPARE_ROWS = 16  #: what lags behind the newest candle of all by as many still has its whole window
LONGER_ROWS = 112
LONGEST_GAP = 3  #: missing candles in a row that are taken as nothing traded
COLUMNS = 5  #: open, high, low, close, volume
EVERY, READ = slice(None), slice(1, 4)  #: of them; high, low and close are read


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleSnapshot:
    """The candles of a store as a record."""

    settings: CandleSettings
    open_ms: IntArray
    values: FloatArray
    newest_ms: IntArray
    longer_open_ms: IntArray
    longer_values: FloatArray
    longer_newest_ms: IntArray


class CandleRing:
    """Candles of one interval: a ring of rows that all instruments share, each the same stretch of time."""

    def __init__(self, n: int, interval_s: int, rows: int) -> None:
        self.interval_ms = 1000 * interval_s
        self.open_ms: IntArray = np.zeros(rows, np.int64)  #: (rows,) 0: nothing yet
        self.values: FloatArray = np.full((COLUMNS, rows, n), np.nan)
        self.newest_ms: IntArray = np.zeros(n, np.int64)  #: (n,) open of each instrument's newest candle, 0: none

    def put(self, column: int, open_ms: IntArray, values: FloatArray) -> int:
        """Store candles, (k,) ascending and (5, k); return how many differ from what is stored, which stays."""
        open_ms, values = open_ms[-len(self.open_ms) :], values[:, -len(self.open_ms) :]
        rows = open_ms // self.interval_ms % len(self.open_ms)
        is_new = open_ms > self.open_ms[rows]
        self.values[:, rows[is_new]] = np.nan
        self.open_ms[rows[is_new]] = open_ms[is_new]
        is_kept = self.open_ms[rows] == open_ms
        rows, open_ms, values = rows[is_kept], open_ms[is_kept], values[:, is_kept]
        if not len(rows):
            return 0
        stored = self.values[:, rows, column]
        is_unknown = np.isnan(stored[3])
        self.values[:, rows, column] = np.where(is_unknown, values, stored)
        self.newest_ms[column] = max(int(self.newest_ms[column]), int(open_ms[-1]))
        return int(((stored != values).any(axis=0) & ~is_unknown).sum())

    def window(self, columns: IntArray, rows: int, which: slice = EVERY) -> FloatArray:
        """Return the last candles of some instruments, (5, rows, m) or fewer, each one's newest in the last row."""
        newest = self.newest_ms[columns] // self.interval_ms
        number = newest - np.arange(rows - 1, -1, -1)[:, np.newaxis]
        row = number % len(self.open_ms)
        is_stored = self.open_ms[row] == number * self.interval_ms
        return np.where(is_stored & (newest > 0), self.values[which, row, columns], np.nan)


class CandleStore:
    """The candles of n instruments and their readings, which are always those of the candles."""

    def __init__(self, tick_size: FloatArray, settings: CandleSettings) -> None:
        n = len(tick_size)
        self.settings = settings
        self.tick_size = tick_size
        self.base = CandleRing(n, settings.candle_interval_s, WINDOW_ROWS + SPARE_ROWS)
        self.longer = CandleRing(n, settings.confirm_interval_s, LONGER_ROWS + SPARE_ROWS)
        self.readings: CandleReadings = no_readings(n)
        self.rewritten = 0  #: candles that a venue gave differently later

    def append(self, columns: Sequence[int], replies: Sequence[Candles]) -> None:
        """Store closed candles, one reply of an instrument each, and read them."""
        for column, candles in zip(columns, replies, strict=True):
            if candles.interval_s == self.settings.candle_interval_s and len(candles.open_ms):
                self._put(column, candles)
        self.read(np.array(sorted(set(columns)), np.int64))

    def read(self, columns: IntArray) -> None:
        """Read the candles of some instruments."""
        with np.errstate(invalid="ignore"):
            read = read_candles(
                self.base.window(columns, WINDOW_ROWS, READ),
                lambda chosen: self.longer.window(columns[chosen], LONGER_ROWS, READ),
                self.base.newest_ms[columns],
                self.tick_size[columns],
                self.settings,
            )
        has_candles = self.base.newest_ms[columns] > 0
        read.closed_ms[~has_candles] = 0
        self.readings.put(columns, read)

    def copy_columns(self, source: "CandleStore", there: IntArray, here: IntArray) -> None:
        """Take over the columns `there` of `source` as `here`."""
        for mine, other in ((self.base, source.base), (self.longer, source.longer)):
            mine.open_ms[...] = other.open_ms
            mine.values[:, :, here] = other.values[:, :, there]
            mine.newest_ms[here] = other.newest_ms[there]
        self.rewritten = source.rewritten
        for one in fields(CandleReadings):
            getattr(self.readings, one.name)[..., here] = getattr(source.readings, one.name)[..., there]

    def snapshot(self, columns: IntArray) -> CandleSnapshot:
        """Return the candles of some instruments."""
        return CandleSnapshot(
            settings=self.settings,
            open_ms=self.base.open_ms.copy(),
            values=self.base.values[:, :, columns],
            newest_ms=self.base.newest_ms[columns],
            longer_open_ms=self.longer.open_ms.copy(),
            longer_values=self.longer.values[:, :, columns],
            longer_newest_ms=self.longer.newest_ms[columns],
        )

    @classmethod
    def restore(cls, snapshot: CandleSnapshot, tick_size: FloatArray) -> "CandleStore":
        """Return the store that was taken, read anew.

        Raises
        ------
        ValueError
            Its arrays do not fit its settings.
        """
        store = cls(tick_size, snapshot.settings)
        for ring, prefix in ((store.base, ""), (store.longer, "longer_")):
            for name in ("open_ms", "values", "newest_ms"):
                taken, mine = getattr(snapshot, prefix + name), getattr(ring, name)
                if taken.shape != mine.shape:
                    raise ValueError("the candles were not those that the settings need")
                mine[...] = taken
        store.read(np.arange(len(tick_size)))
        return store

    def _put(self, column: int, candles: Candles) -> None:
        interval_ms = self.base.interval_ms
        volume = np.zeros(len(candles.open_ms)) if candles.volume_base is None else candles.volume_base
        values = np.array([candles.open, candles.high, candles.low, candles.close, volume])
        is_on_grid = candles.open_ms % interval_ms == 0
        open_ms, values = candles.open_ms[is_on_grid], values[:, is_on_grid]
        before_ms = int(self.base.newest_ms[column])
        if before_ms and len(open_ms) and before_ms < open_ms[0]:
            before = self.base.window(np.array([column]), 1)[:, 0]
            open_ms, values = np.append(before_ms, open_ms), np.concatenate([before, values], axis=1)
        open_ms, values = _filled(open_ms, values, interval_ms)
        self.rewritten += self.base.put(column, open_ms, values)
        self.longer.put(column, *self._aggregated(column, open_ms, values))

    def _aggregated(self, column: int, open_ms: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the longer candles whose parts are all there, of what came or is stored."""
        parts = self.longer.interval_ms // self.base.interval_ms
        opens = np.unique(open_ms // self.longer.interval_ms) * self.longer.interval_ms
        times = opens + np.arange(parts)[:, np.newaxis] * self.base.interval_ms  # (parts, k)
        place = np.searchsorted(open_ms, times).clip(max=len(open_ms) - 1)
        came = np.where(open_ms[place] == times, values[:, place], np.nan)
        row = times // self.base.interval_ms % len(self.base.open_ms)
        stored = np.where(self.base.open_ms[row] == times, self.base.values[:, row, column], np.nan)
        part = np.where(np.isnan(stored[3]), came, stored)
        is_whole = ~np.isnan(part[3]).any(axis=0)
        part, opens = part[:, :, is_whole], opens[is_whole]
        longer = np.array(
            [part[0, 0], part[1].max(axis=0), part[2].min(axis=0), part[3, -1], part[4].sum(axis=0)]
        ).reshape(COLUMNS, len(opens))
        return opens, longer


def _filled(open_ms: IntArray, values: FloatArray, interval_ms: int) -> tuple[IntArray, FloatArray]:
    """Fill short gaps with the close before them and no volume: nothing was traded."""
    missing = np.diff(open_ms) // interval_ms - 1
    for place in np.flatnonzero((missing > 0) & (missing <= LONGEST_GAP))[::-1].tolist():
        count, close = int(missing[place]), values[3, place]
        times = open_ms[place] + interval_ms * np.arange(1, count + 1)
        quiet = np.array([[close] * count] * 4 + [[0.0] * count])
        open_ms = np.concatenate([open_ms[: place + 1], times, open_ms[place + 1 :]])
        values = np.concatenate([values[:, : place + 1], quiet, values[:, place + 1 :]], axis=1)
    return open_ms, values
