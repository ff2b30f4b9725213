"""Near misses, the highest score of an episode, and what goes with a row."""

from dataclasses import replace

from scoring.signals import Limits
from storage.store import Store
from tests.storage.builders import make_levels, make_limits, make_near_miss, make_outcome
from tests.storage.conftest import Query

USED_UP = make_limits(next_id=2, last_signal_ms={"XLM": 7})


async def test_near_misses_and_refusals(store: Store) -> None:
    """Near misses come newest first, and each gate's refusals are counted."""
    misses = [
        make_near_miss(decided_ms=1),
        make_near_miss(decided_ms=2, failed=("spread", "score"), coin="PEPE"),
        make_near_miss(decided_ms=3, failed=("score",)),
    ]
    await store.remember([], make_limits(), [], misses)
    assert await store.near_misses.find(2) == [(misses[2], None), (misses[1], None)]
    assert await store.near_misses.find(0, limit=1) == [(misses[2], None)]
    assert await store.near_misses.refusals(0) == {"score": 3, "spread": 1}
    assert await store.near_misses.refusals(3) == {"score": 1}


async def test_near_misses_that_go_with_their_rows(store: Store, query: Query) -> None:
    """A near miss that is pruned takes what it would have made with it."""
    missed = make_near_miss(levels=make_levels())
    await store.remember([], USED_UP, [], [missed, make_near_miss(coin="WIF")], followed=[missed])
    assert [followed.signal.id for followed in (await store.load()).followed] == [1]
    await store.record_near_misses([make_outcome(1)])
    assert (await store.load()).followed == ()
    rows = await store.near_misses.find(0)
    assert [(one.coin, outcome) for one, outcome in rows] == [("WIF", None), ("XLM", make_outcome(1))]
    assert await store.near_misses.ids(missed.decided_ms) == {("XLM", "ups"): 1, ("WIF", "ups"): 2}
    while await store.prune(missed.decided_ms + 1):
        pass
    assert query("SELECT * FROM near_miss_outcomes") == []


async def test_the_peak_of_an_episode(store: Store) -> None:
    """The newest near miss of a coin takes the highest score of its episode; what more gates refused has none."""
    alone = replace(make_near_miss(coin="PEPE", score=64.1), failed=("score",))
    two = replace(make_near_miss(coin="WIF", score=65.0), failed=("score", "burst"))
    limits = Limits.fresh()
    await store.remember([], limits, [], [alone, two])
    await store.remember([], limits, [], [], peaks={("PEPE", "ups"): 69.5})
    found = await store.near_misses.with_peaks(0)
    assert [(one.coin, one.score, peak) for one, peak in found] == [("PEPE", 64.1, 69.5), ("WIF", 65.0, None)]
    assert await store.near_misses.peaks(0, "ups") == [69.5]
    assert await store.near_misses.peaks(0, "bounce") == []
