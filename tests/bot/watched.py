"""Open signals on a scripted feed: what the ticks see is given, and which candles the venue has."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from bot.core.open_signals import OpenSignals
from bot.core.tick import View
from features.facts.market import Candles, Trades, read_only
from fetchers.health import Condition
from fetchers.poll_plan import Key
from fetchers.universe import Universe
from scoring.exits import start
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Outcome, Signal
from tests.builders import NOW_MS, feature_frame, instrument, trades

MINUTE_MS = 60_000
NAN = float("nan")

Bars = Sequence[tuple[float, float, float, float, float]]  #: (seconds after NOW_MS, open, high, low, close)


def at(seconds: float) -> int:
    """Return the time so long after NOW_MS [epoch ms]."""
    return NOW_MS + round(1000 * seconds)


def bars(rows: Bars, **changed: Any) -> Candles:
    """Return 1-minute candles."""
    columns = np.array(rows, float).reshape(-1, 5).T
    names = ("open", "high", "low", "close")
    prices = {name: read_only(column, np.float64) for name, column in zip(names, columns[1:], strict=True)}
    record: dict[str, Any] = {"venue": "bybit", "id": "PEPEUSDT", "received_ms": NOW_MS} | prices | changed
    return Candles(open_ms=read_only(np.rint(1000 * columns[0]) + NOW_MS, np.int64), **record)


class Watched:
    """One open signal, the ticks that look at it, and a venue that answers for candles with what `candles` returns.

    It stands for the feed where `OpenSignals` asks one.
    """

    def __init__(
        self, signal: Signal, *, asks: bool = True, keeps: bool = False, settings: ScoringSettings | None = None
    ) -> None:
        self.signal = signal
        self.universe = Universe(instruments=(instrument(venue=signal.venue, id=signal.instrument_id),))
        self.conditions: dict[str, Condition] = {signal.venue: Condition.OK}
        self.candles: Callable[[int], Candles | None] = lambda _: None
        self.asked: list[int] = []
        self.settings = settings or ScoringSettings()
        self.asks = asks
        self.keeps = keeps  #: what has ended, as where it cannot be stored
        self.outcome: Outcome | None = None
        self.following = self.new_run(start(signal, 0.0), started_ms=signal.decided_ms - 3_600_000)

    def new_run(self, open_signal: OpenSignal, started_ms: int) -> OpenSignals:
        """Follow on as after a restart: only what the database holds is known."""
        self.following = OpenSignals(
            self,
            self.settings,
            max_data_age_s=15.0,
            started_ms=started_ms,
            asks=self.asks,
        )
        self.following.add([open_signal])
        return self.following

    @property
    def state(self) -> OpenSignal:
        """The signal as it stands."""
        return self.following.open[self.signal.id]

    def status(self) -> Any:
        """Return how the venues are doing."""
        return {venue: SimpleNamespace(condition=condition) for venue, condition in self.conditions.items()}

    async def fetch_candles(self, key: Key, since_ms: int) -> Candles | None:
        """Answer, and note that it was asked."""
        assert key == (self.signal.venue, self.signal.instrument_id)
        self.asked.append(since_ms)
        return self.candles(since_ms)

    async def tick(
        self,
        seconds: float,
        bid: float = 99.9,
        ask: float = 100.0,
        prints: Sequence[tuple[float, float]] | None = None,
        *,
        continues: bool = True,
        is_listed: bool = True,
        publishes_trades: bool = True,
        **features: Any,
    ) -> Outcome | None:
        """Look once; `prints` None: no reply with prints came."""
        key = (self.signal.venue, self.signal.instrument_id)
        one = instrument(venue=key[0], id=key[1], publishes_trades=publishes_trades)
        now_ms = at(seconds)
        if not bid < ask:  # as the state has it
            bid = ask = NAN
        frame = feature_frame(
            [one], now_ms=now_ms, best_bid=bid, best_ask=ask, price=(bid + ask) / 2, **{"book_ms": 0} | features
        )
        seen: dict[Key, list[Trades]] = {}
        if prints is not None:
            rows = [(at(time_s), price, 1.0, True) for time_s, price in prints]
            seen[key] = [trades(rows, venue=key[0], id=key[1], exchange_ms=now_ms, continues=continues)]
        ((_, after),) = await self.following.judge(
            View(features=frame, column={key: 0} if is_listed else {}, seen=seen)
        )
        if isinstance(after, Outcome):
            self.outcome = after
        if self.outcome is not None and not self.keeps:
            self.following.remove(self.signal.id)
        return self.outcome
