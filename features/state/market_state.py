"""The market over time: what has been observed of every instrument, in preallocated arrays of constant size."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.candle_settings import CandleSettings
from features.facts.instruments import Instruments
from features.facts.market import (
    BTC,
    FUTURE_MS,
    Candles,
    FloatArray,
    Instrument,
    IntArray,
    Observation,
    OpenInterest,
    OrderBook,
    Prints,
    Quotes,
    Trades,
)
from features.settings import FeatureSettings
from features.state.arrays import MarketArrays
from features.state.books import append_books
from features.state.candle_store import CandleStore
from features.state.candles import append_candles
from features.state.columns import ColumnIndex
from features.state.prints import append_lists, lists_of_prints, lists_of_trades, open_runs
from features.state.quotes import append_open_interest, append_quotes, fill_row
from features.state.ring import CLEARED_S, LEAD_S, TickRing, opened_seconds, second_rows

MINUTE_S = 60


class MarketState(MarketArrays):
    """Everything the features need of the past; see `features.state.arrays.STATE` for the arrays.

    Each tick opens one row of the (tick, instrument) arrays, which then takes what arrives until the tick has decided.
    A cell is the value known at that tick, so it repeats the last one while that is fresh and is NaN after.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: FeatureSettings,
        candle_settings: CandleSettings | None = None,
    ) -> None:
        self.instruments = Instruments(instruments)
        #: None: nobody needs them
        self.candles = None if candle_settings is None else CandleStore(self.instruments.tick_size, candle_settings)
        self.settings = settings
        self.index = ColumnIndex(self.instruments)
        self.column = self.index.by_key
        self.btc_columns = np.flatnonzero([one.coin == BTC for one in self.instruments])
        self.ring = TickRing(_ticks_needed(settings))
        self._is_closed = False  # the open row takes no more
        seconds = math.ceil(max(settings.sweep_baseline_s, settings.flow_window_s)) + LEAD_S + CLEARED_S + 1
        self.allocate(len(self.instruments), len(self.tick_ms), seconds)

    def with_instruments(self, instruments: Sequence[Instrument]) -> "MarketState":
        """Return the same market for another universe: what both hold is carried over."""
        state = MarketState(instruments, self.settings, None if self.candles is None else self.candles.settings)
        kept = [key for key in state.column if key in self.column]
        there = np.array([self.column[key] for key in kept], dtype=np.int64)
        here = np.array([state.column[key] for key in kept], dtype=np.int64)
        state.copy_columns(self, there, here)
        if state.candles is not None and self.candles is not None:
            state.candles.copy_columns(self.candles, there, here)
        state.ring.restore(self.tick_ms.copy(), self.ring.count)
        state._is_closed = self._is_closed
        return state

    @property
    def tick_ms(self) -> IntArray:
        """The time of the tick in each row [epoch ms]."""
        return self.ring.tick_ms

    @property
    def ticks(self) -> int:
        """How many ticks have been opened so far."""
        return self.ring.count

    @property
    def row(self) -> int:
        """The open row."""
        return self.ring.row

    def rows(self, from_ms: float, to_ms: float) -> IntArray:
        """Return the rows of the ticks in [from, to], oldest first."""
        return self.ring.rows(from_ms, to_ms)

    def rows_as_of(self, times_ms: NDArray[Any]) -> IntArray:
        """Return the row of the newest tick at or before each of k times, (k,), -1 where none is near."""
        settings = self.settings
        tolerance_ms = 1000 * max(settings.max_data_age_s, 1.5 * settings.refresh_interval_s)
        return self.ring.rows_as_of(times_ms, tolerance_ms)

    def prices_as_of(self, times_ms: NDArray[Any]) -> FloatArray:
        """Return P [USDT], (k, n), of the newest tick at or before each of k times, NaN where none is near."""
        rows = self.rows_as_of(times_ms)
        prices = self.price_at[rows]
        prices[rows < 0] = np.nan
        return prices

    def second_rows(self, last_s: int, count: int) -> IntArray:
        """Return the rows of the `count` epoch seconds that end with `last_s`."""
        return second_rows(len(self.traded_at), last_s, count)

    def open_past(self, now_ms: int) -> None:
        """Before the tick at `now_ms`, open rows for those that would have been, for histories to be written into.

        That is the whole past before the first tick, and after a restart what was missed since the last one.
        """
        self._forget_the_future(now_ms)
        size = len(self.tick_ms)
        if not self.ring.count:
            back_s = self.settings.refresh_interval_s * np.arange(size - 1, 0, -1)
            self.ring.open_all(now_ms - np.rint(1000 * back_s).astype(np.int64))
            return
        step_ms = round(1000 * self.settings.refresh_interval_s)
        missed = min((now_ms - self.ring.open_ms) // step_ms, size) - 1
        for back in range(missed, 0, -1):
            self.advance(now_ms - back * step_ms)

    def advance(self, now_ms: int) -> None:
        """Open the row of the tick at `now_ms`.

        A tick no later than the open one leaves that open; one that is far earlier, because the clock was set back,
        begins the market anew.
        """
        self._forget_the_future(now_ms)
        before_ms = self.ring.open_ms
        if now_ms <= before_ms:
            return
        self.ring.open(now_ms)
        fill_row(self, self.ring, self.settings)
        if not self._is_closed:
            self.bid_depth_at[self.row] = np.nan
        self._is_closed = False
        for opened in opened_seconds(len(self.traded_at), before_ms, now_ms):
            self.traded_at[opened] = 0.0
            self.taker_sold_at[opened] = 0.0

    def append(self, observations: Iterable[Observation]) -> None:
        """Write into the open row; of instruments that are not in the universe only the id is kept.

        What comes from the future is left out, so that it holds up nothing that comes later.

        Raises
        ------
        ValueError
            Before the first tick.
        """
        if not self.ring.count:
            raise ValueError("the market was not advanced to any tick before append")
        # the open tick can see nothing later: a tick is shorter
        latest_ms = float(self.ring.open_ms) + 1000 * max(LEAD_S, self.settings.refresh_interval_s)
        believed = [one for one in observations if not self._leave_out(one, latest_ms)]
        for observation in believed:
            self._append_at_once(observation, latest_ms)
        row = self.ring.next_row if self._is_closed else self.row
        for where, books in self.index.batches([one for one in believed if isinstance(one, OrderBook)]):
            append_books(self, self.ring, self.settings, where, books, row)
        self._append_flow([one for one in believed if isinstance(one, Trades | Prints)])
        if not self._is_closed:
            fill_row(self, self.ring, self.settings)
        if self.candles is not None:
            self._append_traded_candles(self.candles, [one for one in believed if isinstance(one, Candles)])

    def close_row(self) -> None:
        """End the open row: the tick has decided, and what comes before the next one is later than the row says.

        The depth of a book that comes then waits in the next row.
        """
        self._is_closed = True
        self.bid_depth_at[self.ring.next_row] = np.nan

    def newest_sweeps_ms(self) -> FloatArray:
        """Return the last print of each instrument's newest run that can be a sweep [epoch ms], (n,), 0 where none."""
        kept = np.where(self.run_notional > 0, self.run_end_ms, 0.0).max(axis=0)
        unfinished = np.flatnonzero(self.open_notional >= self.settings.min_sweep_usdt)
        runs = open_runs(self, unfinished)
        can_be = runs.can_be_sweeps(self.settings.min_sweep_usdt)
        kept[unfinished[can_be]] = runs.end_ms[can_be]  # a run that is open is later than those that have ended
        return np.asarray(kept)

    def _append_flow(self, flow: Sequence[Trades | Prints]) -> None:
        """Write prints in the order of their arrival, of replies many at a time."""
        now_ms, min_usdt = self.ring.open_ms, self.settings.min_sweep_usdt
        for kind, group in groupby(flow, type):
            if kind is Trades:
                for where, replies in self.index.batches([one for one in group if isinstance(one, Trades)]):
                    append_lists(self, lists_of_trades(where, replies), now_ms, min_usdt)
                continue
            for prints in group:
                if isinstance(prints, Prints):
                    columns, known = self.index.find_once(prints.venue, prints.symbols)
                    append_lists(self, lists_of_prints(columns, known, prints), now_ms, min_usdt)

    def _append_traded_candles(self, store: CandleStore, replies: Sequence[Candles]) -> None:
        found = [(self.column.get((one.venue, one.id)), one) for one in replies if one.interval_s > MINUTE_S]
        known = [(column, one) for column, one in found if column is not None]
        if known:
            store.append([column for column, _ in known], [one for _, one in known])

    def _append_at_once(self, observation: Observation, latest_ms: float) -> None:
        """Write what comes one by one; books and trades are written many at a time."""
        if isinstance(observation, Quotes):
            columns, known = self.index.find_all(observation.venue, observation.ids)
            append_quotes(self, columns, known, observation, latest_ms)
        elif isinstance(observation, Candles | OpenInterest):
            column = self.index.find(observation.venue, observation.id)
            if column is None:
                return
            if isinstance(observation, Candles):
                if observation.interval_s > MINUTE_S:
                    return  # many at a time, by `append`
                append_candles(self, self.ring, self.settings, column, observation)
            else:
                append_open_interest(self, self.ring, self.settings, column, observation)

    def _leave_out(self, observation: Observation, latest_ms: float) -> bool:
        """Return whether an observation is from the future; the next trades then follow on a gap."""
        if isinstance(observation, Quotes | Candles):
            return False
        if isinstance(observation, Prints):
            if observation.read_ms <= latest_ms:
                return False
            self.trades_ms[self.index.find_once(observation.venue, observation.symbols)[0]] = 0
            return True
        if observation.exchange_ms <= latest_ms:
            return False
        column = self.column.get((observation.venue, observation.id))
        if isinstance(observation, Trades) and column is not None:
            self.trades_ms[column] = 0
        return True

    def _forget_the_future(self, now_ms: int) -> None:
        # What was kept by a clock that was ahead would hold up whatever is new until the clock has caught up.
        if now_ms < self.ring.open_ms - FUTURE_MS:
            self.ring.clear()
            self.allocate(len(self.instruments), len(self.tick_ms), len(self.traded_at))


def _ticks_needed(settings: FeatureSettings) -> int:
    longest_s = max(settings.history_s, settings.book_window_s)
    spare = 4  # the open row, and the tolerance of a lookup at the far end
    return math.ceil((longest_s + settings.max_data_age_s) / settings.refresh_interval_s) + spare
