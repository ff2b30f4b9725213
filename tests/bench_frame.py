"""How long a frame takes: append, features, UPS and gates of 2,500 instruments, beside the scalar reference.

`python -m tests.bench_frame` prints it; `make bench` includes it.
"""

import sys
import time
from statistics import median

import numpy as np

from bot.core.orchestrator import SAVE_EVERY_MS
from features.facts.market import Instrument, Observation, OrderBook, Quotes, Trades, read_only
from features.frame import compute_features
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from features.state.snapshot import take_windows
from scoring.decide import decide
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies import STRATEGIES
from tests import reference
from tests.builders import NOW_MS, instrument
from tests.yardstick import at_quiet_moments, yardstick_ms

COINS, VENUES = 625, ("binance", "bybit", "mexc", "lbank")
POLLED, LEVELS, PRINTS = 250, 50, 200
WARM_TICKS, TIMED_TICKS, REFERENCE_TICKS = 380, 80, 30
TICK_MS = 5000
STEADY = range(7, 7 * (POLLED * 4 // 5) + 1, 7)  #: columns polled every tick


def universe() -> list[Instrument]:
    """Return 2,500 instruments: the same coins on four venues."""
    return [
        instrument(
            venue=venue,
            id=f"C{coin}USDT",
            coin="BTC" if coin == 0 else f"C{coin}",
            publishes_trades=venue != "lbank",
            publishes_open_interest=venue != "lbank",
        )
        for venue in VENUES
        for coin in range(COINS)
    ]


class Maker:
    """A random market of full size."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(1)
        self.instruments = universe()
        self.price = 10.0 ** self.random.uniform(-4, 3, len(self.instruments))
        self.first_polled = 0

    def tick(self, now_ms: int) -> list[Observation]:
        """Return four bulk replies, and books and trades of 200 steady and 50 rotating candidates."""
        self.price *= np.exp(self.random.normal(0, 0.001, len(self.price)))
        rotating = (self.first_polled + np.arange(POLLED // 5)) * 7 + 1
        self.first_polled += POLLED // 5
        polled = np.concatenate([STEADY, rotating]) % len(self.instruments)
        found: list[Observation] = [self.quotes(venue, now_ms) for venue in VENUES]
        for column in polled:
            found += [self.book(column, now_ms), self.trades(column, now_ms)]
        return found

    def quotes(self, venue: str, now_ms: int) -> Quotes:
        """Return everything a venue may give in bulk."""
        here = [i for i, one in enumerate(self.instruments) if one.venue == venue]
        price = self.price[here]
        return Quotes(
            venue=venue,
            ids=tuple(self.instruments[i].id for i in here),
            exchange_ms=np.full(len(here), now_ms),
            received_ms=now_ms,
            bid_price=price * 0.9999,
            ask_price=price * 1.0001,
            mark_price=price,
            funding_rate=np.full(len(here), 1e-4),
            funding_interval_h=np.full(len(here), 8.0),
            next_funding_ms=np.full(len(here), now_ms + 4 * 3_600_000),
            open_interest_base=1e6 / price,
            volume_base_24h=1e7 / price,
            volume_usdt_24h=np.full(len(here), 1.01e7),
        )

    def book(self, column: int, now_ms: int) -> OrderBook:
        """Return a book of 50 levels a side."""
        one, price = self.instruments[column], self.price[column]
        steps = 1e-4 * (np.arange(LEVELS) + 1)
        quantity = self.random.lognormal(5, 1, (2, LEVELS)) / price
        return OrderBook(
            venue=one.venue,
            id=one.id,
            bids=np.stack([price * (1 - steps), quantity[0]]),
            asks=np.stack([price * (1 + steps), quantity[1]]),
            levels_asked=LEVELS,
            exchange_ms=now_ms,
            received_ms=now_ms,
        )

    def trades(self, column: int, now_ms: int) -> Trades:
        """Return 200 prints of the last tick, on a grid of prices."""
        one, random = self.instruments[column], self.random
        prints = [
            np.sort(random.integers(now_ms - TICK_MS, now_ms, PRINTS)),
            self.price[column] * (1 + 1e-4 * random.integers(-3, 4, PRINTS)),
            random.lognormal(5, 1, PRINTS) / self.price[column],
            random.random(PRINTS) < 0.6,
        ]
        return Trades(
            venue=one.venue,
            id=one.id,
            prints=read_only(prints, np.float64),
            exchange_ms=now_ms,
            received_ms=now_ms,
            continues=True,
        )


def measure() -> str:
    """Return the benchmark's lines."""
    maker, settings = Maker(), FeatureSettings()
    state, limits = MarketState(maker.instruments, settings), Limits.fresh()
    stages: dict[str, list[float]] = {"append": [], "features": [], "decide": []}
    yardsticks_ms = []
    for number in range(WARM_TICKS + TIMED_TICKS):
        now_ms = NOW_MS + number * TICK_MS
        observations = maker.tick(now_ms)
        if number >= WARM_TICKS:
            yardsticks_ms.append(yardstick_ms())
        times = [time.perf_counter()]
        state.advance(now_ms)
        state.append(observations)
        times.append(time.perf_counter())
        frame = compute_features(state, now_ms)
        times.append(time.perf_counter())
        limits = decide(now_ms, frame, limits, (), ScoringSettings(), STRATEGIES.values()).limits
        times.append(time.perf_counter())
        if now_ms // SAVE_EVERY_MS > (now_ms - TICK_MS) // SAVE_EVERY_MS:
            take_windows(state)  # as the bot does, and so leaves the allocator with room
        if number >= WARM_TICKS:
            for stage, before, after in zip(stages.values(), times, times[1:], strict=False):
                stage.append((after - before) * 1000)
    whole = [sum(parts) for parts in zip(*stages.values(), strict=True)]
    lines = [
        f"{name:10} {median(spent):8.2f} ms median, {min(spent):.2f} at best, {max(spent):.2f} at worst"
        for name, spent in {**stages, "frame": whole}.items()
    ]
    quiet = at_quiet_moments(whole, yardsticks_ms)
    scalar_ms = scalar_ms_per_instrument(maker)
    ours_ms = median(whole) / len(maker.instruments)
    size = f"{len(maker.instruments)} instruments, {POLLED} books of {LEVELS} levels, {POLLED} lists of {PRINTS} prints"
    times_less = f"{scalar_ms / ours_ms:.0f} times less"
    return "\n".join(
        [
            f"frame of {size} (goal: 10 ms median)",
            *lines,
            f"the {len(quiet)} frames at moments when the machine was quiet: {median(quiet):.2f} ms median",
            f"scalar reference {scalar_ms:.3f} ms per instrument, the frame {ours_ms:.5f} ms: {times_less} (goal: 40)",
            f"state {state.nbytes / 1e6:.1f} MB (goal: under 80 MB)",
        ]
    )


def scalar_ms_per_instrument(maker: Maker) -> float:
    """Return what the scalar code takes for one instrument's frame, over less history than the arrays hold."""
    few = [one for one in maker.instruments if one.coin in {"BTC", "C7"}]
    scalar = reference.Reference(few, FeatureSettings())
    columns = [maker.instruments.index(one) for one in few]
    now_ms = NOW_MS
    for number in range(REFERENCE_TICKS):
        now_ms = NOW_MS + number * TICK_MS
        observations: list[Observation] = [
            *(maker.quotes(venue, now_ms) for venue in VENUES),
            *(make(column, now_ms) for make in (maker.book, maker.trades) for column in columns),
        ]
        scalar.advance(now_ms)
        scalar.append(observations)
    began = time.perf_counter()
    for one in few:
        reference.ups(reference.sub_scores(scalar.features(one.key, now_ms), 30.0))
    spent = time.perf_counter() - began
    return spent * 1000 / len(few)


if __name__ == "__main__":
    sys.stdout.write(measure() + "\n")
