"""Features of the prints: who takes, and whether a large seller has just swept the bids."""

from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray

SWEEP_LENGTH_MS = 1000  #: a run of taker sells is cut where it would last longer
SWEEP_PRICES = 3  #: distinct prices a sweep goes through at least; `Runs` knows no more than three
SWEEP_MULTIPLE = 5.0  #: times the usual second's notional at least
BASELINE_SECONDS = 10  #: seconds with prints below which there is no usual second
KEPT_RUNS = 16  #: runs remembered of each instrument


class Runs(NamedTuple):
    """Runs of taker-sell prints, (r,) each, by list and then by time."""

    list_index: IntArray
    start_ms: FloatArray
    end_ms: FloatArray
    first_price: FloatArray
    second_price: FloatArray  #: the next distinct price, the first where there is none
    third_price: FloatArray  #: the next distinct from both, the first where there is none
    last_price: FloatArray
    notional: FloatArray
    is_open: BoolArray  #: no print of its list follows: later prints may belong to it

    def take(self, wanted: BoolArray) -> "Runs":
        """Return the runs `wanted` (r,)."""
        return Runs._make(values[wanted] for values in self)

    def can_be_sweeps(self, min_usdt: float) -> BoolArray:
        """Return which fell through enough prices with enough notional [USDT], (r,): all but how unusual that is."""
        through_three: BoolArray = self.third_price != self.first_price
        return through_three & (self.last_price < self.first_price) & (self.notional >= min_usdt)


def find_runs(
    list_start: IntArray,
    time_ms: FloatArray,
    price: FloatArray,
    notional: FloatArray,
    is_taker_sell: BoolArray,
    min_usdt: float,
) -> Runs:
    """Cut prints into maximal runs of taker sells; keep those that are open or can be sweeps.

    Parameters
    ----------
    list_start
        Where each list of prints starts in the arrays below, (lists,) ascending, none empty; a run never crosses lists.
    time_ms, price, notional, is_taker_sell
        (k,) each, oldest first within a list; [epoch ms], [USDT], [USDT].
    min_usdt
        Notional below which a run is no sweep [USDT].
    """
    is_last = np.zeros(len(time_ms), dtype=bool)
    is_last[list_start - 1] = True  # that of the first list is the last print of all
    start, end = stretches_of_sells(list_start, is_last, is_taker_sell)
    # Most are short, or do not fall, and need no closer look.
    kept = np.flatnonzero(is_last[end] | (end - start >= SWEEP_PRICES - 1))
    start, end = cut_runs(time_ms, start[kept], end[kept])
    kept = np.flatnonzero(is_last[end] | (price[end] < price[start]))
    start, end = start[kept], end[kept]
    edges = np.stack([start, end + 1], axis=1).ravel()
    total = np.add.reduceat(notional, edges[edges < len(notional)])[::2]
    kept = np.flatnonzero(is_last[end] | (total >= min_usdt))
    start, end, total = start[kept], end[kept], total[kept]
    is_open = is_last[end]

    run, member = _members(start, end)
    prices, first = price[member], price[start]
    second = _first_other(prices, run, first, differs := prices != first[run])
    third = _first_other(prices, run, first, differs & (prices != second[run]))
    list_index = np.searchsorted(list_start, start, side="right") - 1
    runs = Runs(list_index, time_ms[start], time_ms[end], first, second, third, price[end], total, is_open)
    return runs.take(is_open | runs.can_be_sweeps(min_usdt))


def stretches_of_sells(list_start: IntArray, is_last: BoolArray, is_taker_sell: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the first and the last print of each maximal row of sells without a buy between, within a list."""
    begins, ends = is_taker_sell.copy(), is_taker_sell.copy()
    begins[1:] &= ~is_taker_sell[:-1]
    begins[list_start] = is_taker_sell[list_start]
    ends[:-1] &= ~is_taker_sell[1:] | is_last[:-1]
    return np.flatnonzero(begins), np.flatnonzero(ends)


def cut_runs(time_ms: FloatArray, start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first and last prints of runs, none longer than `SWEEP_LENGTH_MS`, from those of stretches of sells.

    A stretch is cut greedily, before the print that would make a run last longer than that from its first; that print
    starts the next run. Design section 3.
    """
    is_long = time_ms[end] - time_ms[start] > SWEEP_LENGTH_MS
    if not is_long.any():
        return start, end
    # One ascending key over all the long stretches, so that a single search finds the next cut of each.
    stretch, member = _members(start[is_long], end[is_long])
    time = time_ms[member] - time_ms[member].min()
    key = np.maximum.accumulate(time + stretch * (time.max() + SWEEP_LENGTH_MS + 1))
    limit = np.cumsum((end - start + 1)[is_long])
    current = np.append(0, limit[:-1])
    found = []
    while len(current):
        following = np.searchsorted(key, key[current] + SWEEP_LENGTH_MS, side="right")
        is_cut = following < limit
        current, limit = following[is_cut], limit[is_cut]
        found.append(member[current])
    cuts = np.concatenate(found)
    return _merged(start, cuts), _merged(end, cuts - 1)


def _merged(places: IntArray, more: IntArray) -> IntArray:
    return np.sort(np.append(places, more), kind="stable")  # which is quick with what is in order already


def _members(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    # Every print of some rows of prints: its row, and its place there.
    lengths = end - start + 1
    row = np.repeat(np.arange(len(start)), lengths)
    return row, np.arange(len(row)) + np.repeat(start - np.cumsum(lengths) + lengths, lengths)


def _first_other(price: FloatArray, run: IntArray, default: FloatArray, wanted: BoolArray) -> FloatArray:
    # The first wanted price of each run, else the default.
    index = np.flatnonzero(wanted)
    values = default.copy()
    index = index[np.diff(run[index], prepend=-1) > 0]
    values[run[index]] = price[index]
    return values


def keep_runs(end_ms: FloatArray, notional: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the last `KEPT_RUNS` runs of each instrument that can still win.

    Parameters
    ----------
    end_ms, notional
        [epoch ms], [USDT], (runs, m), oldest first; an empty place has notional 0, and time 0 in what is returned.

    Notes
    -----
    A run that is no larger than a later one scores below it from now on, whatever the usual second becomes. What is
    left shrinks with time, so more than `KEPT_RUNS` of them are as good as impossible inside a sweep's time to live;
    then the oldest go.
    """
    larger_later = np.zeros_like(notional)
    larger_later[:-1] = np.maximum.accumulate(notional[:0:-1], axis=0)[::-1]
    kept = notional > larger_later
    order = np.argsort(kept, axis=0, kind="stable")[-KEPT_RUNS:]
    kept_end_ms, kept_notional = (np.take_along_axis(values * kept, order, axis=0) for values in (end_ms, notional))
    return kept_end_ms, kept_notional


def taker_sell_share(taker_sold: FloatArray, traded: FloatArray) -> FloatArray:
    """Return s = taker-sold / traded notional of a window [0…1], (n,); NaN where nothing traded."""
    return taker_sold / np.where(traded > 0, traded, np.nan)


def usual_second(traded: FloatArray) -> FloatArray:
    """Return the median notional of the seconds in which anything traded [USDT], (m,).

    `traded` is (m, seconds), 0 where nothing traded; below `BASELINE_SECONDS` of those it means little.
    """
    seconds = (traded > 0).sum(axis=1, dtype=np.int32)
    ascending = np.sort(traded, axis=1)
    row = np.arange(len(traded))
    last = traded.shape[1] - 1  # zeros sort first, so the median counts back from the end
    lower, upper = ascending[row, last - seconds // 2], ascending[row, last - np.maximum(seconds - 1, 0) // 2]
    median: FloatArray = (lower + upper) / 2
    return median


def usual_second_is_at_most(traded: FloatArray, limit: FloatArray) -> BoolArray:
    """Return where `usual_second` of `traded` is no more than `limit` [USDT], (m,); few rows need sorting for that."""
    seconds = (traded > 0).sum(axis=1, dtype=np.int32)
    above = (traded > limit[:, None]).sum(axis=1, dtype=np.int32)
    is_at_most: BoolArray = above <= (seconds - 1) // 2
    between = np.flatnonzero(2 * above == seconds)  # the two in the middle are on either side of the limit
    is_at_most[between] = usual_second(traded[between]) <= limit[between]
    return is_at_most


class Sweeps(NamedTuple):
    """The best living sweep of each instrument, (m,) each."""

    multiple: FloatArray  #: m, 0 where none lives
    age_s: FloatArray  #: since its last print [s], NaN where none lives


def best_sweep(end_ms: FloatArray, notional: FloatArray, usual: FloatArray, now_ms: int, ttl_s: float) -> Sweeps:
    """Return the sweep that scores highest now.

    Parameters
    ----------
    end_ms, notional
        Of the runs that can be sweeps [epoch ms], [USDT], (runs, m); an empty place has notional 0.
    usual
        Median notional of a second with prints [USDT], (m,).
    now_ms, ttl_s
        The time [epoch ms], and how long a sweep lives after its last print [s].
    """
    multiple = notional / usual
    age_s = np.maximum(now_ms - end_ms, 0.0) / 1000  # what comes from the future has been left out
    value = np.minimum(multiple / 10, 1) * (1 - age_s / ttl_s)
    value[~((multiple >= SWEEP_MULTIPLE) & (age_s < ttl_s))] = 0.0
    best, column = value.argmax(axis=0), np.arange(len(usual))
    lives = value[best, column] > 0
    return Sweeps(np.where(lives, multiple[best, column], 0.0), np.where(lives, age_s[best, column], np.nan))
