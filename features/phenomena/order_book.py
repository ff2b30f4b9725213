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
_NO_LEVEL = np.array([[1e300], [0.0]])  # where an empty side's first level would be: far away, and worth nothing


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

    A sum is over the levels of one side alone, so it is the same to the bit whatever is measured beside it.
    """
    count = len(books)
    sides = [book.bids for book in books] + [book.asks for book in books]
    levels = np.array([side.shape[1] for side in sides])
    start = np.cumsum(levels) - levels
    price, quantity = np.concatenate([*sides, _NO_LEVEL], axis=1)
    best = np.where(levels > 0, price[start], np.nan)
    best_bid, best_ask = best[:count], best[count:]
    mid = (best_bid + best_ask) / 2
    notional, distance = price * quantity, _distance(price, np.tile(mid, 2), levels)
    reach = full_reach(distance, start, levels, np.tile([book.levels_asked for book in books], 2))
    reach = reach.reshape(2, count).min(axis=0)
    depth = np.full((len(BANDS), 2 * count), np.nan)
    for row, band in enumerate(BANDS):
        if band <= band_percent / 100 * (1 + REACH_TOLERANCE):
            depth[row] = side_depth(distance, notional, start, levels, band)
    is_known = (reach * (1 + REACH_TOLERANCE) >= np.array(BANDS)[:, None]) & (best_bid < best_ask)
    bid_depth, ask_depth = depth[:, :count], depth[:, count:]
    usable = is_known & np.isfinite(bid_depth) & np.isfinite(ask_depth)
    bid_depth, ask_depth = np.where(usable, bid_depth, np.nan), np.where(usable, ask_depth, np.nan)
    has_band = usable.any(axis=0)
    is_near = _distance(price, best, levels) <= AT_ONCE_BAND * (1 + REACH_TOLERANCE)
    at_once = _sums(notional * is_near, start, levels)
    asks = slice(int(start[count]), -1)
    is_outside = distance[asks] > np.repeat(
        np.where(has_band, np.array(BANDS)[widest(usable)], 0.0) * (1 + REACH_TOLERANCE), levels[count:]
    )
    walls = pad(np.where(is_outside, -np.inf, notional[asks]), levels[count:])
    largest = start[count:] + walls.argmax(axis=1)
    measures = (
        at_once[:count],
        at_once[count:],
        wall_ratio(walls),
        price[largest],
        notional[largest],
        microprice_tilt_bps(best_bid, quantity[start[:count]], best_ask, quantity[start[count:]]),
    )
    return BookMeasures(
        best_bid,
        best_ask,
        _sums(notional, start, levels).reshape(2, count).sum(axis=0),
        reach,
        bid_depth,
        ask_depth,
        *(np.where(has_band, values, np.nan) for values in measures),
    )


def _distance(price: FloatArray, origin: FloatArray, levels: IntArray) -> FloatArray:
    """Return how far each level, and the place behind them all, is from its side's origin [fraction]."""
    origin_of_level = np.repeat([*origin, 1.0], [*levels, 1])
    distance: FloatArray = price - origin_of_level
    np.abs(distance, out=distance)
    distance /= origin_of_level
    return distance


def _sums(values: FloatArray, start: IntArray, levels: IntArray) -> FloatArray:
    """Return the sum of each side's levels, 0 of an empty one; what lies behind them all is left out."""
    is_filled = levels > 0
    total = np.zeros(len(levels))
    if is_filled.any():
        total[is_filled] = np.add.reduceat(values[: int(levels.sum())], start[is_filled])
    return total


def widest(usable: BoolArray) -> IntArray:
    """Return the row of the widest usable band, (b,), of (bands, b); the widest of all where none is."""
    return np.asarray(len(usable) - 1 - usable[::-1].argmax(axis=0))


def pad(values: FloatArray, levels: IntArray) -> FloatArray:
    """Return the levels of ragged sides as rows, (sides, longest, at least 1), filled up with -inf."""
    longest = max(int(levels.max()), 1)
    padded = np.full((len(levels), longest), -np.inf)
    ahead = np.arange(len(levels)) * longest - (np.cumsum(levels) - levels)
    padded.ravel()[np.arange(len(values)) + np.repeat(ahead, levels)] = values
    return padded


def full_reach(distance: FloatArray, start: IntArray, levels: IntArray, levels_asked: IntArray) -> FloatArray:
    """Return how far a side shows the market, (s,): to its last level where it came back full, else without end.

    Parameters
    ----------
    distance
        Of each level from the mid [fraction], side after side, best first.
    start, levels, levels_asked
        (s,): a side that came back with as many as were asked for is cut short by the request, not by the market.
    """
    last = distance[start + np.maximum(levels, 1) - 1]
    return np.where((levels >= levels_asked) & (levels > 0), last, np.inf)


def side_depth(
    distance: FloatArray, notional: FloatArray, start: IntArray, levels: IntArray, band: float
) -> FloatArray:
    """Return sum of p q (1 - distance / band) over each side's levels inside a band [USDT], (s,).

    NaN where no level is nearer than the band's end: such a side weighs nothing.
    """
    weighted = distance / -band  # in place from here on: fresh memory costs more than the arithmetic
    weighted += 1
    np.maximum(weighted, 0.0, out=weighted)
    weighted *= notional
    has_weight = (levels > 0) & (distance[start] < band * (1 - REACH_TOLERANCE))
    return np.where(has_weight, _sums(weighted, start, levels), np.nan)


def wall_ratio(notional: FloatArray) -> FloatArray:
    """Return r = largest / median of the levels of each row (b, levels) [1]; NaN below `WALL_LEVELS` of them.

    -inf is no level.
    """
    levels = np.isfinite(notional).sum(axis=1, dtype=np.int32)
    ascending = np.sort(notional, axis=1)
    row, last = np.arange(len(levels)), notional.shape[1] - 1
    lower, upper = ascending[row, last - levels // 2], ascending[row, last - np.maximum(levels - 1, 0) // 2]
    ratio: FloatArray = ascending[:, -1] / np.where(levels >= WALL_LEVELS, (lower + upper) / 2, np.nan)
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
