"""Random moments, one of each coin and hour, followed whatever the gates say: what the score knows by itself."""

import hashlib
from dataclasses import replace

import numpy as np

from bot.core.open_signals import OpenSignals
from bot.core.tick import Seen, Tick, View
from features.facts.instruments import Instruments
from features.facts.market import IntArray
from fetchers.base import CandleSource
from scoring.settings import ScoringSettings
from scoring.signals import Outcome, Signal

HOUR_MS = 3_600_000
LATE_MS = 60_000  #: how long after its time a moment may still begin


class Moments:
    """Draws and follows them; what is drawn follows from the seed, the coin and the hour alone.

    They do not overlap: a coin whose last one is still open gives none.
    """

    def __init__(
        self, source: CandleSource, settings: ScoringSettings, *, max_data_age_s: float, started_ms: int, seed: int
    ) -> None:
        self._open = OpenSignals(source, settings, max_data_age_s=max_data_age_s, started_ms=started_ms, asks=False)
        self._seed = seed
        self._next_id = 1
        self._hour = -1
        self._instruments: Instruments | None = None
        self._due_ms: IntArray = np.empty(0, np.int64)  # by column; what has begun or is too late never is again

    async def follow(self, tick: Tick, seen: Seen) -> list[tuple[Signal, Outcome]]:
        """Judge the open ones by what the tick saw, begin those whose time has come, and return what has ended."""
        features = tick.features
        column = {one.key: place for place, one in enumerate(features.instruments)}
        view = View(features=features, column=column, seen=seen)
        ended = []
        for before, after in await self._open.judge(view):
            if isinstance(after, Outcome):
                self._open.remove(after.signal_id)
                ended.append((before.signal, after))
        self._draw(features.instruments, features.now_ms)
        due = np.flatnonzero(self._due_ms <= features.now_ms).tolist()
        begun = [one for place in due if (one := self._begin(tick, place)) is not None]
        self._open.begin(begun, view)
        return ended

    def _draw(self, instruments: Instruments, now_ms: int) -> None:
        hour = now_ms // HOUR_MS
        if hour == self._hour and instruments is self._instruments:
            return
        self._hour, self._instruments = hour, instruments
        never = np.iinfo(np.int64).max
        times = [hour * HOUR_MS + self._offset_ms(one.coin, hour) if one.is_eligible else never for one in instruments]
        self._due_ms = np.array(times, np.int64)
        self._due_ms[self._due_ms < now_ms - LATE_MS] = never

    def _offset_ms(self, coin: str, hour: int) -> int:
        digest = hashlib.sha256(f"{self._seed} {coin} {hour}".encode()).digest()
        return int(int.from_bytes(digest[:6]) / 2**48 * HOUR_MS)

    def _begin(self, tick: Tick, place: int) -> Signal | None:
        judgement = next(iter(tick.decision.by_strategy.values()))
        coin = tick.features.instruments[place].coin
        drawn = None if coin in self._open.names() else judgement.signal_of(place)
        is_late = tick.features.now_ms - self._due_ms[place] > LATE_MS
        if drawn is not None or is_late:
            self._due_ms[place] = np.iinfo(np.int64).max
        if drawn is None or is_late:
            return None
        self._next_id += 1
        return replace(drawn, id=self._next_id - 1)
