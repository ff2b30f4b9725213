"""Order books: a ladder of levels around the quotes, ordinary, recorded or bent by a setup."""

from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.simulated.coins import Row
from fetchers.simulated.noise import Keys, bell, drift, uniform
from fetchers.simulated.setups import WALL_LEVEL, BookShape

LADDER_BPS = 2.2  #: 50 levels of it reach just beyond 1 %
_LEVELS_IN_PERCENT = 45
_LEVEL_DEVIATION = 0.3  # of the log size: the largest of 50 is at most e^0.9 times the median, no wall
_CHANGES_EVERY_S = 3.0  # the best level; others stay up to _STAYS_LONGER times as long
_STAYS_LONGER = 20.0  # so that after 5 s half of the levels are as they were; of 200 levels of a real XRP book 43 % are
_UNDER_WAY_S = 10_000.0  # at the start not all levels are new
_GAP_BITS = 3  # significant, so that the ladder's prices stay where they are while the price moves
BID, ASK = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One book, best first; prices as whole ticks, quantities in base coin."""

    time_ms: int
    sequence: int
    bid_ticks: IntArray
    bid_quantity: FloatArray
    ask_ticks: IntArray
    ask_quantity: FloatArray


def ladder_gap(price: FloatArray, tick: FloatArray | float) -> IntArray:
    """Ticks between two levels."""
    least = np.maximum(1, np.ceil(LADDER_BPS * 1e-4 * price / tick))
    step = np.exp2(np.maximum(0, np.floor(np.log2(least)) + 1 - _GAP_BITS))
    return np.asarray(np.ceil(least / step) * step, np.int64)


def level_quantity(
    row_keys: Keys,
    side: int,
    level: IntArray | int,
    elapsed_s: FloatArray,
    level_usdt: FloatArray,
    price: FloatArray,
    stays_s: FloatArray | float = _CHANGES_EVERY_S,
) -> FloatArray:
    """Quantities [base] before rounding, new ones every `stays_s`; broadcasts over rows (the best of all) or levels."""
    epoch = np.floor(elapsed_s / stays_s).astype(np.int64)
    size = bell(row_keys, side, level, epoch) * _LEVEL_DEVIATION
    slow = 0.15 * drift(row_keys + np.uint64(side), np.asarray(epoch * stays_s, np.float64), 120.0)
    return np.asarray(level_usdt / price * np.exp(size + slow))


def level_usdt(
    depth_usdt: FloatArray | float, gap: IntArray, price: FloatArray, tick: FloatArray | float
) -> FloatArray:
    """Return the typical notional of a level that makes the weighted depth within 1 % about `depth_usdt`."""
    levels = np.clip(0.01 * price / (gap * tick), 1, _LEVELS_IN_PERCENT)
    return np.asarray(2 * depth_usdt / levels)


def invented_sides(
    row: Row, key: Keys, quotes: tuple[int, int], elapsed_s: float, shape: BookShape, levels: int
) -> tuple[IntArray, FloatArray, IntArray, FloatArray]:
    """Bid ticks and quantities, ask ticks and quantities, `levels` of each at most."""
    price = np.array([(quotes[0] + quotes[1]) / 2 * row.tick])
    gap = int(ladder_gap(price, row.tick)[0])
    bid_ticks, bids = _ladder(row, key, BID, quotes[0], price, gap, elapsed_s, levels)
    ask_ticks, asks = _ladder(row, key, ASK, quotes[1], price, gap, elapsed_s, levels)
    bids, asks = bids * shape.bids, asks * shape.asks
    if shape.wall > 1 and levels > 2 * WALL_LEVEL:
        # at a price of its own, while the quotes move: the next multiple of a step that is about as many levels wide
        step = 2 ** int(np.log2(WALL_LEVEL * gap))
        wall_ticks = -(-(quotes[1] + WALL_LEVEL // 2 * gap) // step) * step
        level = int(np.abs(ask_ticks - wall_ticks).argmin())
        ask_ticks[level], asks[level] = wall_ticks, np.median(asks) * shape.wall
    return bid_ticks, bids, ask_ticks, asks


def _ladder(
    row: Row, key: Keys, side: int, best: int, mid: FloatArray, gap: int, elapsed_s: float, levels: int
) -> tuple[IntArray, FloatArray]:
    """Return the ticks and quantities of a side: the best, then the multiples of `gap` behind it, which stay."""
    behind = np.arange(1, levels, dtype=np.int64)
    multiple = (best - 1) // gap + 1 - behind if side == BID else best // gap + behind
    ticks = multiple * gap
    now, price = np.array([elapsed_s]), np.maximum(ticks, 1) * row.tick
    stays_s = _CHANGES_EVERY_S * _STAYS_LONGER ** uniform(key, side, multiple)
    gap_array = np.array([gap])
    first = level_quantity(key, side, 0, now, level_usdt(row.depth_usdt, gap_array, mid, row.tick), mid)
    typical = level_usdt(row.depth_usdt, gap_array, price, row.tick)
    rest = level_quantity(key, side, multiple, now + _UNDER_WAY_S, typical, price, stays_s)
    return np.append(best, ticks), np.append(first, rest)


def recorded_sides(
    row: Row,
    recorded: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    quotes: tuple[int, int],
    levels: int,
    share: float,
) -> tuple[IntArray, FloatArray, IntArray, FloatArray]:
    """Return a recorded book, put around the quotes, its quantities times `share`."""
    bid_distance, bids, ask_distance, asks = recorded
    bid_ticks, bids = _distinct(bid_distance / row.tick, bids)
    ask_ticks, asks = _distinct(ask_distance / row.tick, asks)
    return (
        quotes[0] - bid_ticks[:levels],
        bids[:levels] * share,
        quotes[1] + ask_ticks[:levels],
        asks[:levels] * share,
    )


def _distinct(distance_ticks: FloatArray, quantity: FloatArray) -> tuple[IntArray, FloatArray]:
    # a coarser tick than the recorded one puts several levels on one price
    ticks, place = np.unique(np.round(distance_ticks).astype(np.int64), return_inverse=True)
    return ticks, np.bincount(place, weights=quantity).astype(np.float64)
