"""What near misses would have made: followed beside the signals, from whatever a tick sees of them anyway."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bot.looks import look_at
from features.frame import FeatureFrame
from features.market import Observation
from fetchers.plan import Key
from scoring.exits import follow, shift_clock, start_near_miss
from scoring.settings import ScoringSettings
from scoring.signals import NearMiss, OpenSignal, Outcome
from storage.sqlite import Store

MOST_FOLLOWED = 100


class NearMisses:
    """Follows some near misses, one of a coin at a time; asks the venues for nothing.

    Quotes come in bulk, books and prints only where the plan polls the instrument for other reasons: so a near miss is
    seen less closely than a signal. One whose pair leaves the universe is given up, for nobody knows.
    """

    def __init__(self, store: Store, settings: ScoringSettings, *, max_data_age_s: float, started_ms: int) -> None:
        self._store = store
        self._settings = settings
        self._max_age_ms = 1000 * max_data_age_s
        self._started_ms = started_ms
        self.followed: dict[int, OpenSignal] = {}  #: by the near miss's id

    def choose(self, new: Iterable[NearMiss]) -> list[NearMiss]:
        """Return those of the new ones, best first, that there is room to follow."""
        coins = {one.signal.coin for one in self.followed.values()}
        can_be = [one for one in new if one.levels is not None and one.coin not in coins]
        return can_be[: MOST_FOLLOWED - len(self.followed)]

    async def begin(self, chosen: Sequence[NearMiss]) -> None:
        """Follow what has been stored as followed, all of one decision."""
        if chosen:
            ids = await self._store.near_miss_ids(chosen[0].decided_ms)
            self.resume([start_near_miss(one, ids[one.coin]) for one in chosen])

    def resume(self, followed: Iterable[OpenSignal | None]) -> None:
        """Go on with what is being followed."""
        self.followed |= {one.signal.id: one for one in followed if one is not None}

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        self._started_ms += step_ms
        self.followed = {key: shift_clock(one, step_ms) for key, one in self.followed.items()}

    async def follow(
        self, features: FeatureFrame, column: Mapping[Key, int], seen: Mapping[Key, Sequence[Observation]]
    ) -> None:
        """Judge each by what this tick saw, and store what has ended."""
        outcomes, lost = [], []
        for near_miss_id, one in self.followed.items():
            key = one.signal.venue, one.signal.instrument_id
            if key not in column:
                lost.append(near_miss_id)
            elif np.isfinite(features.best_bid[column[key]]):
                judged = self._judge(one, features, column[key], seen.get(key, ()))
                if isinstance(judged, Outcome):
                    outcomes.append(judged)
                else:
                    self.followed[near_miss_id] = judged
        if outcomes or lost:
            await self._store.record_near_misses(outcomes, lost)
            for near_miss_id in (*(outcome.signal_id for outcome in outcomes), *lost):
                del self.followed[near_miss_id]

    def _judge(
        self, one: OpenSignal, features: FeatureFrame, column: int, seen: Sequence[Observation]
    ) -> OpenSignal | Outcome:
        gap = ""
        if features.now_ms - one.looked_ms > self._max_age_ms:
            gap = "a restart" if one.looked_ms < self._started_ms else "a time without data"
        return follow(one, look_at(one, features, column, seen, gap=gap), self._settings)
