"""Swings of closed candles, each with the row in which it became known, and the leg that the last two of them make.

Arrays are (rows, n), oldest row first, NaN where a candle is missing. A swing is a fact: once known it never changes,
whatever comes later. Which swings count, the alternating view, may change; that is news, not another past.
"""

from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray


class Swings(NamedTuple):
    """Where the swings are, (rows, n) each; a swing in row i is known from the close of row i + strength on."""

    is_high: BoolArray
    is_low: BoolArray


class Leg(NamedTuple):
    """The move between the last two swings of the alternating view, (n,) each."""

    kind: IntArray  #: of its end: 1 a high, -1 a low, 0 where no swing is known
    start_row: IntArray  #: -1 where there is none: one swing makes no leg
    end_row: IntArray  #: -1 where no swing is known
    start: FloatArray  #: [USDT] a low of an up leg, a high of a down leg
    end: FloatArray

    @property
    def direction(self) -> IntArray:
        """1 up, -1 down, 0 where there is no leg."""
        return np.where(self.start_row >= 0, self.kind, 0)


def find_swings(high: FloatArray, low: FloatArray, strength: int) -> Swings:
    """Return the swings: above the `strength` rows before and not below the `strength` rows after, lows mirrored.

    Of equal extremes the first counts. Rows that lack neighbours, or have a hole among them, are none.
    """
    return Swings(_peaks(high, strength), _peaks(-low, strength))


def _peaks(values: FloatArray, strength: int) -> BoolArray:
    # NaN fails every comparison, so a hole among the neighbours refuses
    is_peak = np.zeros(values.shape, bool)
    inner = values[strength : len(values) - strength]
    if len(inner):
        found = is_peak[strength : strength + len(inner)]
        found[...] = True
        for distance in range(1, strength + 1):
            found &= inner > values[strength - distance :][: len(inner)]
            found &= inner >= values[strength + distance :][: len(inner)]
    return is_peak


def newest_rows(marks: BoolArray, most: int) -> IntArray:
    """Return the rows of the newest `most` marks of each column, (most, n), newest first, -1 where there are fewer."""
    n = marks.shape[1]
    column, row = np.nonzero(np.ascontiguousarray(marks.T))  # column by column, rows ascending
    place = np.cumsum(np.bincount(column, minlength=n))[column] - 1 - np.arange(len(column))
    rows = np.full((most, n), -1, np.int64)
    is_kept = place < most
    rows[place[is_kept], column[is_kept]] = row[is_kept]
    return rows


def at_rows(values: FloatArray, rows: IntArray) -> FloatArray:
    """Return the values of (k, n) rows, NaN where the row is -1."""
    return np.where(rows >= 0, np.take_along_axis(values, np.maximum(rows, 0), axis=0), np.nan)


def last_leg(swings: Swings, high: FloatArray, low: FloatArray) -> Leg:
    """Return the leg between the last two swings of the alternating view.

    By row, a high before a low in the same; of consecutive swings of one kind the most extreme counts, and the earlier
    of equals.
    """
    most = max(int(marks.sum(axis=0).max(initial=0)) for marks in swings) or 1
    highs, lows = (newest_rows(marks, most)[::-1] for marks in swings)  # oldest first
    is_up = 2 * highs[-1] > 2 * lows[-1] + 1
    order_high, order_low = np.where(highs >= 0, 2 * highs, -1), np.where(lows >= 0, 2 * lows + 1, -1)
    ends, starts = np.where(is_up, order_high, order_low), np.where(is_up, order_low, order_high)
    price_high, price_low = at_rows(high, highs), at_rows(low, lows)

    end_place = _most_extreme(np.where(is_up, price_high, -price_low), ends > starts[-1])
    before = np.where(ends < starts[-1], ends, -1).max(axis=0)
    start_place = _most_extreme(np.where(is_up, -price_low, price_high), starts > before)

    has_end, has_both = (highs[-1] >= 0) | (lows[-1] >= 0), (highs[-1] >= 0) & (lows[-1] >= 0)
    columns = np.arange(highs.shape[1])
    end_row, start_row = ends[end_place, columns] // 2, starts[start_place, columns] // 2
    return Leg(
        kind=np.where(has_end, np.where(is_up, 1, -1), 0),
        start_row=np.where(has_both, start_row, -1),
        end_row=np.where(has_end, end_row, -1),
        start=np.where(has_both, np.where(is_up, price_low, price_high)[start_place, columns], np.nan),
        end=np.where(has_end, np.where(is_up, price_high, price_low)[end_place, columns], np.nan),
    )


def _most_extreme(values: FloatArray, is_counted: BoolArray) -> IntArray:
    # argmax takes the first of equals, which is the earliest
    return np.asarray(np.where(is_counted, values, -np.inf).argmax(axis=0))
