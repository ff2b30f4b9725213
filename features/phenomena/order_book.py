"""Features of the order book: depth in bands, imbalance, walls, exhaustion and how much can be sold at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray, OrderBook

BANDS = (0.001, 0.0025, 0.005, 0.01)  #: [fraction] from the mid, in which depth is measured, narrowest first
WALL_LEVELS = 5  #: ask levels inside the band below which a largest-to-median ratio says nothing
WALL_TICKS = 2  #: two books show the same wall where its price differs by at most as many ticks
WALL_SECONDS = 10  #: usual seconds of trading that a wall has to be worth
WALL_APART = 1 / 5  #: of MAX_DATA_AGE_SECONDS; two books less far apart are one look at the wall
AT_ONCE_BAND = 0.001  #: [fraction] from the best price, within which a market order is filled at once
BASELINE_BOOKS = 3  #: books below which bid depth has no usual value
REACH_TOLERANCE = 1e-9  #: a level exactly at a band's end is inside whatever the rounding of its distance


class BookMeasures(NamedTuple):
    """Measures of b books by themselves, (b,) each, depths (bands, b) in the order of `BANDS`.

    From `bid_depth` on NaN where a side is missing or the sides cross.
    """

    best_bid: FloatArray  #: [USDT], NaN where the side is empty
    best_ask: FloatArray
    notional: FloatArray  #: [USDT] of all levels of both sides: changes whenever the book does
    reach: FloatArray  #: [fraction] of the mid to which both sides are known, infinite where both came back whole
    bid_depth: FloatArray  #: [USDT] weighted, NaN where the reply does not reach the band's end on both sides
    ask_depth: FloatArray
    sellable: FloatArray  #: [USDT] bids within `AT_ONCE_BAND` of the best
    buyable: FloatArray  #: [USDT] asks within it
    wall_ratio: FloatArray  #: largest over median ask level, NaN also below `WALL_LEVELS` levels
    wall_price: FloatArray  #: [USDT] of that largest ask level
    wall_notional: FloatArray  #: [USDT]
    microprice_tilt_bps: FloatArray


def measure_books(books: Sequence[OrderBook], band_percent: float) -> BookMeasures:
    """Measure snapshots, all at once.

    Parameters
    ----------
    books
        Any number b >= 1 of them, of any depth.
    band_percent
        The widest band that is measured [%]; depths of wider ones are NaN.

    Notes
    -----
    A number of levels is no distance: where the asks get denser, fifty of them reach less far. So depth is measured in
    fixed bands, and only where both sides are known to the band's end. docs/features.md.
    """
    count = len(books)
    (price, quantity), levels = pad([book.bids for book in books] + [book.asks for book in books])
    best_bid, best_ask = np.split(np.where(levels > 0, price[:, 0], np.nan), 2)
    mid = np.tile((best_bid + best_ask) / 2, 2)[:, None]
    distance, notional = np.abs(price - mid) / mid, price * quantity
    reach = full_reach(distance, levels, np.tile([book.levels_asked for book in books], 2))
    reach = reach.reshape(2, count).min(axis=0)
    depth = np.full((len(BANDS), 2 * count), np.nan)
    nearest = np.fmin.reduce(distance, axis=0)  # further than a band's end for all books: such levels weigh nothing
    for row, band in enumerate(BANDS):
        if band <= band_percent / 100 * (1 + REACH_TOLERANCE):
            levels_inside = max(int(np.count_nonzero(nearest < band)), 1)
            depth[row] = side_depth(distance[:, :levels_inside], notional[:, :levels_inside], band)
    is_known = (reach * (1 + REACH_TOLERANCE) >= np.array(BANDS)[:, None]) & (best_bid < best_ask)
    bid_depth, ask_depth = depth[:, :count], depth[:, count:]
    usable = is_known & np.isfinite(bid_depth) & np.isfinite(ask_depth)
    bid_depth, ask_depth = np.where(usable, bid_depth, np.nan), np.where(usable, ask_depth, np.nan)
    has_band = usable.any(axis=0)
    near_bid = price[:count] >= best_bid[:, None] * (1 - AT_ONCE_BAND) * (1 - REACH_TOLERANCE)
    near_ask = price[count:] <= best_ask[:, None] * (1 + AT_ONCE_BAND) * (1 + REACH_TOLERANCE)
    asks = notional[count:]
    inside = is_inside(distance[count:], np.where(has_band, np.array(BANDS)[widest(usable)], 0.0))
    largest = np.where(inside, asks, -np.inf).argmax(axis=1)
    place = np.arange(count)
    measures = (
        np.where(near_bid, notional[:count], 0.0).sum(axis=1),
        np.where(near_ask, asks, 0.0).sum(axis=1),  # padding is near, and worth nothing
        wall_ratio(asks, inside),
        price[count + place, largest],
        asks[place, largest],
        microprice_tilt_bps(best_bid, quantity[:count, 0], best_ask, quantity[count:, 0]),
    )
    return BookMeasures(
        best_bid,
        best_ask,
        np.add(*np.split(notional.sum(axis=1), 2)),
        reach,
        bid_depth,
        ask_depth,
        *(np.where(has_band, values, np.nan) for values in measures),
    )


def widest(usable: BoolArray) -> IntArray:
    """Return the row of the widest usable band, (b,), of (bands, b); the widest of all where none is."""
    return np.asarray(len(usable) - 1 - usable[::-1].argmax(axis=0))


def pad(sides: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """Return ragged sides (2, levels) as one array (2, sides, longest, at least 1), and how many levels each has.

    Padding has price 0 and quantity 0, so it lies outside any band.
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


def is_inside(distance: FloatArray, band: FloatArray) -> BoolArray:
    """Return which levels (b, levels) lie inside a band (b,) [fraction]."""
    inside: BoolArray = distance <= (band * (1 + REACH_TOLERANCE))[:, None]
    return inside


def side_depth(distance: FloatArray, notional: FloatArray, band: float) -> FloatArray:
    """Return sum of p q (1 - distance / band) over a side's levels inside a band [USDT], (s,).

    NaN where no level is nearer than the band's end: such a side weighs nothing.
    """
    weight = 1 - distance / band
    depth = np.einsum("ij,ij->i", np.maximum(weight, 0, out=weight), notional)
    return np.where(distance[:, 0] < band * (1 - REACH_TOLERANCE), depth, np.nan)


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


def median_of_known(values: FloatArray, known: IntArray) -> FloatArray:
    """Return the median of the finite values of each row (m, k), of which there are `known` (m,).

    The others are infinite or NaN, which sort last. Rows with as many of them as most have need no sorting.
    """
    common = int(np.bincount(known).argmax())
    is_common = known == common
    median = np.full(len(values), np.nan)
    if common:
        halves = np.partition(values[is_common], common // 2, axis=1)
        upper = halves[:, common // 2]
        lower = halves[:, : common // 2].max(axis=1) if common % 2 == 0 else upper
        median[is_common] = (lower + upper) / 2
    median[~is_common] = median_of_first(np.sort(values[~is_common], axis=1), known[~is_common])
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
        Bid depth of each tick [USDT], (m, ticks), not finite where no book arrived or outside the window.
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
    median = median_of_known(depth, books)
    return np.where((books >= BASELINE_BOOKS) & (span_ms >= 1000 * span_s), median, np.nan)


def bid_exhaustion(bid_depth: FloatArray, usual: FloatArray) -> FloatArray:
    """Return e = 1 - bid depth now / usual [up to 1, negative where deeper], (n,); NaN where either is missing."""
    return 1 - bid_depth / usual
