"""A disk that takes nothing: the bot goes on in memory, and what it did is on the disk once that is well again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scoring.exits import start
from storage.messages import FollowUp
from storage.steering import Steering
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


async def live_through(store: Store) -> None:
    """Do with a database everything that a bot does: signal 1's alert is pending, signal 9's stands in its chat."""
    signals = [make_signal(2, reasons=("long " * 9999,)), make_signal(3)]
    await store.remember(
        signals, make_limits(next_id=4), [entry_message(2), entry_message(3)], [make_near_miss(score=71.0)]
    )
    await store.save_open([start(signal) for signal in signals])
    await store.runs.begin(1, "1.0", "c0de", "c0nf")
    await store.runs.record_health(2, "bybit", "blind", "no answer")
    for message in await store.outbox.due(0, limit=2):
        await store.outbox.mark_sending(message.id)
        await store.outbox.mark_sent(message.id, 1000 + message.id, 5)
    await store.save_open([start(make_signal(9))], [FollowUp(signal_id=9, html="trailing")])
    ended = FollowUp(signal_id=1, html="ended", buttons=())
    await store.record_outcome(make_outcome(1), make_limits(next_id=4), [exit_message(1), ended])
    await store.record_outcome(make_outcome(2), make_limits(next_id=4), [exit_message(2)])
    await store.state.put("menu", "new")
    await store.chats.block("200", "blocked by the user")
    await store.outbox.enqueue([make_message(chat_id="200")])
    await store.steering.record(Steering(done_ms=3, user_id=1, chat_id="1", command="/pause", answer="Paused"))
    await store.chats.keep_only(["100"])
    await store.runs.end(9)


async def begin(store: Store) -> None:
    """Do what went before the trouble."""
    await store.remember([make_signal(1)], make_limits(next_id=2), [entry_message(1)], [make_near_miss()])
    await store.save_open([start(make_signal(1))])
    await store.remember([make_signal(9)], make_limits(next_id=2), [entry_message(9)])
    await store.outbox.mark_sent(2, 999, 5)
    await store.chats.block("300", "gone")
    await store.state.put("menu", "old")


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return everything that is on the disk but the order of its changes and the ids drawn at random."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'changes'")
        kept = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for (name,) in tables}  # noqa: S608 - names of ours
    kept["state"] = [row for row in kept["state"] if row[0] != "database_id"]
    kept["generations"] = [(number, first_seq) for number, _, first_seq in kept["generations"]]
    kept["sqlite_sequence"] = [row for row in kept["sqlite_sequence"] if row[0] != "changes"]
    return kept


async def seen(store: Store) -> str:
    """Return what the bot and people see of a database."""
    return repr(
        [
            await store.load(),
            await store.signals.find(),
            await store.signals.closed(),
            await store.near_misses.find(0),
            await store.near_misses.refusals(0),
            await store.outbox.due(0),
            await store.outbox.counts(),
            await store.chats.blocked(),
            await store.state.get("menu"),
        ]
    )


@pytest.mark.parametrize(
    ("ill", "words"), [("max_page_count = 1", "the disk is full"), ("query_only = 1", "it cannot be written")]
)
async def test_no_difference_but_the_disk(store: Store, path: Path, tmp_path: Path, ill: str, words: str) -> None:
    """With a full or read-only disk the same is done, seen and in the end written as with a good one."""
    await begin(store)
    before = rows(path)
    await store.database._writer.execute(f"PRAGMA {ill}")
    await live_through(store)
    assert words in store.database.fault
    assert rows(path) == before
    during = await seen(store)
    await store.database.recover()
    assert words in store.database.fault
    await store.database._writer.executescript("PRAGMA max_page_count = 1000000; PRAGMA query_only = 0")
    await store.database.recover()
    assert store.database.fault == ""
    assert await seen(store) == during
    await store.outbox.enqueue([make_message()])
    async with await Store.open(tmp_path / "good.sqlite3") as good:
        await begin(good)
        await live_through(good)
        assert await seen(good) == during
        await good.outbox.enqueue([make_message()])
    assert rows(path) == rows(tmp_path / "good.sqlite3")


async def test_changes_are_told_of(store: Store, query: Query) -> None:
    """What was written to memory reaches the history in MySQL once it is on the disk."""
    await begin(store)
    newest = query("SELECT max(seq) FROM changes")[0][0]
    await store.database._writer.execute("PRAGMA query_only = 1")
    await live_through(store)
    await store.database._writer.execute("PRAGMA query_only = 0")
    await store.database.recover()
    changed = query(f"SELECT source, row_id FROM changes WHERE seq > {newest}")  # noqa: S608 - a number
    assert {("signals", 2), ("outcomes", 1), ("near_misses", 2), ("outbox", 1), ("runs", 1), ("venue_health", 1)} <= {
        *changed
    }


async def test_the_last_chance(store: Store, path: Path) -> None:
    """What is in memory when the bot ends goes to the disk if that is well by then."""
    await store.database._writer.execute("PRAGMA query_only = 1")
    await begin(store)
    await store.database._writer.execute("PRAGMA query_only = 0")
    await store.close()
    async with await Store.open(path) as again:
        assert (await again.load()).limits == make_limits(next_id=2)
