"""What is written is whole or absent, and a restart goes on from it."""

import asyncio
import signal as os_signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from scoring.signals import Limits, OpenSignal
from storage import sqlite
from storage.blobs import to_blob
from storage.errors import StorageError
from storage.outbox import DeliveryState
from storage.schema import MIGRATIONS
from storage.sqlite import Store
from tests.scoring.test_capture import decided
from tests.storage.builders import (
    entry_message,
    exit_message,
    make_levels,
    make_limits,
    make_message,
    make_near_miss,
    make_outcome,
    make_signal,
)
from tests.storage.conftest import Query

TABLES = ("signals", "outbox", "near_misses", "outcomes", "open_signals", "changes", "state WHERE key = 'limits'")
USED_UP = make_limits(next_id=2, last_signal_ms={"XLM": 7})


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
        assert await again.signal(1) == (followed.signal, None)


async def test_an_outcome_ends_the_following(store: Store) -> None:
    """A signal with an outcome is open no more, and its outcome is found with it."""
    signal = make_signal(features={})
    await store.remember([signal, make_signal(2)], USED_UP, [])
    await store.save_open([OpenSignal(signal=signal, looked_ms=9, best_price=0.1, worst_price=0.2)])
    await store.record_outcome(make_outcome(), replace(USED_UP, last_exit_ms={"XLM": 9}), [exit_message()])
    saved = await store.load()
    assert [followed.signal.id for followed in saved.open_signals] == [2]
    assert saved.limits.last_exit_ms == {"XLM": 9}
    assert await store.signal(1) == (signal, make_outcome())


async def test_a_signal_ends_once(store: Store) -> None:
    """A second outcome of a signal is refused with all that came with it."""
    await store.remember([make_signal()], USED_UP, [entry_message()])
    await store.record_outcome(make_outcome(), USED_UP, [exit_message()])
    with pytest.raises(StorageError, match="UNIQUE"):
        await store.record_outcome(make_outcome(), make_limits(next_id=9), [make_message()])
    assert (await store.load()).limits == USED_UP
    assert (await store.outbox_counts())[DeliveryState.PENDING] == 2


async def test_what_a_signal_was_decided_on(store: Store, query: Query) -> None:
    """The input comes with its signal, or neither is stored; it comes back to the bit."""
    kept = decided(1)[0]
    query("CREATE TRIGGER broken BEFORE INSERT ON captures BEGIN SELECT RAISE(ABORT, 'injected'); END")
    with pytest.raises(StorageError, match="injected"):
        await store.remember([kept.signal], USED_UP, [], captures=[kept.captured])
    assert not any(query(f"SELECT * FROM {each}") for each in TABLES)  # noqa: S608 - our own names
    query("DROP TRIGGER broken")
    await store.remember([kept.signal], USED_UP, [], captures=[kept.captured])
    again = await store.capture(kept.signal.id)
    assert to_blob(again) == to_blob(kept.captured)
    assert await store.capture(kept.signal.id + 1) is None


async def test_windows(store: Store, query: Query) -> None:
    """The last windows saved are there, and no others; what cannot be read is said so."""
    assert await store.load_windows() is None
    taken = decided(1)[0].captured.market
    await store.save_windows(replace(taken, ticks=7), ())
    await store.save_windows(taken, ())
    assert to_blob(await store.load_windows()) == to_blob(taken)
    query("UPDATE windows SET snapshot = substr(snapshot, 1, 500)")
    with pytest.raises(ValueError, match="cannot be read"):
        await store.load_windows()


async def test_near_misses_that_go_with_their_rows(store: Store, query: Query) -> None:
    """A near miss that is pruned takes what it would have made with it."""
    missed = make_near_miss(levels=make_levels())
    await store.remember([], USED_UP, [], [missed, make_near_miss(coin="WIF")], followed=[missed])
    assert [followed.signal.id for followed in (await store.load()).followed] == [1]
    await store.record_near_misses([make_outcome(1)])
    assert (await store.load()).followed == ()
    rows = await store.near_misses_with_outcomes(0)
    assert [(one.coin, outcome) for one, outcome in rows] == [("WIF", None), ("XLM", make_outcome(1))]
    assert await store.near_miss_ids(missed.decided_ms) == {"XLM": 1, "WIF": 2}
    while await store.prune(missed.decided_ms + 1):
        pass
    assert query("SELECT * FROM near_miss_outcomes") == []


async def test_state(store: Store) -> None:
    """A JSON value is kept under its key until the next one replaces it."""
    assert await store.get_state("telegram_offset") is None
    await store.set_state("telegram_offset", 12)
    await store.set_state("telegram_offset", {"offset": 13, "chats": ["1"]})
    assert await store.get_state("telegram_offset") == {"offset": 13, "chats": ["1"]}


async def test_the_peak_of_an_episode(store: Store) -> None:
    """The newest near miss of a coin takes the highest score of its episode; what more gates refused has none."""
    alone = replace(make_near_miss(coin="PEPE", score=64.1), failed=("score",))
    two = replace(make_near_miss(coin="WIF", score=65.0), failed=("score", "burst"))
    limits = Limits.fresh()
    await store.remember([], limits, [], [alone, two])
    await store.remember([], limits, [], [], peaks={"PEPE": 69.5})
    found = await store.latest_near_misses(0)
    assert [(one.coin, one.score, peak) for one, peak in found] == [("PEPE", 64.1, 69.5), ("WIF", 65.0, None)]
    await store.begin_run(7, "0.1.0", "", "")
    assert await store.scores_since(0) == ([], [69.5], 7)


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


async def test_a_cancelled_write_is_whole_or_absent(store: Store, query: Query) -> None:
    """Wherever a cancellation strikes, all of the transaction is there or none, and the next write is not disturbed."""
    limits = make_limits()
    for attempt in range(150):
        number = limits.next_id
        after = replace(limits, next_id=number + 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(attempt * 2e-5):
                await store.remember([make_signal(number)], after, [entry_message(number)])
        stored = bool(query(f"SELECT * FROM signals WHERE id = {number}"))  # noqa: S608 - a number
        limits = after if stored else limits
        assert (await store.load()).limits == limits
        assert bool(query(f"SELECT * FROM outbox WHERE signal_id = {number}")) == stored  # noqa: S608 - a number
        await store.set_state("attempt", attempt)
    assert 1 < limits.next_id < 151, "the timeouts have to strike on both sides of the commit"


async def test_writes_side_by_side(store: Store) -> None:
    """Writers that come together are served one after the other."""
    async with asyncio.TaskGroup() as group:
        for number in range(1, 21):
            group.create_task(store.remember([make_signal(number)], USED_UP, [entry_message(number)]))
            group.create_task(store.set_state("number", number))
    assert (await store.outbox_counts())[DeliveryState.PENDING] == 20


async def test_closing_waits_for_a_write(path: Path) -> None:
    """A write under way when the database is closed is finished first."""
    store = await Store.open(path)
    async with asyncio.TaskGroup() as group:
        group.create_task(store.remember([make_signal()], USED_UP, []))
        await asyncio.sleep(0)
        group.create_task(store.close())
    async with await Store.open(path) as again:
        assert len((await again.load()).open_signals) == 1


async def test_what_was_being_sent_is_uncertain_after_a_restart(store: Store, path: Path) -> None:
    """The process died between the request and its reply: nobody knows whether the chat has the message."""
    await store.enqueue([make_message(html="one"), make_message(html="two")])
    await store.mark_sending(1)
    await store.close()
    async with await Store.open(path) as again:
        assert [message.message.html for message in await again.uncertain_messages()] == ["one"]
        assert [message.message.html for message in await again.due_messages(0)] == ["two"]


def check_intact(path: Path) -> int:
    """Return how many signals a killed writer left, each with its messages, its limits and its end or none."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        count: int = connection.execute("SELECT count(*) FROM signals").fetchone()[0]
        ended: int = connection.execute("SELECT count(*) FROM outcomes").fetchone()[0]
        kinds = dict(connection.execute("SELECT kind, count(*) FROM outbox GROUP BY kind").fetchall())
        assert (kinds.get("entry", 0), kinds.get("exit", 0)) == (2 * count, 2 * ended), "a message per chat"
        assert connection.execute("SELECT count(*) FROM near_misses").fetchone()[0] == count
        limits = "SELECT json_extract(value, '$.next_id'), json_extract(value, '$.last_exit_ms.XLM') FROM state"
        limits += " WHERE key = 'limits'"
        next_id, last_exit_ms = connection.execute(limits).fetchone() or (1, None)
        assert next_id == count + 1, "the limits that the signals used up"
        assert last_exit_ms == connection.execute("SELECT max(exit_ms) FROM outcomes").fetchone()[0]
        left_open = "SELECT count(*) FROM open_signals WHERE signal_id IN (SELECT signal_id FROM outcomes)"
        assert connection.execute(left_open).fetchone() == (0,)
    return count


def test_kill_9(path: Path) -> None:
    """A writer killed at random a dozen times leaves a sound database, and each goes on where the last one stopped."""
    random = Random(5)
    before = 0
    for _ in range(12):
        command = [sys.executable, "-m", "tests.storage.endless_writer", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(random.randint(1, 40)):  # a line per step of its life
                assert writer.stdout.readline()
            writer.send_signal(os_signal.SIGKILL)
        count = check_intact(path)
        assert count >= before
        before = count
    assert before > 12


async def test_newer_schema_is_refused_before_anything_is_written(path: Path) -> None:
    """A message that newer code was sending is still being sent."""
    async with await Store.open(path) as store:
        await store.set_state("x", 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO outbox (chat_id, kind, priority, html, created_ms, state)"
            " VALUES ('1', 'notice', 1, 'x', 1, 'sending')"
        )
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="update the bot"):
        await Store.open(path)
    assert path.read_bytes() == before


async def test_a_busy_disk_is_tried_without_a_stall(store: Store, path: Path) -> None:
    """While another program keeps the database locked, trying the disk again holds no write up for seconds."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await store.remember([make_signal(1)], make_limits(next_id=2), [])
        assert "locked" in store.trouble
        loop = asyncio.get_running_loop()
        before = loop.time()
        await store.recover()
        assert loop.time() - before < 2
        other.execute("ROLLBACK")
    await store.recover()
    assert not store.trouble
    assert [signal.id for signal, _ in await store.signals()] == [1]


async def test_the_log_stays_short_behind_a_reader(
    store: Store, path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody keeps reading no windows are saved over a limit; signals are, and windows again afterwards."""
    monkeypatch.setattr(sqlite, "_LARGEST_WAL_BYTES", 40_000)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM signals").fetchall()
        await store.remember([make_signal(number) for number in range(1, 30)], make_limits(next_id=30), [])
        with pytest.raises(StorageError, match="keeps reading"):
            await store._keep_log_short()
        await store.remember([make_signal(30)], make_limits(next_id=31), [])
        reader.execute("COMMIT")
    await store._keep_log_short()
    assert Path(f"{path}-wal").stat().st_size == 0
    assert query("SELECT count(*) FROM signals") == [(30,)]
