"""Prints as they are written into the arrays: sums by second, and runs of taker sells."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray, Prints, Trades
from features.phenomena.trade_flow import Runs, find_runs, keep_runs
from features.state.arrays import OPEN_PRINTS, MarketArrays
from features.state.columns import Columns
from features.state.ring import last_second, second_row


class Lists(NamedTuple):
    """New prints of some instruments, each a list of its own, one behind the other."""

    column: IntArray  #: (m,) of each list, at most once each
    counts: IntArray  #: (m,) prints in it
    prints: FloatArray  #: (4, n), rows as of `Trades.prints`
    reply_ms: IntArray  #: (m,) up to when nothing else was printed
    continues: BoolArray  #: (m,)


def lists_of_trades(column: IntArray, replies: Sequence[Trades]) -> Lists:
    """Return replies, one an instrument, as lists."""
    return Lists(
        column,
        np.array([trades.prints.shape[1] for trades in replies]),
        np.concatenate([trades.prints for trades in replies], axis=1),
        np.array([trades.exchange_ms for trades in replies]),
        np.array([trades.continues for trades in replies]),
    )


def lists_of_prints(column: Columns, known: Columns, prints: Prints) -> Lists:
    """Return the instruments in the places `known` of a stream's prints, whose columns are `column`, as lists."""
    place = np.arange(len(prints.symbols))[known]
    count = np.diff(prints.starts)[place]
    behind = np.repeat(prints.starts[place] - np.cumsum(count) + count, count)  # where a list begins there, less here
    return Lists(
        _as_array(column, len(place)),
        count,
        prints.block[:, np.arange(len(behind)) + behind],
        np.full(len(place), prints.read_ms),
        prints.continues[place],
    )


def append_lists(arrays: MarketArrays, lists: Lists, now_ms: int, min_sweep_usdt: float) -> None:
    """Write lists of prints, some of them empty, during the tick at `now_ms`."""
    column = lists.column
    is_gap = ~lists.continues | (arrays.trades_ms[column] == 0)
    arrays.covered_from_ms[column[is_gap]] = lists.reply_ms[is_gap]
    arrays.trades_ms[column] = np.maximum(arrays.trades_ms[column], lists.reply_ms)
    _close_runs(arrays, column[is_gap], min_sweep_usdt)
    filled = lists.counts > 0
    if filled.any():
        _append_filled(
            arrays, column[filled], lists.counts[filled], lists.prints, is_gap[filled], now_ms, min_sweep_usdt
        )


def open_runs(arrays: MarketArrays, column: IntArray) -> Runs:
    """Return the open runs of `column`, which take the place of lists; notional NaN where none is open."""
    first, second, third, last = arrays.open_price[:, column]
    return Runs(
        column,
        arrays.open_ms[0, column],
        arrays.open_ms[-1, column],
        first,
        second,
        third,
        last,
        arrays.open_notional[column],
        np.isfinite(arrays.open_notional[column]),
    )


def _append_filled(
    arrays: MarketArrays,
    column: IntArray,
    counts: IntArray,
    prints: FloatArray,
    is_gap: BoolArray,
    now_ms: int,
    min_sweep_usdt: float,
) -> None:
    # Each list is preceded by the prints that represent its open run, which have quantity 0.
    is_open = np.isfinite(arrays.open_notional[column])
    ahead = OPEN_PRINTS * is_open
    end = np.cumsum(counts + ahead)
    start = end - counts - ahead
    joined = np.empty((4, int(end[-1])))
    represents = np.zeros(joined.shape[1], dtype=bool)
    represents[(start[is_open, None] + np.arange(OPEN_PRINTS)).ravel()] = True
    joined[:, represents] = _open_prints(arrays, column[is_open])
    joined[:, ~represents] = prints
    time_ms, price, quantity, is_sell = joined
    arrays.covered_from_ms[column[is_gap]] = time_ms[start + ahead][is_gap]
    arrays.print_ms[column] = np.maximum(arrays.print_ms[column], time_ms[end - 1])

    notional = price * quantity
    _add_to_seconds(arrays, column, start, np.floor(time_ms / 1000), notional, notional * is_sell, last_second(now_ms))
    notional[start[is_open]] = arrays.open_notional[column[is_open]]
    _store_runs(arrays, column, find_runs(start, time_ms, price, notional, is_sell > 0, min_sweep_usdt))


def _open_prints(arrays: MarketArrays, column: IntArray) -> FloatArray:
    # What represents the open runs, one behind the other: (4, m * OPEN_PRINTS).
    prints = np.zeros((4, len(column), OPEN_PRINTS))
    prints[0], prints[1], prints[3] = arrays.open_ms.T[column], arrays.open_price.T[column], 1.0
    return prints.reshape(4, -1)


def _as_array(columns: Columns, count: int) -> IntArray:
    return np.arange(columns.start, columns.start + count) if isinstance(columns, slice) else columns


def _add_to_seconds(
    arrays: MarketArrays,
    column: IntArray,
    list_start: IntArray,
    second: FloatArray,
    notional: FloatArray,
    sold: FloatArray,
    last_s: int,
) -> None:
    begins = np.ones(len(second), dtype=bool)
    begins[1:] = second[1:] != second[:-1]
    begins[list_start] = True
    start = np.flatnonzero(begins)
    traded, sold = np.add.reduceat(notional, start), np.add.reduceat(sold, start)
    size = len(arrays.traded_at)
    fits = (second[start] > last_s - size) & (second[start] <= last_s)
    start = start[fits]
    at = column[np.searchsorted(list_start, start, side="right") - 1]
    cell = second_row(second[start].astype(np.int64), size), at
    arrays.traded_at[cell] += traded[fits]
    arrays.taker_sold_at[cell] += sold[fits]


def _store_runs(arrays: MarketArrays, column: IntArray, runs: Runs) -> None:
    arrays.open_notional[column] = np.nan
    still_open = runs.take(runs.is_open)
    at = column[still_open.list_index]
    arrays.open_notional[at] = still_open.notional
    arrays.open_ms[:, at] = [still_open.start_ms, *[still_open.end_ms] * (OPEN_PRINTS - 1)]
    arrays.open_price[:, at] = [
        still_open.first_price,
        still_open.second_price,
        still_open.third_price,
        still_open.last_price,
    ]
    closed = runs.take(~runs.is_open)
    _keep_runs(arrays, closed._replace(list_index=column[closed.list_index]))


def _close_runs(arrays: MarketArrays, column: IntArray, min_sweep_usdt: float) -> None:
    runs = open_runs(arrays, column)
    _keep_runs(arrays, runs.take(runs.can_be_sweeps(min_sweep_usdt)))
    arrays.open_notional[column] = np.nan


def _keep_runs(arrays: MarketArrays, runs: Runs) -> None:
    # `runs.list_index` are columns here; those of one column are neighbours.
    column = runs.list_index
    if not len(column):
        return
    begins = np.append(True, column[1:] != column[:-1])
    start, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    place = np.arange(len(column)) - start[group]
    touched = column[start]
    end_ms = np.zeros((place.max() + 1, len(touched)))
    notional = np.zeros_like(end_ms)
    end_ms[place, group], notional[place, group] = runs.end_ms, runs.notional
    arrays.run_end_ms[:, touched], arrays.run_notional[:, touched] = keep_runs(
        np.concatenate([arrays.run_end_ms[:, touched], end_ms]),
        np.concatenate([arrays.run_notional[:, touched], notional]),
    )
