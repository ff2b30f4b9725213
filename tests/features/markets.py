"""Random small markets with everything that goes wrong in real ones, told to state and reference alike."""

from dataclasses import dataclass, replace

import numpy as np

from features.facts.market import Instrument, Observation, OpenInterest, OrderBook, Quotes, Trades, read_only
from features.settings import FeatureSettings
from tests.builders import NOW_MS, instrument

#: Windows short enough that a few hundred ticks of a second go round every ring.
SHORT = FeatureSettings(
    refresh_interval_s=1.0,
    max_data_age_s=3.0,
    max_oi_age_s=5.0,
    max_funding_age_s=10.0,
    max_day_age_s=15.0,
    book_frozen_s=6.0,
    oi_window_s=60.0,
    book_window_s=60.0,
    flow_window_s=10.0,
    sweep_baseline_s=30.0,
    sweep_ttl_s=8.0,
    min_sweep_usdt=2000.0,
    btc_window_s=20.0,
    momentum_window_s=4.0,
)

INSTRUMENTS = (
    instrument(venue="bybit", id="PEPEUSDT"),
    instrument(venue="binance", id="1000PEPEUSDT", coin="PEPE", multiplier=1000.0),
    instrument(venue="mexc", id="PEPE_USDT", contract_size=1e7),
    instrument(venue="lbank", id="PEPEUSDT", publishes_trades=False, publishes_open_interest=False),
    instrument(venue="binance", id="BTCUSDT"),
    instrument(venue="mexc", id="BTC_USDT", contract_size=1e-4),
)


@dataclass
class Tick:
    """What one tick brings."""

    now_ms: int
    observations: list[Observation]


@dataclass
class Market:
    """Instruments, and what happens to them."""

    instruments: tuple[Instrument, ...]
    ticks: list[Tick]


def random_market(seed: int, ticks: int, damage: float, *, price_exponent: float = 0.0, size: float = 1.0) -> Market:
    """Return a market of `INSTRUMENTS` in which a share `damage` of everything is missing, late, odd or one-sided."""
    scale = 10.0**price_exponent
    instruments = tuple(replace(one, tick_size=one.tick_size * scale) for one in INSTRUMENTS)
    return Market(instruments, _Maker(seed, damage, price_exponent, size).ticks(ticks))


class _Maker:
    def __init__(self, seed: int, damage: float, price_exponent: float, size: float) -> None:
        self.random = np.random.default_rng(seed)
        self.damage = damage
        count = len(INSTRUMENTS)
        self.price = 10.0**price_exponent * np.where([i.multiplier > 1 for i in INSTRUMENTS], 1000.0, 1.0)
        self.size = (
            size * 10.0 ** self.random.uniform(2, 5, count) / self.price
        )  # base units that make sensible notionals
        self.open_interest = 1e4 * self.size
        self.seen: list[OrderBook | None] = [None] * count
        self.printed_ms = np.full(count, NOW_MS - 2000)

    def ticks(self, count: int) -> list[Tick]:
        now_ms, ticks = NOW_MS, []
        for _ in range(count):
            now_ms += 10_000 if self._odd(0.05) else int(self.random.integers(900, 1100))
            drift = self.random.choice([-0.004, 0.0, 0.002])
            self.price = self.price * np.exp(self.random.normal(drift, 0.002, len(self.price)))
            self.open_interest = self.open_interest * np.exp(self.random.normal(0.001, 0.002, len(self.price)))
            ticks.append(Tick(now_ms, self._observations(now_ms)))
        return ticks

    def _odd(self, weight: float = 1.0) -> bool:
        return bool(self.random.random() < self.damage * weight)

    def _observations(self, now_ms: int) -> list[Observation]:
        found: list[Observation] = []
        for venue in ("bybit", "binance", "mexc", "lbank"):
            if not self._odd():
                found += self._quotes(venue, now_ms)
        for i, one in enumerate(INSTRUMENTS):
            for _ in range(2 if self._odd(0.3) else 1):
                if self.random.random() < 0.8:
                    found.append(self._book(i, now_ms))
            if one.publishes_trades and not self._odd():
                found.append(self._trades(i, now_ms))
            if one.publishes_open_interest and self.random.random() < 0.3:
                found.append(self._open_interest(i, now_ms))
        order = self.random.permutation(len(found)) if self._odd() else range(len(found))
        return [found[i] for i in order]

    def _quotes(self, venue: str, now_ms: int) -> list[Observation]:
        columns = [i for i, one in enumerate(INSTRUMENTS) if one.venue == venue]
        ids = (*[INSTRUMENTS[i].id for i in columns], "UNKNOWNUSDT")
        price = np.append(self.price[columns], 1.0)

        def gappy(values: np.ndarray) -> np.ndarray:
            return np.where(self.random.random(len(values)) < self.damage * 0.3, np.nan, values)

        spread = self.random.choice([0.0001, 0.002, -0.001 if self._odd() else 0.001, 0.0], len(ids))
        times = read_only(now_ms - self.random.integers(0, 4000 if self._odd() else 300, len(ids)), np.int64)
        bulk = Quotes(
            venue=venue,
            ids=ids,
            exchange_ms=times,
            received_ms=now_ms,
            bid_price=None if venue == "lbank" else gappy(price * (1 - spread)),
            ask_price=None if venue == "lbank" else gappy(price * (1 + spread)),
            volume_base_24h=gappy(np.where(self._odd(0.1), 0.0, 1e6 / price)),
            volume_usdt_24h=gappy(np.full(len(ids), 1.02e6)),
            open_interest_base=gappy(np.append(self.open_interest[columns], 1.0)) if venue == "mexc" else None,
        )
        premium = Quotes(
            venue=venue,
            ids=ids,
            exchange_ms=times,
            received_ms=now_ms,
            mark_price=gappy(price * 1.0003),
            index_price=gappy(price * 0.9998),
            funding_rate=gappy(self.random.normal(2e-4, 3e-4, len(ids))),
            funding_interval_h=gappy(
                self.random.choice([1.0, 4.0, 8.0], len(ids)) if self._odd(0.2) else 4.0 + 4 * (np.arange(len(ids)) % 2)
            ),
        )
        return [record for record in (bulk, premium) if not self._odd(0.5)]

    def _book(self, i: int, now_ms: int) -> OrderBook:
        one, price, random = INSTRUMENTS[i], self.price[i], self.random
        exchange_ms = now_ms - int(random.integers(0, 5000 if self._odd() else 200))
        before = self.seen[i]
        if before is not None and (self._odd() or self.random.random() < 0.1):
            quiet = {name: getattr(before, name) for name in before.__slots__}
            return OrderBook(**(quiet | {"exchange_ms": exchange_ms}))
        levels = int(random.choice([1, 2, 5, 8, 20])) if self._odd() else 12
        step = price * random.choice([2e-5, 5e-4, 3e-3])
        sides = []
        is_crossed = self._odd(0.3)
        for sign in (-1, 1):
            count = 0 if self._odd(0.2) else levels if not self._odd() else max(levels - 1, 1)
            prices = price + sign * step * (np.arange(count) + (-0.4 if is_crossed else 0.5))
            flat = self._odd(0.5)
            quantities = self.size[i] * (np.ones(count) if flat else random.lognormal(0, 1.0, count))
            sides.append(read_only([prices, quantities], np.float64))
        book = OrderBook(
            venue=one.venue,
            id=one.id,
            bids=sides[0],
            asks=sides[1],
            levels_asked=12,
            exchange_ms=exchange_ms,
            received_ms=now_ms,
        )
        self.seen[i] = book
        return book

    def _trades(self, i: int, now_ms: int) -> Trades:
        one, random = INSTRUMENTS[i], self.random
        count = int(random.choice([0, 1, 3, 12]))
        times = np.sort(random.integers(self.printed_ms[i], max(now_ms, self.printed_ms[i] + 1), count))
        self.printed_ms[i] = max(now_ms, self.printed_ms[i])
        falling = np.cumsum(random.choice([0.0, -1e-4, -2e-4, 1e-4], count))
        quantity = self.size[i] * random.lognormal(0, 1.5, count) * (20 if self._odd(0.2) else 1)
        is_sell = random.random(count) < random.choice([0.3, 0.9, 1.0])
        return Trades(
            venue=one.venue,
            id=one.id,
            prints=read_only([times, self.price[i] * (1 + falling), quantity, is_sell], np.float64),
            exchange_ms=now_ms - 50,
            received_ms=now_ms,
            continues=not self._odd(0.1),
        )

    def _open_interest(self, i: int, now_ms: int) -> OpenInterest:
        one = INSTRUMENTS[i]
        is_live = bool(self.random.random() < 0.6)
        lateness = int(self.random.integers(5_000, 50_000)) if not is_live else int(self.random.integers(0, 300))
        return OpenInterest(
            venue=one.venue,
            id=one.id,
            open_interest_base=0.0 if self._odd(0.1) else float(self.open_interest[i]),
            exchange_ms=now_ms - lateness,
            received_ms=now_ms,
            is_live=is_live,
        )
