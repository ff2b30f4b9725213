"""Zones that swings leave behind: clusters of their prices, and the last opposing candle before a break.

Arrays are (rows, n) or (k, n), NaN where something is missing.
"""

from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray
from features.phenomena.swings import Swings, at_rows

BLOCK_ROWS = 240  #: how long an order block lives


class Clusters(NamedTuple):
    """Prices that lie together, (k, n), the lowest first; NaN and 0 behind the last."""

    level: FloatArray  #: [USDT] their mean
    touches: IntArray


class Blocks(NamedTuple):
    """Order blocks of one direction, (b,) each, by their birth."""

    column: IntArray
    row: IntArray  #: of the candle whose range it is
    born_row: IntArray  #: the close of this candle made it
    died_row: IntArray  #: -1 while it lives
    bottom: FloatArray
    top: FloatArray


def find_clusters(prices: FloatArray, width: FloatArray, min_touches: int) -> Clusters:
    """Return the clusters of (k, n) prices: from the lowest up, the longest runs no wider than `width`, (n,) [USDT].

    By price and not by time, and no chains: each member is within `width` of the first.
    """
    k, n = prices.shape
    ordered = np.sort(prices, axis=0)  # NaN last
    first = np.full(n, -np.inf)
    begins = np.empty((k, n), bool)
    for price, is_first in zip(ordered, begins, strict=True):
        np.greater(price - first, width, out=is_first)
        np.copyto(first, price, where=is_first)
    is_known = ~np.isnan(ordered)
    cell = (np.cumsum(begins, axis=0) - 1) * n + np.arange(n)
    touches = np.bincount(cell[is_known], minlength=k * n).reshape(k, n)
    total = np.asarray(np.bincount(cell[is_known], weights=ordered[is_known], minlength=k * n), float).reshape(k, n)
    is_level = touches >= min_touches
    return Clusters(
        level=np.where(is_level, total / np.maximum(touches, 1), np.nan), touches=np.where(is_level, touches, 0)
    )


def find_blocks(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    swings: Swings,
    atr: FloatArray,
    direction: IntArray,
    *,
    strength: int,
    max_atr: float,
    by_close: bool,
) -> Blocks:
    """Return the order blocks of LONG where `direction`, (n,), is 1, and of SHORT where it is -1.

    LONG: at the first close above the newest swing high that is known by then, the candle with the lowest low between
    the two, the latest of equals, from its low to its high; none where it is `max_atr` true ranges or more. It dies
    when a later low (a close, `by_close`) is below it, or after `BLOCK_ROWS`. SHORT is the mirror image.
    """
    is_long = direction > 0
    high, low, close = np.where(is_long, high, -low), np.where(is_long, low, -high), np.where(is_long, close, -close)
    swing_row, born, column = _breaks(high, close, np.where(is_long, swings.is_high, swings.is_low), strength)
    row = _lowest_between(low, swing_row, born, column)
    bottom, top = low[row, column], high[row, column]
    is_taken = top - bottom < max_atr * atr[born, column]
    row, born, column = row[is_taken], born[is_taken], column[is_taken]
    bottom, top, is_long = bottom[is_taken], top[is_taken], is_long[column]
    died = _first_below(close if by_close else low, bottom, born, column)
    return Blocks(column, row, born, died, np.where(is_long, bottom, -top), np.where(is_long, top, -bottom))


def _breaks(high: FloatArray, close: FloatArray, is_high: BoolArray, strength: int) -> tuple[IntArray, ...]:
    # (swing row, breaking row, column) of every swing that closes broke while it was the newest known
    rows = np.arange(len(high))[:, np.newaxis]
    newest = np.full(high.shape, -1, np.int64)
    newest[strength:] = np.where(is_high, rows, -1)[: max(0, len(high) - strength)]
    newest = np.maximum.accumulate(newest, axis=0)
    is_beyond = close > at_rows(high, newest)
    last_beyond = np.maximum.accumulate(np.where(is_beyond, rows, -1), axis=0)
    is_first = is_beyond.copy()
    is_first[1:] &= last_beyond[:-1] < newest[1:] + strength
    born, column = np.nonzero(is_first)
    return newest[born, column], born, column


def _lowest_between(low: FloatArray, first: IntArray, last: IntArray, column: IntArray) -> IntArray:
    # the row of the lowest low strictly between two rows, the latest of equals
    best, best_row = np.full(len(first), np.inf), first.copy()
    active = np.arange(len(first))
    for distance in range(1, int((last - first).max(initial=0))):
        active = active[first[active] + distance < last[active]]
        row = first[active] + distance
        value = low[row, column[active]]
        is_lower = value <= best[active]
        best[active[is_lower]], best_row[active[is_lower]] = value[is_lower], row[is_lower]
    return best_row


def _first_below(values: FloatArray, level: FloatArray, after: IntArray, column: IntArray) -> IntArray:
    # the first later row below a level, the row of its age where none is, -1 where it lives
    died = np.where(after + BLOCK_ROWS < len(values), after + BLOCK_ROWS, -1)
    lowest_after = np.fmin.accumulate(values[::-1], axis=0)[::-1]
    active = np.flatnonzero(lowest_after[np.minimum(after + 1, len(values) - 1), column] < level)
    for distance in range(1, BLOCK_ROWS):
        active = active[after[active] + distance < len(values)]
        if not len(active):
            break
        row = after[active] + distance
        is_below = values[row, column[active]] < level[active]
        died[active[is_below]] = row[is_below]
        active = active[~is_below]
    return died
