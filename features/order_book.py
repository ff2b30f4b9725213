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
    count = len(books)
    (price, quantity), levels = pad([book.bids for book in books] + [book.asks for book in books])
    best_bid, best_ask = np.split(np.where(levels > 0, price[:, 0], np.nan), 2)
    mid = np.tile((best_bid + best_ask) / 2, 2)[:, None]
    distance, notional = np.abs(price - mid) / mid, price * quantity
    reach = full_reach(distance, levels, np.tile([book.levels_asked for book in books], 2))
    reach = np.minimum(reach.reshape(2, count).min(axis=0), band_percent / 100)
    bid_depth, ask_depth = np.split(side_depth(distance, notional, np.tile(reach, 2)), 2)
    usable = np.isfinite(bid_depth) & np.isfinite(ask_depth) & (best_bid < best_ask)
    near_best = price[:count] >= best_bid[:, None] * (1 - SELLABLE_BAND) * (1 - REACH_TOLERANCE)
    measures = (
        bid_depth,
        ask_depth,
        np.where(near_best, notional[:count], 0.0).sum(axis=1),
        wall_ratio(notional[count:], is_inside(distance[count:], reach)),
        microprice_tilt_bps(best_bid, quantity[:count, 0], best_ask, quantity[count:, 0]),
    )
    return BookMeasures(
        best_bid,
        best_ask,
        np.add(*np.split(notional.sum(axis=1), 2)),
        *(np.where(usable, values, np.nan) for values in measures),
    )


def pad(sides: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """Return ragged sides (2, levels) as one array (2, sides, longest, at least 1), and how many levels each has.

    Beyond a side's last level stands one of no quantity at a price of 0, which is a whole mid away.
    """
    levels = np.array([side.shape[1] for side in sides])
    longest = max(int(levels.max()), 1)
    flat = np.concatenate(sides, axis=1)
    if (levels == longest).all():
        return flat.reshape(2, len(sides), longest), levels
    padded = np.zeros((2, len(sides), longest))
    padded[:, np.arange(longest) < levels[:, None]] = flat
    return padded, levels


def full_reach(distance: FloatArray, levels: IntArray, levels_asked: IntArray) -> FloatArray:
    """Return how far a side shows the market, (s,): to its last level where it came back full, else without end.

    Parameters
    ----------
    distance
        Of each level from the mid [fraction], (s, longest), best first.
    levels, levels_asked
        (s,): a side that came back with as many as were asked for is cut short by the request, not by the market.
    """
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
    depth = (weight * notional).sum(axis=1)
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


def usual_depth(depth: FloatArray, rows: IntArray, tick_ms: IntArray, span_s: float) -> FloatArray:
    """Return the median bid depth of the books in a window [USDT], (m,).

    Parameters
    ----------
    depth
        Bid depth of each tick [USDT], (m, ticks), not finite where no book arrived or outside the window. It is used
        up: sorted in place.
    rows
        The window's ticks, oldest first.
    tick_ms
        (ticks,) [epoch ms].
    span_s
        The books must span at least as long [s].

    Returns
    -------
    median
        NaN below `BASELINE_BOOKS` books, or where they do not span `span_s`.
    """
    if len(rows) < BASELINE_BOOKS:
        return np.full(len(depth), np.nan)
    known = np.isfinite(depth)
    books = known.sum(axis=1, dtype=np.int32)
    times_ms, gappy = tick_ms[rows], np.flatnonzero(books < len(rows))  # few: most are polled tick after tick
    known = known[gappy][:, rows]
    span_ms = np.full(len(depth), times_ms[-1] - times_ms[0])
    span_ms[gappy] = times_ms[-1 - known[:, ::-1].argmax(axis=1)] - times_ms[known.argmax(axis=1)]
    depth.sort(axis=1)
    median = median_of_first(depth, books)
    return np.where((books >= BASELINE_BOOKS) & (span_ms >= 1000 * span_s), median, np.nan)


def bid_exhaustion(bid_depth: FloatArray, usual: FloatArray) -> FloatArray:
    """Return e = 1 - bid depth now / usual [up to 1, negative where deeper], (n,); NaN where either is missing."""
    return 1 - bid_depth / usual
