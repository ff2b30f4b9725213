"""One venue's rows as arrays, what is special about some of them, and the record of what they say at one step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray
from fetchers.simulated.coins import Coin, Row
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.noise import keys_of
from fetchers.simulated.prints import Tape, ordinary_tape, recorded_tape, sweep_tape
from fetchers.simulated.recordings import Recording
from fetchers.simulated.setups import BookShape, Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSnapshot:
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


class Board:
    """A venue's rows; arrays are (n,) over them, dictionaries go by a row's place in them."""

    def __init__(
        self,
        rows: tuple[Row, ...],
        coins: Sequence[Coin],
        *,
        seed: int,
        setups: Mapping[int, Setup],
        recordings: Mapping[int, Recording],
    ) -> None:
        self.rows = rows
        self.place = {row.id: i for i, row in enumerate(rows)}
        self.keys = np.concatenate([keys_of(seed, row.venue, row.id) for row in rows])
        self.coin = np.array([row.coin for row in rows])
        self.multiplier = np.array([row.multiplier for row in rows])
        self.tick = np.array([row.tick for row in rows])
        self.unit = np.array([row.step * row.contract_size for row in rows])  #: smallest quantity [base]
        self.spread_bps = np.array([row.spread_bps for row in rows])
        self.depth_usdt = np.array([row.depth_usdt for row in rows])
        self.volume_usdt = np.array([row.volume_usdt_24h for row in rows])
        self.interval_h = np.array([row.funding_interval_h for row in rows])
        self.is_suspended = np.array([row.kind is ListingKind.SUSPENDED for row in rows])
        self.funding_rate_8h = np.array([coins[row.coin].funding_rate_8h for row in rows])
        #: what turns USDT into base coin where the exact price does not matter
        self.nominal_price = self.multiplier * np.array([coins[row.coin].price_usdt for row in rows])
        self.open_interest = np.array([row.open_interest_usdt for row in rows]) / self.nominal_price
        #: how much of its coin's business on the biggest venue a row has
        self.share = self.volume_usdt / np.array([coins[row.coin].volume_usdt_24h for row in rows])

        self.setups = {i: setups[row.coin] for i, row in enumerate(rows) if row.coin in setups}
        self.book_setups = {i: s for i, s in self.setups.items() if s.planted.venue == rows[i].venue}
        self.flow_setups = {i: s for i, s in self.setups.items() if s.planted.flow_venue == rows[i].venue}
        self.recordings = {
            i: recordings[row.coin]
            for i, row in enumerate(rows)
            if row.coin in recordings and row.kind is ListingKind.PERPETUAL
        }

    def shape(self, place: int, elapsed_s: float) -> BookShape:
        """Return the shape of a row's book: ordinary outside a setup."""
        setup = self.book_setups.get(place)
        return setup.book(elapsed_s) if setup else BookShape()

    def sell_share(self, place: int, elapsed_s: FloatArray) -> FloatArray:
        """Return the chance of a row's prints to be taker sells, at each time."""
        if place in self.flow_setups:
            return self.flow_setups[place].sell_share(elapsed_s)
        recording = self.recordings.get(place)
        if recording and not recording.has_prints:
            return recording.sell_share(elapsed_s)
        return np.full_like(elapsed_s, 0.5)

    def tape(self, place: int, first_s: int, last_s: int) -> Tape:
        """Return the row's prints of these whole seconds, both included."""
        recording = self.recordings.get(place)
        if recording and recording.has_prints:
            return recorded_tape(recording, first_s, last_s + 1, self.share[place] * self.nominal_price[place])
        usdt_per_s = self.rows[place].volume_usdt_24h / 86400
        seconds = np.arange(first_s, last_s + 1, dtype=np.int64)
        setup = self.flow_setups.get(place)
        if setup is None:
            return ordinary_tape(self.keys[[place]], seconds, usdt_per_s)
        swept = setup.is_sweep_second(seconds)
        ordinary = ordinary_tape(self.keys[[place]], seconds[~swept], usdt_per_s)
        return ordinary.joined(sweep_tape(seconds[swept], usdt_per_s))
