"""What belongs together is written together, and a restart goes on from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from scoring.signals import Limits, OpenSignal
from storage.errors import StorageError
from storage.messages import DeliveryState
from storage.store import Store
from tests.storage.builders import (
    entry_message,
    exit_message,
    make_limits,
    make_message,
    make_near_miss,
    make_outcome,
    make_signal,
)
from tests.storage.conftest import Query

USED_UP = make_limits(next_id=2, last_signal_ms={"XLM": 7})
TABLES = ("signals", "outbox", "near_misses", "outcomes", "open_signals", "changes", "state WHERE key = 'limits'")


async def test_a_bot_that_has_never_run(store: Store) -> None:
    """An empty database gives fresh limits and nothing to follow."""
    saved = await store.load()
    assert saved.limits == Limits.fresh()
    assert saved.open_signals == ()


async def test_a_signal_survives_a_restart(store: Store, path: Path) -> None:
    """A stored signal, the limits it used up and how far it was followed are there after a restart."""
    followed = OpenSignal(
        signal=make_signal(features={}), looked_ms=9, best_price=0.1, worst_price=0.2, flips_running=1
    )
    await store.remember([followed.signal], USED_UP, [entry_message()])
    await store.save_open([followed])
    await store.close()
    async with await Store.open(path) as again:
        saved = await again.load()
        assert saved.limits == USED_UP
        assert saved.open_signals == (followed,)
        assert await again.signals.get(1) == (followed.signal, None)


async def test_an_outcome_ends_the_following(store: Store) -> None:
    """A signal with an outcome is open no more, and its outcome is found with it."""
    signal = make_signal(features={})
    await store.remember([signal, make_signal(2)], USED_UP, [])
    await store.save_open([OpenSignal(signal=signal, looked_ms=9, best_price=0.1, worst_price=0.2)])
    await store.record_outcome(make_outcome(), replace(USED_UP, last_exit_ms={"XLM": 9}), [exit_message()])
    saved = await store.load()
    assert [followed.signal.id for followed in saved.open_signals] == [2]
    assert saved.limits.last_exit_ms == {"XLM": 9}
    assert await store.signals.get(1) == (signal, make_outcome())


async def test_a_signal_ends_once(store: Store) -> None:
    """A second outcome of a signal is refused with all that came with it."""
    await store.remember([make_signal()], USED_UP, [entry_message()])
    await store.record_outcome(make_outcome(), USED_UP, [exit_message()])
    with pytest.raises(StorageError, match="UNIQUE"):
        await store.record_outcome(make_outcome(), make_limits(next_id=9), [make_message()])
    assert (await store.load()).limits == USED_UP
    assert (await store.outbox.counts())[DeliveryState.PENDING] == 2


@pytest.mark.parametrize("table", ["signals", "outbox", "near_misses", "state"])
async def test_a_failure_leaves_nothing_behind(store: Store, query: Query, table: str) -> None:
    """Whichever statement fails, none of the transaction stays, and the next one succeeds."""
    query(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'injected'); END")
    with pytest.raises(StorageError, match="injected"):
        await store.remember([make_signal()], USED_UP, [entry_message()], [make_near_miss()])
    assert not any(query(f"SELECT * FROM {each}") for each in TABLES)  # noqa: S608 - our own names
    query("DROP TRIGGER broken")
    await store.remember([make_signal()], USED_UP, [entry_message()], [make_near_miss()])
    assert (await store.load()).limits == USED_UP


async def test_what_was_being_sent_is_uncertain_after_a_restart(store: Store, path: Path) -> None:
    """The process died between the request and its reply: nobody knows whether the chat has the message."""
    await store.outbox.enqueue([make_message(html="one"), make_message(html="two")])
    await store.outbox.mark_sending(1)
    await store.close()
    async with await Store.open(path) as again:
        assert [message.message.html for message in await again.outbox.uncertain()] == ["one"]
        assert [message.message.html for message in await again.outbox.due(0)] == ["two"]
