"""The simulated market: what every venue would say at any time, a pure function of (seed, scenario, time).

Venues differ here only in what they list; how they say it is the wire modules' part. Everything moves in steps of
STEP_MS, so that bulk replies, books and prints of one moment agree. Quantities are in base coin.
"""

from dataclasses import dataclass

import numpy as np

from features.market import FloatArray, IntArray
from fetchers.simulated import books
from fetchers.simulated.books import ASK, BID, Book
from fetchers.simulated.coins import VENUES, Kind, Row, build_catalogue
from fetchers.simulated.noise import drift, keys_of, uniform
from fetchers.simulated.path import Paths
from fetchers.simulated.prints import Prints, Tape, ordinary_tape, prints_per_s, recorded_tape, sweep_tape
from fetchers.simulated.recordings import Recording, load_recordings
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.setups import BookShape, Setup

STEP_MS = 250
MINUTE_MS = 60_000
MAX_LEVELS = 200
_SUSPENDED_AT_S = -864_000.0  # ten days before the start: where a suspended row's prices stopped
_FIRST_NUMBER = 10**12  # so that numbers before the start are positive as well
_MAX_LOOKBACK_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a venue's bulk calls say, (n,) over its rows; prices in USDT per base, quantities in base coin."""

    time_ms: int
    sequence: int
    bid_price: FloatArray
    ask_price: FloatArray
    bid_quantity: FloatArray
    ask_quantity: FloatArray
    last_price: FloatArray
    mark_price: FloatArray
    index_price: FloatArray
    funding_rate: FloatArray  #: per the row's own interval
    open_interest: FloatArray
    open_price_24h: FloatArray
    high_price_24h: FloatArray
    low_price_24h: FloatArray
    volume_24h: FloatArray
    turnover_24h: FloatArray  #: [USDT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One minute of one row, from its prints."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    count: int


class _Board:
    """One venue's rows as arrays."""

    def __init__(self, rows: tuple[Row, ...], seed: int) -> None:
        self.rows = rows
        self.place = {row.id: i for i, row in enumerate(rows)}
        self.keys = np.concatenate([keys_of(seed, row.venue, row.id) for row in rows])
        self.coin = np.array([row.coin for row in rows])
        self.multiplier = np.array([row.multiplier for row in rows])
        self.tick = np.array([row.tick for row in rows])
        self.unit = np.array([row.step * row.contract_size for row in rows])  # smallest quantity [base]
        self.spread_bps = np.array([row.spread_bps for row in rows])
        self.depth_usdt = np.array([row.depth_usdt for row in rows])
        self.volume_usdt = np.array([row.volume_usdt_24h for row in rows])
        self.interval_h = np.array([row.funding_interval_h for row in rows])
        self.is_suspended = np.array([row.kind is Kind.SUSPENDED for row in rows])
        self.snapshot: Snapshot | None = None


class SimulatedMarket:
    """Four venues' rows and what they say; `start_ms` is where the scenario's seconds begin."""

    def __init__(self, *, seed: int, coins_per_venue: int, scenario: Scenario, start_ms: int) -> None:
        recorded = load_recordings()
        catalogue = build_catalogue(
            seed=seed, coins_per_venue=coins_per_venue, planted=scenario.planted, recordings=recorded
        )
        self.start_ms = start_ms
        self.rows = catalogue.rows
        self._coins = catalogue.coins
        place = {coin.name: i for i, coin in enumerate(catalogue.coins)}
        self._recordings = {place[name]: recording for name, recording in recorded.items()}
        self._setups = {place[planted.coin]: Setup(planted, scenario.settings) for planted in scenario.planted}
        self._paths = Paths(catalogue.coins, seed=seed, setups=self._setups, recordings=self._recordings)
        self._boards = {venue: _Board(catalogue.rows[venue], seed) for venue in VENUES}
        self._hours: dict[int, FloatArray] = {}

    def place(self, venue: str, row_id: str) -> int | None:
        """Where in `rows[venue]` this id is, None where the venue lists no such."""
        return self._boards[venue].place.get(row_id)

    def snapshot(self, venue: str, now_ms: int) -> Snapshot:
        """Everything the venue says in bulk, of the step `now_ms` is in."""
        board = self._boards[venue]
        elapsed_s, time_ms = self._step(now_ms)
        if board.snapshot is None or board.snapshot.time_ms != time_ms:
            board.snapshot = self._compute_snapshot(board, elapsed_s, time_ms)
        return board.snapshot

    def book(self, venue: str, row_id: str, levels: int, now_ms: int) -> Book:
        """The row's book, `levels` a side or what there is."""
        board = self._boards[venue]
        place = board.place[row_id]
        row = board.rows[place]
        elapsed_s, time_ms = self._step(now_ms)
        bid, ask = self._quote_ticks(board, np.array([place]), np.array([elapsed_s]))
        quotes = int(bid[0]), int(ask[0])
        levels = min(levels, MAX_LEVELS)
        if recording := self._recording(row):
            sides = books.recorded_sides(row, recording, quotes, elapsed_s, levels, self._share(row))
        else:
            shape = self._shape(row, elapsed_s)
            sides = books.invented_sides(row, board.keys[[place]], quotes, elapsed_s, shape, levels)
        setup = self._setups.get(row.coin)
        if setup:
            time_ms = setup.book_time_ms(time_ms, self.start_ms)
        unit = board.unit[place]
        return Book(
            time_ms=time_ms,
            sequence=self._sequence(time_ms),
            bid_ticks=sides[0][sides[0] > 0],
            bid_quantity=_rounded(sides[1], unit)[sides[0] > 0],
            ask_ticks=sides[2],
            ask_quantity=_rounded(sides[3], unit),
        )

    def prints(self, venue: str, row_id: str, start_ms: int, end_ms: int) -> Prints:
        """The row's prints with start_ms <= time <= end_ms, oldest first."""
        board = self._boards[venue]
        place = board.place[row_id]
        row = board.rows[place]
        tape = self._tape(board, place, (start_ms - self.start_ms) // 1000, (end_ms - self.start_ms) // 1000)
        is_sell = tape.side_draw < self._sell_share(row, tape.elapsed_ms / 1000)
        bid, ask = self._quote_ticks(board, np.full(len(is_sell), place), _stepped_s(tape.elapsed_ms))
        gap = books.ladder_gap((bid * row.tick).astype(np.float64), row.tick)
        time_ms = tape.elapsed_ms + self.start_ms
        found = Prints(
            number=tape.number + _FIRST_NUMBER,
            time_ms=time_ms,
            price_ticks=np.where(is_sell, bid - tape.level * gap, ask),
            quantity=_rounded(tape.usdt / self._nominal_price(row), board.unit[place]),
            is_sell=is_sell,
        )
        return found.where((time_ms >= start_ms) & (time_ms <= end_ms))

    def last_prints(self, venue: str, row_id: str, count: int, now_ms: int) -> Prints:
        """The row's latest prints, at most `count`, none older than an hour."""
        row = self._boards[venue].rows[self._boards[venue].place[row_id]]
        recording = self._recording(row)
        per_s = recording.traded_per_s()[0] if recording else prints_per_s(row.volume_usdt_24h / 86400)
        lookback_s = min(max(3 * count / per_s, 60), _MAX_LOOKBACK_S)
        found = self.prints(venue, row_id, now_ms - int(lookback_s * 1000), now_ms)
        return found.where(slice(-count, None))

    def open_interest_history(self, venue: str, row_id: str, times_ms: IntArray) -> tuple[FloatArray, FloatArray]:
        """The row's open interest [base] and mid price at these times."""
        board = self._boards[venue]
        place = board.place[row_id]
        elapsed_s = (times_ms - self.start_ms) / 1000
        price = self._row_price(board, np.full(len(times_ms), place), elapsed_s)
        return self._open_interest(board, np.full(len(times_ms), place), elapsed_s), price

    def candles(self, venue: str, row_id: str, first_open_ms: int, last_open_ms: int, now_ms: int) -> list[Candle]:
        """The row's minutes between the two opens, both included, made of its prints so far."""
        board = self._boards[venue]
        row = board.rows[board.place[row_id]]
        found = self.prints(venue, row_id, first_open_ms, min(last_open_ms + MINUTE_MS - 1, now_ms))
        opens = np.arange(first_open_ms, last_open_ms + 1, MINUTE_MS)
        edges = np.searchsorted(found.time_ms, np.append(opens, last_open_ms + MINUTE_MS))
        price = found.price_ticks * row.tick
        _, before = self.open_interest_history(venue, row_id, opens[:1])
        close = float(before[0])  # of a minute without prints: the price before it
        candles = []
        for open_ms, first, last in zip(opens.tolist(), edges[:-1], edges[1:], strict=True):
            traded, quantity = price[first:last], found.quantity[first:last]
            if len(traded) == 0:
                traded = np.array([close])
            close = float(traded[-1])
            candles.append(
                Candle(
                    open_ms=open_ms,
                    open=float(traded[0]),
                    high=float(traded.max()),
                    low=float(traded.min()),
                    close=close,
                    volume=float(quantity.sum()),
                    turnover=float((quantity * price[first:last]).sum()),
                    count=int(last - first),
                )
            )
        return candles

    def _step(self, now_ms: int) -> tuple[float, int]:
        step = (now_ms - self.start_ms) // STEP_MS
        return step * STEP_MS / 1000, self.start_ms + step * STEP_MS

    def _sequence(self, time_ms: int) -> int:
        return _FIRST_NUMBER + (time_ms - self.start_ms) // STEP_MS

    def _recording(self, row: Row) -> Recording | None:
        return self._recordings.get(row.coin) if row.kind is Kind.PERPETUAL else None

    def _share(self, row: Row) -> float:
        # how much of the recorded venue's business this one has
        return row.volume_usdt_24h / self._coins[row.coin].volume_usdt_24h

    def _setup_at(self, row: Row, *, is_flow: bool) -> Setup | None:
        setup = self._setups.get(row.coin)
        if setup is None:
            return None
        venue = setup.planted.flow_venue if is_flow else setup.planted.venue
        return setup if row.venue == venue else None

    def _shape(self, row: Row, elapsed_s: float) -> BookShape:
        setup = self._setup_at(row, is_flow=False)
        return setup.book(elapsed_s) if setup else BookShape()

    def _sell_share(self, row: Row, elapsed_s: FloatArray) -> FloatArray:
        if setup := self._setup_at(row, is_flow=True):
            return setup.sell_share(elapsed_s)
        recording = self._recording(row)
        if recording and not recording.has_prints:
            return recording.sell_share(elapsed_s)
        return np.full_like(elapsed_s, 0.5)

    def _nominal_price(self, row: Row) -> float:
        return self._coins[row.coin].price_usdt * row.multiplier

    def _tape(self, board: _Board, place: int, first_s: int, last_s: int) -> Tape:
        """What the row prints in these whole seconds, both included."""
        row = board.rows[place]
        recording = self._recording(row)
        if recording and recording.has_prints:
            return recorded_tape(recording, first_s, last_s + 1, self._share(row) * self._nominal_price(row))
        usdt_per_s = row.volume_usdt_24h / 86400
        seconds = np.arange(first_s, last_s + 1, dtype=np.int64)
        setup = self._setup_at(row, is_flow=True)
        if setup is None:
            return ordinary_tape(board.keys[[place]], seconds, usdt_per_s)
        swept = setup.is_sweep_second(seconds)
        ordinary = ordinary_tape(board.keys[[place]], seconds[~swept], usdt_per_s)
        return ordinary.joined(sweep_tape(seconds[swept], usdt_per_s))

    def _row_price(self, board: _Board, places: IntArray, elapsed_s: FloatArray) -> FloatArray:
        """The fair price of rows at the times beside them [USDT per base]."""
        elapsed_s = np.where(board.is_suspended[places], _SUSPENDED_AT_S, elapsed_s)
        basis = 1 + 1.5e-4 * drift(board.keys[places], elapsed_s, 900.0)  # venues agree, not to the last digit
        return np.asarray(self._paths.price(board.coin[places], elapsed_s) * board.multiplier[places] * basis)

    def _quote_ticks(self, board: _Board, places: IntArray, elapsed_s: FloatArray) -> tuple[IntArray, IntArray]:
        price, tick = self._row_price(board, places, elapsed_s), board.tick[places]
        spread = np.maximum(1, np.round(board.spread_bps[places] * 1e-4 * price / tick))
        bid = np.maximum(1, np.floor(price / tick - spread / 2 + 0.5))
        return bid.astype(np.int64), (bid + spread).astype(np.int64)

    def _open_interest(self, board: _Board, places: IntArray, elapsed_s: FloatArray) -> FloatArray:
        keys = board.keys[places]
        slow = 0.03 * drift(keys, elapsed_s, 43_200.0) + 0.002 * drift(keys, elapsed_s, 1_800.0)
        rows = [board.rows[place] for place in places.tolist()]
        initial = np.array([row.open_interest_usdt / self._nominal_price(row) for row in rows])
        open_interest = initial * (1 + slow)
        for place in set(places[np.isin(board.coin[places], list(self._setups))].tolist()):
            if setup := self._setup_at(board.rows[place], is_flow=True):
                its = places == place
                open_interest[its] *= setup.open_interest(elapsed_s[its])
        for place in set(places[np.isin(board.coin[places], list(self._recordings))].tolist()):
            its, row = places == place, board.rows[place]
            recording = self._recording(row)
            known = recording.known("open_interest", elapsed_s[its]) if recording else None
            if known is not None:
                open_interest[its] = known * self._share(row)
        return open_interest

    def _compute_snapshot(self, board: _Board, elapsed_s: float, time_ms: int) -> Snapshot:
        places = np.arange(len(board.rows))
        now = np.full(len(places), elapsed_s)
        bid, ask = self._quote_ticks(board, places, now)
        bid_price, ask_price = bid * board.tick, ask * board.tick
        mid = (bid_price + ask_price) / 2
        fair = self._row_price(board, places, now)
        gap = books.ladder_gap(mid, board.tick)
        typical = books.level_usdt(board.depth_usdt, gap, mid, board.tick)
        bid_quantity = books.level_quantity(board.keys, BID, 0, now, typical, mid)
        ask_quantity = books.level_quantity(board.keys, ASK, 0, now, typical, mid)
        funding = np.array([self._coins[coin].funding_rate_8h for coin in board.coin])
        funding += 1e-5 * drift(board.keys, now, 7200.0)
        mark, index = fair.copy(), fair.copy()
        for place in np.flatnonzero(np.isin(board.coin, [*self._setups, *self._recordings])).tolist():
            row, at = board.rows[place], now[:1]
            setup, recording = self._setups.get(row.coin), self._recording(row)
            if setup:
                funding[place] = setup.funding_rate_8h()
                shape = self._shape(row, elapsed_s)
                bid_quantity[place] *= shape.bids
                ask_quantity[place] *= shape.asks
            elif recording:
                _, bids, _, asks = recording.book(elapsed_s)
                bid_quantity[place], ask_quantity[place] = bids[0] * self._share(row), asks[0] * self._share(row)
                mark[place] *= recording.relative_to_mid("mark", at)[0]
                index[place] *= recording.relative_to_mid("index", at)[0]
                rate = recording.known("funding_rate", at)
                funding[place] = funding[place] if rate is None else rate[0]
        day = self._day_prices(board, elapsed_s)
        turnover = board.volume_usdt * (1 + 0.05 * drift(board.keys, now, 43_200.0))
        second = int(elapsed_s // 1)
        return Snapshot(
            time_ms=time_ms,
            sequence=self._sequence(time_ms),
            bid_price=bid_price,
            ask_price=ask_price,
            bid_quantity=_rounded(bid_quantity, board.unit),
            ask_quantity=_rounded(ask_quantity, board.unit),
            last_price=np.asarray(np.where(uniform(board.keys, second) < 0.5, bid_price, ask_price)),
            mark_price=mark,
            index_price=index,
            funding_rate=funding * board.interval_h / 8,
            open_interest=self._open_interest(board, places, now),
            open_price_24h=day[0],
            high_price_24h=np.maximum(day.max(axis=0), ask_price),
            low_price_24h=np.minimum(day.min(axis=0), bid_price),
            volume_24h=turnover / day.mean(axis=0),
            turnover_24h=turnover,
        )

    def _day_prices(self, board: _Board, elapsed_s: float) -> FloatArray:
        """The rows' prices at the last 24 full hours, (24, n); coins' hours are kept, they do not change."""
        hour = int(elapsed_s // 3600)
        everyone = np.arange(len(self._coins))
        for at in range(hour - 23, hour + 1):
            if at not in self._hours:
                self._hours[at] = self._paths.price(everyone, np.full(len(everyone), at * 3600.0))
        self._hours = {at: self._hours[at] for at in range(hour - 23, hour + 1)}
        return np.array([prices[board.coin] * board.multiplier for prices in self._hours.values()])


def _stepped_s(elapsed_ms: IntArray) -> FloatArray:
    return np.asarray(elapsed_ms // STEP_MS * STEP_MS / 1000)


def _rounded(quantity: FloatArray, unit: FloatArray | float) -> FloatArray:
    return np.asarray(np.maximum(1, np.round(quantity / unit)) * unit)
