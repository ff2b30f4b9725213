"""Rows of constant number that are used again and again: the only place that knows of the wrap-around."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.facts.market import FloatArray, IntArray

LEAD_S = 60  #: seconds of prints that fit after the tick's time: a tick and a clock's error are shorter
CLEARED_S = 60  #: seconds are emptied so many at a time: it costs little more than one


class TickRing:
    """The rows of the last ticks; the newest is the open one."""

    def __init__(self, size: int) -> None:
        self.tick_ms = np.zeros(size, dtype=np.int64)  #: [epoch ms] of the tick in each row
        self.count = 0  #: ticks opened so far
        self._order = np.zeros(0, dtype=np.int64)  # the rows that hold a tick, oldest first

    def restore(self, tick_ms: IntArray, count: int) -> None:
        """Continue with these rows, in which `count` ticks have been opened so far."""
        self.tick_ms, self.count = tick_ms, count
        self._sort()

    def clear(self) -> None:
        """Forget all ticks."""
        self.tick_ms[:] = 0
        self.restore(self.tick_ms, 0)

    @property
    def row(self) -> int:
        """The open row."""
        return (self.count - 1) % len(self.tick_ms)

    @property
    def next_row(self) -> int:
        """The row that is opened next."""
        return self.count % len(self.tick_ms)

    @property
    def open_ms(self) -> int:
        """The time of the open tick [epoch ms], 0 before the first."""
        return int(self.tick_ms[self.row]) if self.count else 0

    def open(self, now_ms: int) -> None:
        """Open the row of the next tick, that of the oldest."""
        self.count += 1
        self._sort()
        self.tick_ms[self.row] = now_ms

    def open_all(self, times_ms: IntArray) -> None:
        """Open rows before the first tick, oldest first."""
        self.tick_ms[: len(times_ms)] = times_ms
        self.restore(self.tick_ms, len(times_ms))

    def rows(self, from_ms: float, to_ms: float) -> IntArray:
        """Return the rows of the ticks in [from, to], oldest first."""
        times = self.tick_ms[self._order]
        return self._order[np.searchsorted(times, from_ms) : np.searchsorted(times, to_ms, side="right")]

    def rows_as_of(self, times_ms: NDArray[Any], tolerance_ms: float) -> IntArray:
        """Return the row of the newest tick at or before each of k times, (k,), -1 where none is so near."""
        if not self.count:
            return np.full(len(times_ms), -1)
        ticks_ms = self.tick_ms[self._order]
        place = np.searchsorted(ticks_ms, times_ms, side="right") - 1
        return np.where((place >= 0) & (ticks_ms[place] >= times_ms - tolerance_ms), self._order[place], -1)

    def _sort(self) -> None:
        kept = min(self.count, len(self.tick_ms))
        self._order = np.arange(self.count - kept, self.count) % len(self.tick_ms)


def second_rows(size: int, last_s: int, count: int) -> IntArray:
    """Return the rows, of `size`, of the `count` epoch seconds that end with `last_s`."""
    return second_row(np.arange(last_s - count + 1, last_s + 1), size)


def second_row(second: IntArray, size: int) -> IntArray:
    """Return the row, of `size`, of each epoch second."""
    return second % size


def last_second(now_ms: int) -> int:
    """Return the last second whose row is already zeroed; rounded up so that rows are zeroed `CLEARED_S` at a time."""
    return ((now_ms // 1000 + LEAD_S) // CLEARED_S + 1) * CLEARED_S


def opened_seconds(size: int, before_ms: int, now_ms: int) -> list[slice]:
    """Return the rows to zero when the tick at `now_ms` follows the one at `before_ms`."""
    last_s = last_second(now_ms)
    return stretches(second_rows(size, last_s, min(last_s - last_second(before_ms), size)))


def stretches(rows: IntArray) -> list[slice]:
    """Return rows of a ring, which ascend and wrap at most once, as one slice or two."""
    parts = np.split(rows, np.flatnonzero(rows[1:] < rows[:-1]) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0) for part in parts]


def read_rings(array: FloatArray, column: IntArray, rows: IntArray, empty: float) -> FloatArray:
    """Return some instruments' rings, (len(column), the ring's rows), with `empty` in all but `rows`.

    Whole rings are read in one go, `array` being kept instrument by instrument; windows need no order.
    """
    rings = array.T[column]
    outside = np.ones(len(array), dtype=bool)
    outside[rows] = False
    rings[..., outside] = empty
    return rings
