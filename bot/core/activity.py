"""Counts of the events since the start and in the day, for /status and the daily report."""

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bot.core.events import Event, SignalEnded, SignalGiven, TickEnded
from bot.core.funnels import FunnelLog
from bot.core.tick import Tick
from features.facts.venues import venue_title
from fetchers.health import Condition
from scoring.decide import Funnel
from scoring.signals import Side, Signal


@dataclass(slots=True, kw_only=True)
class DayLog:
    """Counts since `since_ms`."""

    since_ms: int
    ticks: int = 0
    pairs: int = 0  #: scored in the last tick
    best_score: float = 0.0
    best_pair: str = ""
    funnels: dict[str, FunnelLog] = field(default_factory=dict)  #: by strategy
    seen: Counter[str] = field(default_factory=Counter)  #: ticks in which a venue was not blind

    def note(
        self, pairs: int, best: tuple[float, str], funnels: Mapping[str, Funnel], conditions: Mapping[str, Condition]
    ) -> None:
        """Count a tick; `best` is its best score and whose it is."""
        self.ticks += 1
        self.pairs = pairs
        self.best_score, self.best_pair = max((self.best_score, self.best_pair), best)
        for strategy, funnel in funnels.items():
            self.funnels.setdefault(strategy, FunnelLog()).note(funnel)
        self.seen.update(venue for venue, condition in conditions.items() if condition is not Condition.BLIND)
        for venue in conditions:
            self.seen[venue] += 0


class Activity:
    """Counts; `note` is a subscriber of the events."""

    def __init__(self, started_ms: int, strategies: Iterable[str]) -> None:
        self.started_ms = started_ms
        self.last_tick: Tick | None = None
        self.ticks = 0
        self.signals = 0
        self.exits = 0
        self.funnels = {strategy: FunnelLog() for strategy in strategies}
        self.durations_ms: deque[int] = deque(maxlen=1000)
        self.day = DayLog(since_ms=started_ms)

    def note(self, event: Event) -> None:
        """Count what has happened."""
        match event:
            case SignalGiven():
                self.signals += 1
            case SignalEnded():
                self.exits += 1
            case TickEnded(tick):
                self._note_tick(tick)

    def begin_day(self, now_ms: int) -> None:
        """Begin to count anew."""
        self.day = DayLog(since_ms=now_ms)

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        self.started_ms += step_ms
        self.day.since_ms += step_ms
        if self.last_tick is not None:
            self.last_tick = replace(self.last_tick, ended_ms=self.last_tick.ended_ms + step_ms)

    def current_price(self, signal_id: int) -> float | None:
        """Return the price an entry of this open signal would now start from, None where it is not known."""
        if self.last_tick is None or signal_id not in self.last_tick.open_signals:
            return None
        return self.entry_price(self.last_tick.open_signals[signal_id].signal)

    def entry_price(self, signal: Signal) -> float | None:
        """Return the price a person would now get: the best bid for a SHORT, the best ask for a LONG."""
        return self._quote(signal, is_bid=signal.side is Side.SHORT)

    def exit_price(self, signal: Signal) -> float | None:
        """Return the price at which a person could now leave: the best ask of a SHORT, the best bid of a LONG."""
        return self._quote(signal, is_bid=signal.side is Side.LONG)

    def _quote(self, signal: Signal, *, is_bid: bool) -> float | None:
        if self.last_tick is None:
            return None
        features = self.last_tick.features
        prices = features.best_bid if is_bid else features.best_ask
        for instrument, price in zip(features.instruments, prices.tolist(), strict=True):
            if instrument.key == signal.key:
                return price if math.isfinite(price) else None
        return None

    def _note_tick(self, tick: Tick) -> None:
        funnels = {name: judgement.funnel() for name, judgement in tick.decision.by_strategy.items()}
        for name, funnel in funnels.items():
            self.funnels[name].note(funnel)
        self.day.note(len(tick.features.instruments), _best(tick), funnels, tick.conditions)
        self.last_tick = tick
        self.ticks += 1
        self.durations_ms.append(tick.ended_ms - tick.started_ms)


def _best(tick: Tick) -> tuple[float, str]:
    """Return the best score of those that may signal, and whose it is."""
    eligible = tick.features.instruments.is_eligible
    if not eligible.any():
        return 0.0, ""
    total = tick.leading_scores.total
    column = int(np.where(eligible, total, -1).argmax())
    instrument = tick.features.instruments[column]
    return float(total[column]), f"{instrument.pair} {venue_title(instrument.venue)}"
