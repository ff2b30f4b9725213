"""The simulated market: what every venue would say at any time, a pure function of (seed, scenario, time).

Venues differ here only in what they list; how they say it is the wire modules' part. Everything moves in steps of
STEP_MS, so that bulk replies, books and prints of one moment agree. Quantities are in base coin.
"""

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.simulated import books
from fetchers.simulated.board import Board, BulkSnapshot
from fetchers.simulated.books import ASK, BID, Book
from fetchers.simulated.candles import MINUTE_MS, Candle, candle_along, candles_of
from fetchers.simulated.coins import build_catalogue
from fetchers.simulated.legs import LegPath
from fetchers.simulated.noise import drift, uniform
from fetchers.simulated.path import Paths
from fetchers.simulated.prints import Prints, prints_per_s
from fetchers.simulated.recordings import load_recordings
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.setups import Setup

STEP_MS = 250
MAX_LEVELS = 200
_SUSPENDED_AT_S = -864_000.0  # ten days before the start: where a suspended row's prices stopped
_FIRST_NUMBER = 10**12  # so that numbers before the start are positive as well
_MAX_LOOKBACK_S = 3600
LONG_CANDLE_POINTS = 8  #: prices that a candle of more than a minute is made of
DAY_MS = 86_400_000


class SimulatedMarket:
    """All venues' rows and what they say; `start_ms` is where the scenario's seconds begin."""

    def __init__(self, *, seed: int, coins_per_venue: int, scenario: Scenario, start_ms: int) -> None:
        recorded = load_recordings()
        catalogue = build_catalogue(
            seed=seed,
            coins_per_venue=coins_per_venue,
            planted=scenario.planted,
            legs=scenario.legs,
            recordings=recorded,
        )
        place = {coin.name: i for i, coin in enumerate(catalogue.coins)}
        recordings = {place[name]: recording for name, recording in recorded.items()}
        setups = {place[planted.coin]: Setup(planted, scenario.settings) for planted in scenario.planted}
        self.start_ms = start_ms
        self.rows = catalogue.rows
        self._everyone = np.arange(len(catalogue.coins))
        legs = {place[leg.coin]: LegPath(leg, scenario.candle_interval_s) for leg in scenario.legs}
        self._paths = Paths(catalogue.coins, seed=seed, bends={**setups, **legs}, recordings=recordings)
        self._boards = {
            venue: Board(catalogue.rows[venue], catalogue.coins, seed=seed, setups=setups, recordings=recordings)
            for venue in catalogue.rows
        }
        # no state of the market, only what need not be computed twice
        self._snapshots: dict[str, BulkSnapshot] = {}
        self._hours: dict[int, FloatArray] = {}

    def place(self, venue: str, row_id: str) -> int | None:
        """Return the place of this id in `rows[venue]`, None where the venue does not list it."""
        return self._boards[venue].place.get(row_id)

    def snapshot(self, venue: str, now_ms: int) -> BulkSnapshot:
        """Return the venue's bulk data of the step that `now_ms` is in."""
        elapsed_s, time_ms = self._step(now_ms)
        known = self._snapshots.get(venue)
        if known is None or known.time_ms != time_ms:
            known = self._snapshots[venue] = self._compute_snapshot(self._boards[venue], elapsed_s, time_ms)
        return known

    def book(self, venue: str, row_id: str, levels: int, now_ms: int) -> Book:
        """Return the row's book, `levels` a side or what there is."""
        board = self._boards[venue]
        place = board.place[row_id]
        row = board.rows[place]
        elapsed_s, time_ms = self._step(now_ms)
        bid, ask = self._quote_ticks(board, np.array([place]), np.array([elapsed_s]))
        quotes = int(bid[0]), int(ask[0])
        levels = min(levels, MAX_LEVELS)
        if place in board.recordings:
            recorded = board.recordings[place].book(elapsed_s)
            sides = books.recorded_sides(row, recorded, quotes, levels, board.share[place])
        else:
            shape = board.shape(place, elapsed_s)
            sides = books.invented_sides(row, board.keys[[place]], quotes, elapsed_s, shape, levels)
        if place in board.setups:
            time_ms = board.setups[place].book_time_ms(time_ms, self.start_ms)
        bid_ticks, bid_quantity, ask_ticks, ask_quantity = sides
        is_there = bid_ticks > 0  # a coarse tick may have fewer levels above zero
        return Book(
            time_ms=time_ms,
            sequence=self._sequence(time_ms),
            bid_ticks=bid_ticks[is_there],
            bid_quantity=_rounded(bid_quantity[is_there], board.unit[place]),
            ask_ticks=ask_ticks,
            ask_quantity=_rounded(ask_quantity, board.unit[place]),
        )

    def prints(self, venue: str, row_id: str, start_ms: int, end_ms: int) -> Prints:
        """Return the row's prints with start_ms <= time <= end_ms, oldest first."""
        board = self._boards[venue]
        place = board.place[row_id]
        tick = board.rows[place].tick
        tape = board.tape(place, (start_ms - self.start_ms) // 1000, (end_ms - self.start_ms) // 1000)
        is_sell = tape.side_draw < board.sell_share(place, tape.elapsed_ms / 1000)
        stepped_s = tape.elapsed_ms // STEP_MS * STEP_MS / 1000
        bid, ask = self._quote_ticks(board, np.full(len(stepped_s), place), stepped_s)
        gap = books.ladder_gap(np.asarray(bid * tick, dtype=np.float64), tick)
        time_ms = tape.elapsed_ms + self.start_ms
        found = Prints(
            number=tape.number + _FIRST_NUMBER,
            time_ms=time_ms,
            price_ticks=np.where(is_sell, bid - tape.level * gap, ask),
            quantity=_rounded(tape.usdt / board.nominal_price[place], board.unit[place]),
            is_sell=is_sell,
        )
        return found.where((time_ms >= start_ms) & (time_ms <= end_ms))

    def last_prints(self, venue: str, row_id: str, count: int, now_ms: int) -> Prints:
        """Return the row's latest prints, at most `count`, none older than an hour."""
        board = self._boards[venue]
        place = board.place[row_id]
        if place in board.recordings:
            per_s = board.recordings[place].traded_per_s()[0]
        else:
            per_s = prints_per_s(board.rows[place].volume_usdt_24h / 86400)
        lookback_s = min(max(3 * count / per_s, 60), _MAX_LOOKBACK_S)
        found = self.prints(venue, row_id, now_ms - int(lookback_s * 1000), now_ms)
        return found.where(slice(-count, None))

    def open_interest(self, venue: str, row_id: str, times_ms: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the row's open interest [base] and price at these times."""
        board = self._boards[venue]
        places = np.full(len(times_ms), board.place[row_id])
        elapsed_s = (times_ms - self.start_ms) / 1000
        return self._open_interest(board, places, elapsed_s), self._price(board, places, elapsed_s)

    def candles(
        self,
        venue: str,
        row_id: str,
        first_open_ms: int,
        last_open_ms: int,
        now_ms: int,
        interval_ms: int = MINUTE_MS,
    ) -> list[Candle]:
        """Return the row's candles between the two opens, both included, as they are so far.

        Minutes are made of its prints; longer ones, of which a reply holds days, of its price at times inside them.
        """
        if interval_ms > MINUTE_MS:
            return self._long_candles(
                venue, row_id, np.arange(first_open_ms, last_open_ms + 1, interval_ms), interval_ms, now_ms
            )
        found = self.prints(venue, row_id, first_open_ms, min(last_open_ms + MINUTE_MS - 1, now_ms))
        opens_ms = np.arange(first_open_ms, last_open_ms + 1, MINUTE_MS)
        _, price_before = self.open_interest(venue, row_id, opens_ms[:1])
        board = self._boards[venue]
        return candles_of(found, board.tick[board.place[row_id]], opens_ms, float(price_before[0]))

    def _long_candles(self, venue: str, row_id: str, opens_ms: IntArray, interval_ms: int, now_ms: int) -> list[Candle]:
        board = self._boards[venue]
        place = board.place[row_id]
        ends_ms = np.minimum(opens_ms + interval_ms, now_ms)
        share = np.linspace(0, 1, LONG_CANDLE_POINTS)
        times_ms = (opens_ms[:, None] + (ends_ms - opens_ms)[:, None] * share).astype(np.int64)
        _, price = self.open_interest(venue, row_id, times_ms.ravel())
        tick = board.tick[place]
        price = np.round(price.reshape(times_ms.shape) / tick) * tick
        turnover = float(board.volume_usdt[place]) * (ends_ms - opens_ms) / DAY_MS
        prices = np.array([price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1]]).T
        return [
            Candle(open_ms, opened, high, low, close, usdt / close, usdt, max(1, int(usdt / 500)))
            for open_ms, (opened, high, low, close), usdt in zip(
                opens_ms.tolist(), prices.tolist(), turnover.tolist(), strict=True
            )
        ]

    def mark_candles(
        self,
        venue: str,
        row_id: str,
        first_open_ms: int,
        last_open_ms: int,
        now_ms: int,
        interval_ms: int = MINUTE_MS,
    ) -> list[Candle]:
        """Return the row's candles of the mark price, which is not traded at."""
        found = []
        for open_ms in range(first_open_ms, last_open_ms + 1, interval_ms):
            times_ms = np.linspace(open_ms, min(open_ms + interval_ms, now_ms), 13).astype(np.int64)
            _, price = self.open_interest(venue, row_id, times_ms)
            found.append(candle_along(open_ms, price, volume=0.0, turnover=0.0, count=0))
        return found

    def _step(self, now_ms: int) -> tuple[float, int]:
        step = (now_ms - self.start_ms) // STEP_MS
        return step * STEP_MS / 1000, self.start_ms + step * STEP_MS

    def _sequence(self, time_ms: int) -> int:
        return _FIRST_NUMBER + (time_ms - self.start_ms) // STEP_MS

    def _price(self, board: Board, places: IntArray, elapsed_s: FloatArray) -> FloatArray:
        """Return the fair price of rows at the times beside them [USDT per base]."""
        elapsed_s = np.where(board.is_suspended[places], _SUSPENDED_AT_S, elapsed_s)
        basis = 1 + 1.5e-4 * drift(board.keys[places], elapsed_s, 900.0)  # venues agree, not to the last digit
        return np.asarray(self._paths.price(board.coin[places], elapsed_s) * board.multiplier[places] * basis)

    def _quote_ticks(self, board: Board, places: IntArray, elapsed_s: FloatArray) -> tuple[IntArray, IntArray]:
        price, tick = self._price(board, places, elapsed_s), board.tick[places]
        spread = np.maximum(1, np.round(board.spread_bps[places] * 1e-4 * price / tick))
        bid = np.maximum(1, np.floor(price / tick - spread / 2 + 0.5))
        return bid.astype(np.int64), (bid + spread).astype(np.int64)

    def _open_interest(self, board: Board, places: IntArray, elapsed_s: FloatArray) -> FloatArray:
        keys = board.keys[places]
        slow = 0.03 * drift(keys, elapsed_s, 43_200.0) + 0.002 * drift(keys, elapsed_s, 1_800.0)
        open_interest = board.open_interest[places] * (1 + slow)
        for place, setup in board.flow_setups.items():
            its = places == place
            open_interest[its] *= setup.open_interest(elapsed_s[its])
        for place, recording in board.recordings.items():
            its = places == place
            known = recording.known("open_interest", elapsed_s[its])
            if known is not None:
                open_interest[its] = known * board.share[place]
        return np.asarray(open_interest)

    def _compute_snapshot(self, board: Board, elapsed_s: float, time_ms: int) -> BulkSnapshot:
        places = np.arange(len(board.rows))
        now = np.full(len(places), elapsed_s)
        bid, ask = self._quote_ticks(board, places, now)
        bid_price, ask_price = bid * board.tick, ask * board.tick
        bid_quantity, ask_quantity = self._best_quantities(board, elapsed_s, (bid_price + ask_price) / 2)
        mark, index = self._mark_and_index(board, now)
        day = self._day_prices(board, elapsed_s)
        turnover = board.volume_usdt * (1 + 0.05 * drift(board.keys, now, 43_200.0))
        is_sold_last = uniform(board.keys, int(elapsed_s // 1)) < 0.5
        return BulkSnapshot(
            time_ms=time_ms,
            sequence=self._sequence(time_ms),
            bid_price=bid_price,
            ask_price=ask_price,
            bid_quantity=_rounded(bid_quantity, board.unit),
            ask_quantity=_rounded(ask_quantity, board.unit),
            last_price=np.asarray(np.where(is_sold_last, bid_price, ask_price)),
            mark_price=mark,
            index_price=index,
            funding_rate=self._funding_8h(board, now) * board.interval_h / 8,
            open_interest=self._open_interest(board, places, now),
            open_price_24h=day[0],
            high_price_24h=np.maximum(day.max(axis=0), ask_price),
            low_price_24h=np.minimum(day.min(axis=0), bid_price),
            volume_24h=turnover / day.mean(axis=0),
            turnover_24h=turnover,
        )

    def _best_quantities(self, board: Board, elapsed_s: float, mid: FloatArray) -> tuple[FloatArray, FloatArray]:
        now = np.full(len(board.rows), elapsed_s)
        typical = books.level_usdt(board.depth_usdt, books.ladder_gap(mid, board.tick), mid, board.tick)
        bids, asks = (books.level_quantity(board.keys, side, 0, now, typical, mid) for side in (BID, ASK))
        for place, setup in board.book_setups.items():
            shape = setup.book(elapsed_s)
            bids[place] *= shape.bids
            asks[place] *= shape.asks
        for place, recording in board.recordings.items():
            _, recorded_bids, _, recorded_asks = recording.book(elapsed_s)
            bids[place] = recorded_bids[0] * board.share[place]
            asks[place] = recorded_asks[0] * board.share[place]
        return bids, asks

    def _mark_and_index(self, board: Board, now: FloatArray) -> tuple[FloatArray, FloatArray]:
        mark = self._price(board, np.arange(len(board.rows)), now)
        index = mark.copy()
        for place, recording in board.recordings.items():
            mark[place] *= recording.relative_to_mid("mark", now[:1])[0]
            index[place] *= recording.relative_to_mid("index", now[:1])[0]
        return mark, index

    def _funding_8h(self, board: Board, now: FloatArray) -> FloatArray:
        funding = board.funding_rate_8h + 1e-5 * drift(board.keys, now, 7200.0)
        for place, setup in board.setups.items():
            funding[place] = setup.funding_rate_8h()
        for place, recording in board.recordings.items():
            known = recording.known("funding_rate", now[:1])
            if known is not None:
                funding[place] = known[0]
        return np.asarray(funding)

    def _day_prices(self, board: Board, elapsed_s: float) -> FloatArray:
        """Return the rows' prices at the last 24 full hours, (24, n); a coin's hours are kept, they do not change."""
        hour = int(elapsed_s // 3600)
        kept = {}
        for at in range(hour - 23, hour + 1):
            known = self._hours.get(at)
            if known is None:
                known = self._paths.price(self._everyone, np.full(len(self._everyone), at * 3600.0))
            kept[at] = known
        self._hours = kept
        return np.array([prices[board.coin] * board.multiplier for prices in kept.values()])


def _rounded(quantity: FloatArray, unit: FloatArray | float) -> FloatArray:
    return np.asarray(np.maximum(1, np.round(quantity / unit)) * unit)
