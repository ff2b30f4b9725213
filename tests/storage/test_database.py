"""Transactions are whole or absent, whatever stops them, and many may read beside the one writer."""

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

from storage import database
from storage.errors import StorageError
from storage.messages import DeliveryState
from storage.migrations import MIGRATIONS
from storage.store import Store, StoreReader
from tests.storage.builders import (
    entry_message,
    make_limits,
    make_signal,
)
from tests.storage.conftest import Query

pytestmark = pytest.mark.long

USED_UP = make_limits(next_id=2, last_signal_ms={"XLM": 7})


async def test_durability(store: Store) -> None:
    """The writer waits for the disk at every commit, and readers do not wait for the writer."""
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
        ((found,),) = await store.database._writer.execute_fetchall(f"PRAGMA {pragma}")
        assert found == value


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
        await store.state.put("attempt", attempt)
    assert 1 < limits.next_id < 151, "the timeouts have to strike on both sides of the commit"


async def test_writes_side_by_side(store: Store) -> None:
    """Writers that come together are served one after the other."""
    async with asyncio.TaskGroup() as group:
        for number in range(1, 21):
            group.create_task(store.remember([make_signal(number)], USED_UP, [entry_message(number)]))
            group.create_task(store.state.put("number", number))
    assert (await store.outbox.counts())[DeliveryState.PENDING] == 20


async def test_closing_waits_for_a_write(path: Path) -> None:
    """A write under way when the database is closed is finished first."""
    store = await Store.open(path)
    async with asyncio.TaskGroup() as group:
        group.create_task(store.remember([make_signal()], USED_UP, []))
        await asyncio.sleep(0)
        group.create_task(store.close())
    async with await Store.open(path) as again:
        assert len((await again.load()).open_signals) == 1


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
        await store.state.put("x", 1)
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
        assert "locked" in store.database.fault
        loop = asyncio.get_running_loop()
        before = loop.time()
        await store.database.recover()
        assert loop.time() - before < 2
        other.execute("ROLLBACK")
    await store.database.recover()
    assert not store.database.fault
    assert [signal.id for signal, _ in await store.signals.find()] == [1]


async def test_the_log_stays_short_behind_a_reader(
    store: Store, path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody keeps reading no windows are saved over a limit; signals are, and windows again afterwards."""
    monkeypatch.setattr(database, "_LARGEST_WAL_BYTES", 40_000)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM signals").fetchall()
        await store.remember([make_signal(number) for number in range(1, 30)], make_limits(next_id=30), [])
        with pytest.raises(StorageError, match="keeps reading"):
            await store.database.keep_log_short()
        await store.remember([make_signal(30)], make_limits(next_id=31), [])
        reader.execute("COMMIT")
    await store.database.keep_log_short()
    assert Path(f"{path}-wal").stat().st_size == 0
    assert query("SELECT count(*) FROM signals") == [(30,)]


async def test_the_log_is_cut_back(store: Store, path: Path) -> None:
    """However much is written while somebody reads, the write-ahead log is brought into the database and cut back."""
    long = ("long " * 200_000,)
    for number in range(1, 61):
        await store.remember([make_signal(number, reasons=long)], make_limits(), [])
        await store.signals.get(1)
    wal = path.with_name(f"{path.name}-wal")
    assert wal.stat().st_size < 24 * 1024 * 1024
    assert path.stat().st_size > 40 * 1024 * 1024


async def test_reading_beside_a_running_bot(store: Store, path: Path) -> None:
    """A report reads while a bot writes, sees what is committed, and cannot write."""
    async with await StoreReader.open(path) as history:
        assert await history.signals.find() == []
        await store.remember([make_signal(1)], make_limits(next_id=2), [])
        assert len(await history.signals.find()) == 1
        with pytest.raises(StorageError, match="cannot be written"):
            await history.database.read("DELETE FROM signals")


async def test_nothing_to_read_yet(path: Path) -> None:
    """A report before the bot's first run says so and leaves no file behind."""
    with pytest.raises(StorageError, match="cannot be opened"):
        await StoreReader.open(path)
    assert not path.exists()


async def test_backup(store: Store, path: Path, tmp_path: Path) -> None:
    """A copy is a whole database, and is brought up to date by the next one."""
    async with await StoreReader.open(path) as reader:
        for n in (4, 5):
            await store.remember([make_signal(n)], make_limits(), [])
            await reader.database.back_up(tmp_path / "copy.db")
            async with await StoreReader.open(tmp_path / "copy.db") as copied:
                assert repr(await copied.signals.find()) == repr(await store.signals.find())
    assert not list(tmp_path.glob("*.part*"))


async def test_a_backup_that_cannot_be(store: Store, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(StorageError, match="nowhere"):
        await store.database.back_up(tmp_path / "nowhere" / "copy.db")
