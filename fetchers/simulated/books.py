"""Order books: a ladder of levels around the quotes, ordinary, recorded or bent by a setup."""

from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.simulated.coins import Row
from fetchers.simulated.noise import Keys, bell, drift
from fetchers.simulated.setups import WALL_LEVEL, BookShape

LADDER_BPS = 2.2  #: 50 levels of it reach just beyond 1 %
_LEVELS_IN_PERCENT = 45
_LEVEL_DEVIATION = 0.3  # of the log size: the largest of 50 is at most e^0.9 times the median, no wall
_CHANGES_EVERY_S = 3.0
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
    return np.maximum(1, np.ceil(LADDER_BPS * 1e-4 * price / tick)).astype(np.int64)


def level_quantity(
    row_keys: Keys, side: int, level: IntArray | int, elapsed_s: FloatArray, level_usdt: FloatArray, price: FloatArray
) -> FloatArray:
    """Quantities [base] before rounding; broadcasts over rows (best level of all) or levels (one book)."""
    epoch = np.floor(elapsed_s / _CHANGES_EVERY_S).astype(np.int64)
    size = bell(row_keys, side, level, epoch) * _LEVEL_DEVIATION
    slow = 0.15 * drift(row_keys + np.uint64(side), elapsed_s, 120.0)
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
    gap = ladder_gap(price, row.tick)
    place = np.arange(levels, dtype=np.int64)
    typical = level_usdt(row.depth_usdt, gap, price, row.tick)
    at = np.array([elapsed_s])
    bids = level_quantity(key, BID, place, at, typical, price) * shape.bids
    asks = level_quantity(key, ASK, place, at, typical, price) * shape.asks
    ask_ticks = quotes[1] + gap * place
    if shape.wall > 1 and levels > 2 * WALL_LEVEL:
        # at a price of its own, while the quotes move: the next multiple of a step that is about as many levels wide
        step = 2 ** int(np.log2(WALL_LEVEL * gap[0]))
        wall_ticks = -(-(quotes[1] + WALL_LEVEL // 2 * int(gap[0])) // step) * step
        level = int(np.abs(ask_ticks - wall_ticks).argmin())
        ask_ticks[level], asks[level] = wall_ticks, np.median(asks) * shape.wall
    return quotes[0] - gap * place, bids, ask_ticks, asks


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
