"""Features of what only derivatives have: open interest and funding, and who lends them to whom."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray


def funding_rate_8h(rate: FloatArray, interval_h: FloatArray) -> FloatArray:
    """Return f8 = rate * 8 / interval [fraction per 8 h], (n,); NaN where either is missing."""
    return rate * 8 / interval_h


def funding_impulse(f8: FloatArray, history: Sequence[FloatArray]) -> FloatArray:
    """Return f8 less its mean over what is known of a window [fraction], (n,); NaN where f8 is missing.

    `history` is the window's rows in pieces, (rows, n) each, so that a ring need not be copied.
    """
    total, rows = sum((part.sum(axis=0) for part in history), np.zeros(len(f8))), sum(map(len, history))
    mean = total / max(rows, 1)
    gappy = np.flatnonzero(np.isnan(mean) & np.isfinite(f8))
    if len(gappy):
        cells = np.concatenate([part[:, gappy] for part in history])
        known = np.isfinite(cells)
        mean[gappy] = np.where(known, cells, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return f8 - mean


class Base(NamedTuple):
    """Return the row from which open interest and price have changed, (n,) each; NaN where there is none."""

    open_interest: FloatArray
    price: FloatArray


def oldest_known(open_interest: FloatArray, price: FloatArray, rows: IntArray, wanted: BoolArray) -> Base:
    """Return, instrument by instrument, the oldest of some rows in which both are known.

    Parameters
    ----------
    open_interest, price
        [base], [USDT], (ticks, n).
    rows
        The rows old enough to be a base and inside the window, oldest first.
    wanted
        (n,): where False, do not look.
    """
    base = Base(np.full(price.shape[1], np.nan), np.full(price.shape[1], np.nan))
    column = np.flatnonzero(wanted)
    for row in rows:  # almost every instrument is done after the first
        known = np.isfinite(open_interest[row, column]) & np.isfinite(price[row, column])
        found, column = column[known], column[~known]
        base.open_interest[found], base.price[found] = open_interest[row, found], price[row, found]
        if not len(column):
            break
    return base


def find_lenders(coin: IntArray, venue: IntArray, notional: FloatArray, can_lend: BoolArray) -> IntArray:
    """Return the column that would lend to each instrument, (n,), -1 for none.

    Parameters
    ----------
    coin, venue
        Small integers from 0, (n,).
    notional
        Open interest [USDT], (n,): the largest of the same coin on another venue lends.
    can_lend
        Its data are fresh and its own window is full, (n,). Of equals the first lends.
    """
    largest, elsewhere = np.full((2, coin.max(initial=-1) + 1), -1)
    lenders = np.flatnonzero(can_lend)[::-1]
    lenders = lenders[np.argsort(notional[lenders], kind="stable")]
    largest[coin[lenders]] = lenders  # of a coin's columns the last written, the largest, stays
    others = lenders[venue[lenders] != venue[largest[coin[lenders]]]]
    elsewhere[coin[others]] = others  # the largest on any other venue than that one's
    first = largest[coin]
    lender: IntArray = np.where((first >= 0) & (venue[first] != venue), first, elsewhere[coin])
    return lender
