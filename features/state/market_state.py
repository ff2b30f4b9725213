"""The market over time: what has been observed of every instrument, in preallocated arrays of constant size."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.facts.instruments import Instruments
from features.facts.market import (
    BTC,
    FUTURE_MS,
    BoolArray,
    Candles,
    FloatArray,
    Instrument,
    IntArray,
    Observation,
    OpenInterest,
    OrderBook,
    Quotes,
    Trades,
)
from features.phenomena.derivatives import funding_rate_8h
from features.phenomena.order_book import BANDS, WALL_APART, measure_books, usual_depth, widest
from features.phenomena.price import mid_price
from features.phenomena.trade_flow import Runs, find_runs, keep_runs
from features.settings import FeatureSettings
from features.state.arrays import OPEN_PRINTS, MarketArrays

MINUTE_MS = 60_000
KEPT_REPLIES = 32  #: lists of ids whose columns are remembered; venues send a few each
LEAD_S = 60  #: seconds of prints that fit after the tick's time: a tick and a clock's error are shorter
CLEARED_S = 60  #: seconds are emptied so many at a time: it costs little more than one

Record = TypeVar("Record", OrderBook, Trades, OpenInterest)
Columns: TypeAlias = IntArray | slice  #: each at most once


class MarketState(MarketArrays):
    """Everything the features need of the past; see `features.arrays.STATE` for the arrays.

    Each tick opens one row of the (tick, instrument) arrays, which then takes what arrives. A cell is the value known
    at that tick, so it repeats the last one while that is fresh and is NaN after.
    """

    def __init__(self, instruments: Sequence[Instrument], settings: FeatureSettings) -> None:
        self.instruments = Instruments(instruments)
        self.column = {instrument.key: column for column, instrument in enumerate(self.instruments)}
        self.settings = settings
        self.unknown_ids: set[tuple[str, str]] = set()
        self.btc_columns = np.flatnonzero([one.coin == BTC for one in self.instruments])
        self._column_by_venue: dict[str, dict[str, int]] = {}
        for (venue, identity), column in self.column.items():
            self._column_by_venue.setdefault(venue, {})[identity] = column
        self._columns_of_reply: dict[tuple[str, tuple[str, ...]], tuple[Columns, Columns]] = {}
        self.tick_ms = np.zeros(_ticks_needed(settings), dtype=np.int64)
        self._ticks = 0  # opened so far
        self._order = np.zeros(0, dtype=np.int64)  # the rows that hold a tick, oldest first
        seconds = math.ceil(max(settings.sweep_baseline_s, settings.flow_window_s)) + LEAD_S + CLEARED_S + 1
        self.allocate(len(self.instruments), len(self.tick_ms), seconds)

    def with_instruments(self, instruments: Sequence[Instrument]) -> "MarketState":
        """Return the same market for another universe: what both hold is carried over."""
        state = MarketState(instruments, self.settings)
        kept = [key for key in state.column if key in self.column]
        there = np.array([self.column[key] for key in kept], dtype=np.int64)
        state.copy_columns(self, there, np.array([state.column[key] for key in kept], dtype=np.int64))
        state.resume(self.tick_ms.copy(), self.ticks)
        return state

    @property
    def ticks(self) -> int:
        """How many ticks have been opened so far."""
        return self._ticks

    def resume(self, tick_ms: IntArray, ticks: int) -> None:
        """Go on with a ring of ticks in which `ticks` have been opened so far; the arrays are the caller's to fill."""
        self.tick_ms, self._ticks = tick_ms, ticks
        kept = min(ticks, len(tick_ms))
        self._order = np.arange(ticks - kept, ticks) % len(tick_ms)

    @property
    def row(self) -> int:
        """The open row."""
        return (self._ticks - 1) % len(self.tick_ms)

    def rows(self, from_ms: float, to_ms: float) -> IntArray:
        """Return the rows of the ticks in [from, to], oldest first: the only place that knows of the wrap-around."""
        times = self.tick_ms[self._order]
        return self._order[np.searchsorted(times, from_ms) : np.searchsorted(times, to_ms, side="right")]

    def prices_as_of(self, times_ms: NDArray[Any]) -> FloatArray:
        """Return P [USDT], (k, n), of the newest tick at or before each of k times, NaN where none is near."""
        rows = self.rows_as_of(times_ms)
        prices = self.price_at[rows]
        prices[rows < 0] = np.nan
        return prices

    def rows_as_of(self, times_ms: NDArray[Any]) -> IntArray:
        """Return the row of the newest tick at or before each of k times, (k,), -1 where none is near."""
        if not self._ticks:
            return np.full(len(times_ms), -1)
        settings = self.settings
        tolerance_ms = 1000 * max(settings.max_data_age_s, 1.5 * settings.refresh_interval_s)
        ticks_ms = self.tick_ms[self._order]
        place = np.searchsorted(ticks_ms, times_ms, side="right") - 1
        return np.where((place >= 0) & (ticks_ms[place] >= times_ms - tolerance_ms), self._order[place], -1)

    def rings(self, array: FloatArray, column: IntArray, rows: IntArray, empty: float) -> FloatArray:
        """Return some instruments' rings, (len(column), the ring's rows), with `empty` in all but `rows`.

        Whole rings are read in one go, `array` being kept instrument by instrument; windows care for no order.
        """
        rings = array.T[column]
        outside = np.ones(len(array), dtype=bool)
        outside[rows] = False
        rings[..., outside] = empty
        return rings

    def second_rows(self, last_s: int, count: int) -> IntArray:
        """Return the rows of the `count` epoch seconds that end with `last_s`."""
        return np.arange(last_s - count + 1, last_s + 1) % len(self.traded_at)

    def open_past(self, now_ms: int) -> None:
        """Before the tick at `now_ms`, open rows for those that would have been, for histories to be written into.

        That is the whole past before the first tick, and after a restart what was missed since the last one.
        """
        self._forget_the_future(now_ms)
        if not self._ticks:
            self._ticks = len(self.tick_ms) - 1
            self._order = np.arange(self._ticks)
            back_s = self.settings.refresh_interval_s * np.arange(self._ticks, 0, -1)
            self.tick_ms[: self._ticks] = now_ms - np.rint(1000 * back_s).astype(np.int64)
            return
        step_ms = round(1000 * self.settings.refresh_interval_s)
        missed = min((now_ms - int(self.tick_ms[self.row])) // step_ms, len(self.tick_ms)) - 1
        for back in range(missed, 0, -1):
            self.advance(now_ms - back * step_ms)

    def advance(self, now_ms: int) -> None:
        """Open the row of the tick at `now_ms`.

        A tick no later than the open one leaves that open; one that is far earlier, because the clock was set back,
        begins the market anew.
        """
        self._forget_the_future(now_ms)
        before_ms = int(self.tick_ms[self.row]) if self._ticks else 0
        if now_ms <= before_ms:
            return
        self._ticks += 1
        kept = min(self._ticks, len(self.tick_ms))
        self._order = np.arange(self._ticks - kept, self._ticks) % len(self.tick_ms)
        self.tick_ms[self.row] = now_ms
        self._fill_row()
        self.bid_depth_at[self.row] = np.nan
        last_s = _last_second(now_ms)
        new_seconds = min(last_s - _last_second(before_ms), len(self.traded_at))
        for opened in stretches(self.second_rows(last_s, new_seconds)):
            self.traded_at[opened] = 0.0
            self.taker_sold_at[opened] = 0.0

    def _forget_the_future(self, now_ms: int) -> None:
        # What was kept by a clock that was ahead would hold up whatever is new until the clock has caught up.
        if self._ticks and now_ms < self.tick_ms[self.row] - FUTURE_MS:
            self.tick_ms[:] = 0
            self.allocate(len(self.instruments), len(self.tick_ms), len(self.traded_at))
            self.resume(self.tick_ms, 0)

    @property
    def _latest_ms(self) -> float:
        # What the open tick can see is no later: a tick is shorter.
        return float(self.tick_ms[self.row]) + 1000 * max(LEAD_S, self.settings.refresh_interval_s)

    def append(self, observations: Iterable[Observation]) -> None:
        """Write into the open row; of instruments that are not in the universe only the id is kept.

        What comes from the future is left out, so that it holds up nothing that comes later.

        Raises
        ------
        ValueError
            Before the first tick.
        """
        if not self._ticks:
            raise ValueError("the market was not advanced to any tick before append")
        books: list[OrderBook] = []
        trades: list[Trades] = []
        latest_ms = self._latest_ms
        for observation in observations:
            if not isinstance(observation, (Quotes, Candles)) and observation.exchange_ms > latest_ms:
                self._leave_out(observation)
                continue
            match observation:
                case OrderBook():
                    books.append(observation)
                case Trades():
                    trades.append(observation)
                case Quotes():
                    self._append_quotes(observation)
                case OpenInterest():
                    self._append_open_interest(observation)
                case Candles():
                    self._append_candles(observation)
        for columns, batch in self._batches(books):
            self._append_books(columns, batch)
        for columns, lists in self._batches(trades):
            self._append_trades(columns, lists)
        self._fill_row()

    def _fill_row(self) -> None:
        now_ms, settings = self.tick_ms[self.row], self.settings
        for cells, latest, time_ms, max_age_s in (
            (self.price_at, self.price, self.price_ms, settings.max_data_age_s),
            (self.open_interest_at, self.open_interest, self.open_interest_ms, settings.max_oi_age_s),
            (self.funding_8h_at, self.funding_8h, self.funding_ms, settings.max_funding_age_s),
        ):
            cells[self.row] = np.where(now_ms - time_ms <= max_age_s * 1000, latest, np.nan)

    def _batches(self, records: Sequence[Record]) -> Iterator[tuple[IntArray, list[Record]]]:
        # Each batch holds an instrument at most once, in the order of arrival: usually there is one batch.
        waiting = [(self.column.get((record.venue, record.id), -1), record) for record in records]
        while waiting:
            batch = dict(reversed(waiting))  # of each instrument the first
            waiting = [one for one in waiting if batch[one[0]] is not one[1]] if len(batch) < len(waiting) else []
            if unknown := batch.pop(-1, None):
                self.unknown_ids.add((unknown.venue, unknown.id))
            if batch:
                yield np.array(list(batch), dtype=np.int64), list(batch.values())

    def _append_quotes(self, quotes: Quotes) -> None:
        column, known = self._find_columns(quotes.venue, quotes.ids)
        time_ms = quotes.exchange_ms[known]
        time_ms = np.where(time_ms > self._latest_ms, 0, time_ms)
        if quotes.bid_price is not None and quotes.ask_price is not None:
            self._note_quotes(column, quotes.bid_price[known], quotes.ask_price[known], time_ms)
        if quotes.mark_price is not None:
            mark = quotes.mark_price[known]
            _keep_newer(self.mark_price, self.mark_ms, column, mark, time_ms)
            has_quotes = self.has_bulk_quotes[column]
            if not has_quotes.all():
                self._note_price(column, np.where(has_quotes, np.nan, mark), time_ms)
        if quotes.index_price is not None:
            index = np.where(quotes.index_price[known] > 0, quotes.index_price[known], np.nan)
            _keep_newer(self.index_price, self.index_ms, column, index, time_ms)
        if quotes.funding_interval_h is not None:
            interval_h = quotes.funding_interval_h[known]
            _put(self.funding_interval_h, column, interval_h > 0, interval_h)
        if quotes.next_funding_ms is not None:
            next_ms = quotes.next_funding_ms[known]
            _put(self.next_funding_ms, column, next_ms > 0, next_ms)
        if quotes.funding_rate is not None:
            rate = quotes.funding_rate[known]
            newer = _keep_newer(self.funding_rate, self.funding_ms, column, rate, time_ms)
            _put(self.funding_8h, column, newer, funding_rate_8h(rate, self.funding_interval_h[column]))
        if quotes.open_interest_base is not None:
            newer = _keep_newer(
                self.open_interest, self.open_interest_ms, column, quotes.open_interest_base[known], time_ms
            )
            self.open_interest_is_live[column] |= newer
        if quotes.volume_base_24h is not None and quotes.volume_usdt_24h is not None:
            base, usdt = quotes.volume_base_24h[known], quotes.volume_usdt_24h[known]
            both = np.where(np.isfinite(usdt), base, np.nan)
            newer = _keep_newer(self.volume_base, self.volume_ms, column, both, time_ms)
            _put(self.volume_usdt, column, newer, usdt)

    def _leave_out(self, observation: OrderBook | Trades | OpenInterest) -> None:
        column = self.column.get((observation.venue, observation.id))
        if isinstance(observation, Trades) and column is not None:
            self.trades_ms[column] = 0  # the next reply follows on a gap

    def _find_columns(self, venue: str, ids: tuple[str, ...]) -> tuple[Columns, Columns]:
        # The columns, ascending, and which of the ids they are: a venue lists the same ids for hours, tick after tick.
        reply = venue, ids
        if reply not in self._columns_of_reply:
            columns = self._column_by_venue.get(venue, {})
            self.unknown_ids |= {(venue, identity) for identity in ids if identity not in columns}
            known = dict(sorted((columns[one], place) for place, one in enumerate(ids) if one in columns))
            if len(self._columns_of_reply) == KEPT_REPLIES:
                self._columns_of_reply.clear()
            self._columns_of_reply[reply] = _as_slice(list(known)), _as_slice(list(known.values()))
        return self._columns_of_reply[reply]

    def _note_quotes(self, column: Columns, bid: FloatArray, ask: FloatArray, time_ms: IntArray) -> None:
        mid = mid_price(bid, ask)
        is_first = np.isfinite(mid) & ~self.has_bulk_quotes[column]
        if is_first.any():  # what was kept of their mark price is another series
            first = np.arange(len(self.instruments))[column][is_first]
            self.has_bulk_quotes[first] = True
            self.price_at[:, first] = self.price[first] = np.nan
            self.price_ms[first] = 0
        self._note_price(column, mid, time_ms)
        self._note_best(column, bid, ask, time_ms)

    def _note_price(self, column: Columns, price: FloatArray, time_ms: IntArray) -> None:
        is_other = price != self.price[column]
        newer = _keep_newer(self.price, self.price_ms, column, price, time_ms)
        _put(self.price_moved_ms, column, newer & is_other, time_ms)

    def _note_best(self, column: Columns, bid: FloatArray, ask: FloatArray, time_ms: IntArray) -> None:
        both = (bid > 0) & (ask > 0)
        newer = _keep_newer(self.best_bid, self.best_ms, column, np.where(both, bid, np.nan), time_ms)
        _put(self.best_ask, column, newer, ask)

    def _append_open_interest(self, point: OpenInterest) -> None:
        column = self.column.get((point.venue, point.id))
        if column is None:
            self.unknown_ids.add((point.venue, point.id))
            return
        if point.exchange_ms >= self.open_interest_ms[column]:
            self.open_interest[column] = point.open_interest_base
            self.open_interest_ms[column] = point.exchange_ms
            self.open_interest_is_live[column] = point.is_live
        if not point.is_live:  # it comes late: ticks that did not know it learn it now
            rows = self.rows(point.exchange_ms, point.exchange_ms + self.settings.max_oi_age_s * 1000)
            lacking = rows[np.isnan(self.open_interest_at[rows, column])]
            self.open_interest_at[lacking, column] = point.open_interest_base

    def _append_candles(self, candles: Candles) -> None:
        """Let ticks of the past that know no price learn the one known next to them, at either end of a minute.

        They are candles of the mark price. The series is shifted by the ratio of P to the mark price of the same
        seconds, so that both ends of a return are of one kind: that ratio hardly moves within the windows. The last
        candle does not give it, which may be a minute older than P. Ticks inside a missing minute learn nothing.
        """
        column, settings = self.column.get((candles.venue, candles.id)), self.settings
        if column is None:
            self.unknown_ids.add((candles.venue, candles.id))
            return
        shortest_s = min(settings.momentum_window_s, settings.btc_window_s, settings.oi_window_s)
        oldest_ms = min(self.price_ms[column], self.mark_ms[column])
        is_fresh = candles.received_ms - oldest_ms <= 1000 * settings.max_data_age_s
        if shortest_s * 1000 < MINUTE_MS or not len(candles.open_ms) or not is_fresh:
            return  # half a minute too early or too late is too much for such a window
        close_ms = np.minimum(candles.open_ms + MINUTE_MS, candles.received_ms)
        time_ms, price = np.concatenate([close_ms, candles.open_ms]), np.concatenate([candles.close, candles.open])
        order = np.argsort(time_ms, kind="stable")
        time_ms, price = time_ms[order], price[order] * (self.price[column] / self.mark_price[column])
        rows = self.rows(time_ms[0], time_ms[-1])
        lacking = rows[np.isnan(self.price_at[rows, column])]
        nearest = np.searchsorted((time_ms[1:] + time_ms[:-1]) / 2, self.tick_ms[lacking])
        is_near = np.abs(self.tick_ms[lacking] - time_ms[nearest]) <= MINUTE_MS / 2
        self.price_at[lacking[is_near], column] = price[nearest[is_near]]

    def _append_books(self, column: IntArray, books: list[OrderBook]) -> None:
        time_ms = np.array([book.exchange_ms for book in books], dtype=np.int64)
        newer = time_ms > self.book_ms[column]
        if not newer.all():
            books = [book for book, is_newer in zip(books, newer, strict=True) if is_newer]
            column, time_ms = column[newer], time_ms[newer]
        if not books:
            return
        measures = measure_books(books, self.settings.book_band_percent)
        self._remember_wall(column, time_ms)
        changed = measures.notional != self.book_notional[column]
        self.book_changed_ms[column[changed]] = time_ms[changed]
        self.book_ms[column] = time_ms
        self.book_is_crossed[column] = measures.best_bid >= measures.best_ask
        self.book_notional[column] = measures.notional
        self.book_reach[column] = measures.reach
        self.bid_depth_at[self.row][:, column] = measures.bid_depth
        self.band[column], self.usual_bid_depth[column] = self._usual_depth(column, measures.bid_depth)
        place = self.band[column], np.arange(len(column))
        self.bid_depth[column] = measures.bid_depth[place]
        self.ask_depth[column] = measures.ask_depth[place]
        self.sellable[column] = measures.sellable
        self.buyable[column] = measures.buyable
        self.wall_ratio[column] = measures.wall_ratio
        self.wall_price[column] = measures.wall_price
        self.wall_notional[column] = measures.wall_notional
        self.microprice_tilt_bps[column] = measures.microprice_tilt_bps
        self._note_best(column, measures.best_bid, measures.best_ask, time_ms)

    def _remember_wall(self, column: IntArray, time_ms: IntArray) -> None:
        """Before newer books come at `time_ms`, keep what the last ones showed to be compared with them.

        The book to compare with is at least `WALL_APART` older. Where books come faster than that, one in between
        waits to take its place, so that it is never much older either.
        """
        apart_ms = 1000 * WALL_APART * self.settings.max_data_age_s
        last_is_apart = time_ms - self.book_ms[column] >= apart_ms
        next_is_apart = ~last_is_apart & (time_ms - self.next_book_ms[column] >= apart_ms)
        waits = next_is_apart & (self.next_book_ms[column] > 0)
        for name in ("book_ms", "wall_ratio", "wall_price"):
            last, following, previous = (getattr(self, prefix + name) for prefix in ("", "next_", "previous_"))
            _put(previous, column, waits, following[column])
            _put(previous, column, last_is_apart, last[column])
            _put(following, column, last_is_apart | next_is_apart, last[column])

    def _usual_depth(self, column: IntArray, bid_depth: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the band in which each book is compared, and the usual bid depth there, NaN where it has none yet.

        It is the widest that the book and its baseline both have; without a baseline the widest that the book has.
        """
        now_ms, window_s = self.tick_ms[self.row], self.settings.book_window_s
        rows = self.rows(now_ms - 1000 * window_s, now_ms - 1000 * window_s / 60)
        band, usual = widest(np.isfinite(bid_depth)), np.full(len(column), np.nan)
        for row in range(len(BANDS) - 1, -1, -1):
            open_places = np.flatnonzero(np.isfinite(bid_depth[row]) & np.isnan(usual))
            if not len(open_places):
                continue
            depth = self.rings(self.bid_depth_at[:, row], column[open_places], rows, np.inf)
            found = usual_depth(depth, rows, self.tick_ms, window_s / 15)
            usual[open_places] = found
            band[open_places[np.isfinite(found)]] = row
        return band, usual

    def _append_trades(self, column: IntArray, lists: list[Trades]) -> None:
        reply_ms = np.array([trades.exchange_ms for trades in lists])
        is_gap = np.array([not trades.continues for trades in lists]) | (self.trades_ms[column] == 0)
        self.covered_from_ms[column[is_gap]] = reply_ms[is_gap]
        self.trades_ms[column] = np.maximum(self.trades_ms[column], reply_ms)
        self._close_runs(column[is_gap])
        counts = np.array([trades.prints.shape[1] for trades in lists])
        if has_prints := np.flatnonzero(counts).tolist():
            lists = [lists[place] for place in has_prints]
            self._append_prints(column[has_prints], lists, counts[has_prints], is_gap[has_prints])

    def _append_prints(self, column: IntArray, lists: list[Trades], counts: IntArray, is_gap: BoolArray) -> None:
        # Ahead of a list stand the few prints of its open run, which are of no size.
        is_open = np.isfinite(self.open_notional[column])
        open_prints = iter(self._open_prints(column[is_open]))
        blocks: list[FloatArray] = []
        for trades, has_open in zip(lists, is_open.tolist(), strict=True):
            if has_open:
                blocks.append(next(open_prints))
            blocks.append(trades.prints)
        time_ms, price, quantity, is_sell = np.concatenate(blocks, axis=1)
        ahead = OPEN_PRINTS * is_open
        end = np.cumsum(counts + ahead)
        start = end - counts - ahead
        self.covered_from_ms[column[is_gap]] = time_ms[start + ahead][is_gap]
        self.print_ms[column] = np.maximum(self.print_ms[column], time_ms[end - 1])

        notional = price * quantity
        self._add_to_seconds(column, start, np.floor(time_ms / 1000), notional, notional * is_sell)
        notional[start[is_open]] = self.open_notional[column[is_open]]
        self._follow_runs(column, find_runs(start, time_ms, price, notional, is_sell > 0, self.settings.min_sweep_usdt))

    def _open_prints(self, column: IntArray) -> FloatArray:
        # What stands for the open runs, each as a list would bring it: (m, 4, OPEN_PRINTS).
        prints = np.zeros((4, len(column), OPEN_PRINTS))
        prints[0], prints[1], prints[3] = self.open_ms.T[column], self.open_price.T[column], 1.0
        return prints.swapaxes(0, 1)

    def _add_to_seconds(
        self, column: IntArray, list_start: IntArray, second: FloatArray, notional: FloatArray, sold: FloatArray
    ) -> None:
        begins = np.ones(len(second), dtype=bool)
        begins[1:] = second[1:] != second[:-1]
        begins[list_start] = True
        start = np.flatnonzero(begins)
        traded, sold = np.add.reduceat(notional, start), np.add.reduceat(sold, start)
        last_s = _last_second(int(self.tick_ms[self.row]))
        fits = (second[start] > last_s - len(self.traded_at)) & (second[start] <= last_s)
        start = start[fits]
        at = column[np.searchsorted(list_start, start, side="right") - 1]
        cell = second[start].astype(np.int64) % len(self.traded_at), at
        self.traded_at[cell] += traded[fits]
        self.taker_sold_at[cell] += sold[fits]

    def _follow_runs(self, column: IntArray, runs: Runs) -> None:
        self.open_notional[column] = np.nan
        still_open = runs.take(runs.is_open)
        at = column[still_open.list_index]
        self.open_notional[at] = still_open.notional
        self.open_ms[:, at] = [still_open.start_ms, *[still_open.end_ms] * (OPEN_PRINTS - 1)]
        self.open_price[:, at] = [
            still_open.first_price,
            still_open.second_price,
            still_open.third_price,
            still_open.last_price,
        ]
        closed = runs.take(~runs.is_open)
        self._keep_runs(closed._replace(list_index=column[closed.list_index]))

    def open_runs(self, column: IntArray) -> Runs:
        """Return the open runs of `column`, which take the place of lists; notional NaN where none is open."""
        first, second, third, last = self.open_price[:, column]
        return Runs(
            column,
            self.open_ms[0, column],
            self.open_ms[-1, column],
            first,
            second,
            third,
            last,
            self.open_notional[column],
            np.isfinite(self.open_notional[column]),
        )

    def _close_runs(self, column: IntArray) -> None:
        runs = self.open_runs(column)
        self._keep_runs(runs.take(runs.can_be_sweeps(self.settings.min_sweep_usdt)))
        self.open_notional[column] = np.nan

    def _keep_runs(self, runs: Runs) -> None:
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
        self.run_end_ms[:, touched], self.run_notional[:, touched] = keep_runs(
            np.concatenate([self.run_end_ms[:, touched], end_ms]),
            np.concatenate([self.run_notional[:, touched], notional]),
        )


def stretches(rows: IntArray) -> list[slice]:
    """Return rows of a ring, which run up and round at most once, as one slice or two."""
    parts = np.split(rows, np.flatnonzero(rows[1:] < rows[:-1]) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0) for part in parts]


def _last_second(now_ms: int) -> int:
    # The last that is ready for prints: a whole number of `CLEARED_S`, so that it moves on only once in a while.
    return ((now_ms // 1000 + LEAD_S) // CLEARED_S + 1) * CLEARED_S


def _as_slice(places: list[int]) -> Columns:
    # Neighbours are read and written several times faster as a slice.
    first = places[0] if places else 0
    run = range(first, first + len(places))
    return slice(run.start, run.stop) if places == list(run) else np.array(places, dtype=np.int64)


def _keep_newer(
    latest: FloatArray, latest_ms: IntArray, column: Columns, values: FloatArray, time_ms: IntArray
) -> BoolArray:
    # Write the values that are there and not older than what we have; return which.
    newer = np.isfinite(values) & (time_ms >= latest_ms[column])
    _put(latest, column, newer, values)
    _put(latest_ms, column, newer, time_ms)
    return newer


def _put(array: NDArray[Any], column: Columns, chosen: BoolArray, values: NDArray[Any]) -> None:
    array[column] = np.where(chosen, values, array[column])


def _ticks_needed(settings: FeatureSettings) -> int:
    longest_s = max(settings.history_s, settings.book_window_s)
    spare = 4  # the open row, and the tolerance of a lookup at the far end
    return math.ceil((longest_s + settings.max_data_age_s) / settings.refresh_interval_s) + spare
