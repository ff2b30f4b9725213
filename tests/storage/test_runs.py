"""When the bot ran, and how the venues were."""

from storage.store import Store
from tests.storage.conftest import Query


async def test_runs(store: Store, query: Query) -> None:
    """A run that ended as it should has an end, one that was killed has none; each is a generation of its own."""
    assert await store.runs.first_started_ms() is None
    await store.runs.begin(7, "0.1.0", "c0de", "c0nf")
    await store.runs.begin(9, "0.1.0", "c0de", "c0nf2")
    await store.runs.end(11)
    assert query("SELECT started_ms, ended_ms, config_hash FROM runs") == [(7, None, "c0nf"), (9, 11, "c0nf2")]
    assert query("SELECT count(DISTINCT generation) FROM generations") == [(2,)]
    assert await store.runs.first_started_ms() == 7


async def test_the_venues(store: Store, query: Query) -> None:
    """Each change of a venue's state is kept with its time and why."""
    await store.runs.record_health(7, "mexc", "blind", "no answer for 60 s")
    assert query("SELECT changed_ms, venue, state, note FROM venue_health") == [
        (7, "mexc", "blind", "no answer for 60 s")
    ]
