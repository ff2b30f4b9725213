"""Features of the order book: depth, imbalance, walls, exhaustion and how much can be sold at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.market import BoolArray, FloatArray, IntArray, OrderBook

WALL_LEVELS = 5  #: ask levels inside reach below which a largest-to-median ratio says nothing
SELLABLE_BAND = 0.001  #: [fraction] below the best bid
BASELINE_BOOKS = 3  #: books below which bid depth has no usual value
REACH_TOLERANCE = 1e-9  #: a level exactly at reach is inside whatever the rounding of its distance


class BookMeasures(NamedTuple):
    """What a snapshot says by itself, (b,) each.

    From `bid_depth` on NaN where a side is missing or the sides cross.
    """

    best_bid: FloatArray  #: [USDT], NaN where the side is empty
    best_ask: FloatArray
    notional: FloatArray  #: [USDT] of all levels of both sides: changes whenever the book does
    bid_depth: FloatArray  #: [USDT] weighted, inside reach
    ask_depth: FloatArray
    sellable: FloatArray  #: [USDT] bids within `SELLABLE_BAND` of the best
    wall_ratio: FloatArray  #: NaN also below `WALL_LEVELS` levels
    microprice_tilt_bps: FloatArray


def measure_books(books: Sequence[OrderBook], band_percent: float) -> BookMeasures:
    """Measure snapshots, all at once.

    Parameters
    ----------
    books
        Any number b >= 1 of them, of any depth.
    band_percent
        The farthest that `reach` may be from the mid [%].

    Notes
    -----
    Both sides are cut at `reach`, so that the deeper reply of one side does not look like support. A side without a
    level nearer than reach is missing, and with it the comparison. Design section 3.
    """
    sides = [(b.bid_price, b.ask_price, b.bid_quantity, b.ask_quantity) for b in books]
    bid_price, ask_price, bid_quantity, ask_quantity = np.split(
        pad([s for four in zip(*sides, strict=True) for s in four]), 4
    )
    asked = np.array([b.levels_asked for b in books])
    best_bid, best_ask = bid_price[:, 0], ask_price[:, 0]
    mid = (best_bid + best_ask) / 2
    bid_distance, ask_distance = (np.abs(price - mid[:, None]) / mid[:, None] for price in (bid_price, ask_price))
    bid_notional, ask_notional = bid_price * bid_quantity, ask_price * ask_quantity
    reach = np.minimum(full_reach(bid_distance, asked), full_reach(ask_distance, asked))
    reach = np.minimum(reach, band_percent / 100)
    bid_depth = side_depth(bid_distance, bid_notional, reach)
    ask_depth = side_depth(ask_distance, ask_notional, reach)
    usable = np.isfinite(bid_depth) & np.isfinite(ask_depth) & (best_bid < best_ask)
    near_best = bid_price >= best_bid[:, None] * (1 - SELLABLE_BAND) * (1 - REACH_TOLERANCE)
    measures = (
        bid_depth,
        ask_depth,
        np.where(near_best, bid_notional, 0.0).sum(axis=1),
        wall_ratio(ask_notional, is_inside(ask_distance, reach)),
        microprice_tilt_bps(best_bid, bid_quantity[:, 0], best_ask, ask_quantity[:, 0]),
    )
    return BookMeasures(
        best_bid,
        best_ask,
        np.nansum(bid_notional, axis=1) + np.nansum(ask_notional, axis=1),
        *(np.where(usable, values, np.nan) for values in measures),
    )


def pad(sides: Sequence[FloatArray]) -> FloatArray:
    """Return ragged sides as one array (b, longest, at least 1), NaN beyond a side's last level."""
    lengths = np.array([len(side) for side in sides])
    longest = max(int(lengths.max()), 1)
    flat = np.concatenate(sides)
    if (lengths == longest).all():
        return flat.reshape(len(sides), longest)
    padded = np.full((len(sides), longest), np.nan)
    padded[np.arange(longest) < lengths[:, None]] = flat
    return padded


def full_reach(distance: FloatArray, levels_asked: IntArray) -> FloatArray:
    """Return how far a side shows the market, (b,): to its last level where it came back full, else without end.

    Parameters
    ----------
    distance
        Of each level from the mid [fraction], (b, levels), best first, NaN beyond the last.
    levels_asked
        (b,): a side that came back with as many is cut short by the request, not by the market.
    """
    levels = np.isfinite(distance).sum(axis=1, dtype=np.int32)
    last = distance[np.arange(len(distance)), np.maximum(levels, 1) - 1]
    return np.where((levels >= levels_asked) & (levels > 0), last, np.inf)


def is_inside(distance: FloatArray, reach: FloatArray) -> BoolArray:
    """Return which levels (b, levels) lie inside reach (b,)."""
    inside: BoolArray = distance <= (reach * (1 + REACH_TOLERANCE))[:, None]
    return inside


def side_depth(distance: FloatArray, notional: FloatArray, reach: FloatArray) -> FloatArray:
    """Return sum of p q (1 - distance / reach) over a side's levels inside reach [USDT], (b,).

    NaN where no level is nearer than reach: a side whose best level is at reach itself weighs nothing.
    """
    weight = np.maximum(1 - distance / reach[:, None], 0)
    depth = np.nansum(weight * notional, axis=1)
    return np.where(distance[:, 0] < reach * (1 - REACH_TOLERANCE), depth, np.nan)


def wall_ratio(notional: FloatArray, inside: BoolArray) -> FloatArray:
    """Return r = largest / median notional of the levels inside [1], (b,); NaN below `WALL_LEVELS` levels."""
    levels = inside.sum(axis=1, dtype=np.int32)
    ascending = np.sort(np.where(inside, notional, np.inf), axis=1)
    largest = ascending[np.arange(len(levels)), np.maximum(levels, 1) - 1]
    usual = np.where(levels >= WALL_LEVELS, median_of_first(ascending, levels), np.nan)
    ratio: FloatArray = largest / usual
    return ratio


def median_of_first(ascending: FloatArray, count: IntArray) -> FloatArray:
    """Return the median of the first `count` (m,) of each sorted row (m, k); meaningless where there are none."""
    row = np.arange(len(ascending))
    median: FloatArray = (ascending[row, np.maximum(count - 1, 0) // 2] + ascending[row, count // 2]) / 2
    return median


def microprice_tilt_bps(
    bid: FloatArray, bid_quantity: FloatArray, ask: FloatArray, ask_quantity: FloatArray
) -> FloatArray:
    """Return the microprice, each best price weighted by the other's quantity, over their mid, less one [bps], (b,)."""
    microprice = (bid * ask_quantity + ask * bid_quantity) / (bid_quantity + ask_quantity)
    return 1e4 * (microprice / ((bid + ask) / 2) - 1)


def ask_share(bid_depth: FloatArray, ask_depth: FloatArray) -> FloatArray:
    """Return a = ask depth / (ask + bid depth) [0…1], (n,); NaN where either is missing.

    Sources: Gould & Bonart 2016; Cont, Kukanov & Stoikov 2014 (queue imbalance).
    """
    return ask_depth / (ask_depth + bid_depth)


def usual_depth(depth: FloatArray, tick_ms: IntArray, span_s: float) -> FloatArray:
    """Return the median bid depth of the books in `depth` [USDT], (m,).

    Parameters
    ----------
    depth
        Bid depth [USDT] in the window's rows, (rows, m), oldest first, NaN where no book arrived.
    tick_ms
        (rows,) [epoch ms].
    span_s
        The books must span at least as long [s].

    Returns
    -------
    median
        NaN below `BASELINE_BOOKS` books, or where they do not span `span_s`.
    """
    if not len(depth):
        return np.full(depth.shape[1], np.nan)
    known = np.isfinite(depth)
    books = known.sum(axis=0, dtype=np.int32)
    oldest, newest = tick_ms[known.argmax(axis=0)], tick_ms[len(depth) - 1 - known[::-1].argmax(axis=0)]
    median = median_of_first(np.sort(depth, axis=0).T, books)
    return np.where((books >= BASELINE_BOOKS) & (newest - oldest >= span_s * 1000), median, np.nan)


def bid_exhaustion(bid_depth: FloatArray, usual: FloatArray) -> FloatArray:
    """Return e = 1 - bid depth now / usual [up to 1, negative where deeper], (n,); NaN where either is missing."""
    return 1 - bid_depth / usual
