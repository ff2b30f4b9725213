"""Near misses once per coin and episode."""

from dataclasses import replace

from scoring.episodes import GAP_MS, Episodes
from scoring.signals import NearMiss
from tests.builders import NOW_MS
from tests.storage.builders import make_near_miss

TICK_MS = 5_000
MISS = replace(make_near_miss(coin="PEPE", score=64.1), failed=("score",))


def test_one_that_wavers_is_one() -> None:
    """A coin that is near every second tick for ten minutes, refused by this gate or that, is one near miss."""
    episodes = Episodes()
    begun: list[NearMiss] = []
    for tick in range(120):
        failed = ("score",) if tick % 3 else ("score", "ask_share")
        misses = [replace(MISS, failed=failed)] if tick % 2 == 0 else []
        begun += episodes.note(misses, NOW_MS + tick * TICK_MS).begun
    assert len(begun) == 1


def test_another_episode() -> None:
    """After ten minutes without it a coin's next near miss is a new one; other coins have their own."""
    episodes = Episodes()
    assert episodes.note([MISS, replace(MISS, coin="WIF")], NOW_MS).begun == (MISS, replace(MISS, coin="WIF"))
    assert episodes.note([MISS], NOW_MS + GAP_MS).begun == ()
    assert episodes.note([MISS], NOW_MS + 2 * GAP_MS + 1).begun == (MISS,)


def test_two_strategies_have_episodes_of_their_own() -> None:
    """One coin near the thresholds of two is two near misses, each with its own highest score."""
    episodes, other = Episodes(), replace(MISS, strategy="levels", score=55.0)
    assert episodes.note([MISS, other], NOW_MS).begun == (MISS, other)
    news = episodes.note([replace(MISS, score=65.0), replace(other, score=55.2)], NOW_MS + TICK_MS)
    assert (news.begun, news.peaks) == ((), {(MISS.coin, "ups"): 65.0})


def test_the_peak() -> None:
    """A higher score is worth storing from half a point on, where the threshold alone refused it."""
    episodes = Episodes()
    episodes.note([MISS], NOW_MS)
    peaks = [
        episodes.note([replace(MISS, score=score, failed=failed)], NOW_MS + 1).peaks
        for score, failed in ((64.5, ("score",)), (70.0, ("score", "burst")), (69.0, ("score",)), (68.0, ("score",)))
    ]
    assert peaks == [{}, {}, {("PEPE", "ups"): 69.0}, {}]


def test_over_a_restart() -> None:
    """An episode that was under way goes on, with its peak."""
    episodes = Episodes()
    episodes.resume([(replace(MISS, decided_ms=NOW_MS), 69.0)])
    news = episodes.note([replace(MISS, score=69.3)], NOW_MS + TICK_MS)
    assert (news.begun, news.peaks) == ((), {})


def test_a_clock_that_is_set() -> None:
    """A step of the clock of an hour, either way, begins at most one more, and none is lost for as long after it."""
    for step_ms in (-3_600_000, 3_600_000):
        episodes = Episodes()
        begun = list(episodes.note([MISS], NOW_MS).begun)
        for tick in range(120):
            begun += episodes.note([MISS], NOW_MS + step_ms + tick * TICK_MS).begun
        assert len(begun) == 2
        assert episodes.note([MISS], NOW_MS + step_ms + 119 * TICK_MS + GAP_MS + 1).begun == (MISS,)
