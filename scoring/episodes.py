"""Near misses once per coin, strategy and episode: a coin that stays near a threshold for minutes is one near miss."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from scoring.signals import NearMiss

EpisodeKey: TypeAlias = tuple[str, str]  #: coin and strategy

#: a coin that was not near for so long begins a new episode
GAP_MS = 600_000
#: [points] a new highest score is worth storing from this much more on
PEAK_STEP = 0.5


@dataclass(slots=True)
class _Episode:
    seen_ms: int
    peak: float  #: the highest score so far that the threshold alone refused; 0 where there was none


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The news of one decision's near misses."""

    begun: tuple[NearMiss, ...]  #: the first of their episodes
    peaks: dict[EpisodeKey, float]  #: of episodes under way: the new highest score


class Episodes:
    """Which coins are near misses now, and of which strategy."""

    def __init__(self) -> None:
        self._by_key: dict[EpisodeKey, _Episode] = {}

    def resume(self, near_misses: Iterable[tuple[NearMiss, float | None]]) -> None:
        """Go on with near misses of an earlier run and their highest scores, oldest first."""
        for one, peak in near_misses:
            self._by_key[one.coin, one.strategy] = _Episode(one.decided_ms, peak or 0.0)

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        for episode in self._by_key.values():
            episode.seen_ms += step_ms

    def note(self, near_misses: Iterable[NearMiss], now_ms: int) -> News:
        """Take in the near misses of a decision at `now_ms`."""
        begun, peaks = [], {}
        for one in near_misses:
            score, key = score_alone(one) or 0.0, (one.coin, one.strategy)
            episode = self._by_key.get(key)
            if episode is None or abs(now_ms - episode.seen_ms) > GAP_MS:
                begun.append(one)
                self._by_key[key] = _Episode(now_ms, score)
                continue
            episode.seen_ms = now_ms
            if score >= episode.peak + PEAK_STEP:
                episode.peak = peaks[key] = score
        self._by_key = {key: one for key, one in self._by_key.items() if abs(now_ms - one.seen_ms) <= GAP_MS}
        return News(begun=tuple(begun), peaks=peaks)


def score_alone(near_miss: NearMiss) -> float | None:
    """Return the score where nothing but the threshold refused: a lower threshold would have given a signal."""
    return near_miss.score if near_miss.failed == ("score",) else None
