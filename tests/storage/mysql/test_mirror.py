"""The history is complete and exact, however its server is treated."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from fetchers.simulated.scenario import Planted
from storage.mysql import mirror as mirror_module
from storage.mysql.copying import copy_batch
from storage.mysql.mirror import Mirror
from storage.store import Store
from tests.bot.stage import staged
from tests.storage.builders import (
    make_limits,
    make_message,
    make_signal,
)
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import count, fill, of_mysql, of_sqlite
from tests.storage.mysql.troubles import TROUBLES

pytestmark = pytest.mark.long


@asynccontextmanager
async def mirroring(path: Path, server: MariaDb, database: str) -> AsyncIterator[Mirror]:
    """Yield a running mirror."""
    mirror = Mirror(path, host="127.0.0.1", port=server.port, user=USER, password=PASSWORD, database=database)
    mirror.start()
    yield mirror
    await mirror.close(10)
    assert not mirror._thread.is_alive()


async def until(holds: Any) -> None:
    """Wait for another thread until something holds."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the other thread, or the server, sets no event of ours
            await asyncio.sleep(0.01)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the mirror give up and try again sooner than it should in life."""
    soon = {"_REPLY_TIMEOUT_S": 1, "_LOOK_AGAIN_S": 0.01, "_SHORTEST_BACKOFF_S": 0.05, "_LONGEST_BACKOFF_S": 0.2}
    for name, seconds in soon.items():
        monkeypatch.setattr(mirror_module, name, seconds)


async def test_changes_follow(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """A running mirror brings what is added and what changes."""
    async with mirroring(path, server, database) as mirror:
        await fill(store, 1, 3)
        await store.outbox.mark_sending(1)
        await until(lambda: count(server, database, "deliveries"))
        await until(
            lambda: server.root("SELECT state FROM deliveries WHERE id = 1", database=database) == (("sending",),)
        )
        await store.outbox.mark_sent(1, 555, 1)
        await until(lambda: server.root("SELECT state FROM deliveries WHERE id = 1", database=database) == (("sent",),))
        assert mirror.status().fault == ""


@pytest.mark.usefixtures("impatient")
async def test_chaos(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Whatever befalls the server while more is stored, the mirror says so, and in the end every row is there once."""
    made = 0
    async with mirroring(path, server, database) as mirror:
        for words, trouble in TROUBLES.values():
            await fill(store, made + 1, made + 20)
            await until(lambda stored=made + 20: count(server, database, "signals") == stored)
            with trouble(server, database):
                await fill(store, made + 21, made + 40)
                made += 40
                await until(lambda said=words: said in mirror.status().fault)
            await until(lambda: not mirror.status().fault)
        await until(lambda: count(server, database, "deliveries") == made + made // 2)
    assert of_mysql(server, database) == of_sqlite(path)


@pytest.mark.usefixtures("impatient")
async def test_a_running_bot(tmp_path: Path, server: MariaDb, database: str) -> None:
    """A bot ticks, alerts and follows its signal while its server is killed and frozen; all of it is copied."""
    setup = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit")
    path = tmp_path / "sgnl.db"
    async with staged(tmp_path, setup, exchanges={"bybit"}) as stage, stage.bot() as bot:
        await fill(bot.store, 1001, 1200)
        async with mirroring(path, server, database) as mirror:
            await bot.tick_for(8)
            with TROUBLES["killed"][1](server, database):
                await bot.tick_for(20)
            with TROUBLES["frozen"][1](server, database):
                while not bot.orchestrator.activity.exits:
                    await bot.tick_for(2)
                await until(lambda: mirror.status().fault)
            await until(lambda: not mirror.status().fault and count(server, database, "exits") == 100 + 1)
            await until(lambda: of_mysql(server, database) == of_sqlite(path))  # deliveries go on meanwhile
    ((coin, reason),) = server.root("SELECT coin, reason FROM latest_signals WHERE id < 1001", database=database)
    assert (coin, reason) == ("KORVA", "take_profit")


async def test_the_last_words(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """What a bot stores as it ends is copied before the mirror is closed."""
    await store.runs.begin(1, "1.0", "c0de", "c0nf")
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().copied)
        await store.runs.end(2)
    ended = server.root("SELECT ended_at FROM runs WHERE ended_at IS NOT NULL", database=database)
    assert [str(ended_at) for (ended_at,) in ended] == ["1970-01-01 00:00:00.002000"]


async def test_closing_does_not_wait_for_a_server(store: Store, path: Path) -> None:
    """A server that is away holds up nothing: the mirror says why and ends when told."""
    async with mirroring(path, MariaDbAway(), "nowhere") as mirror:
        await until(lambda: "Can't connect" in mirror.status().fault)


@pytest.mark.usefixtures("impatient")
async def test_every_error_ends_the_connection(
    store: Store, path: Path, server: MariaDb, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each way in which a connection is lost there is another one, with its timeouts set, and all is copied."""
    lost = [(2003, "Can't connect"), (2006, "gone away"), (2013, "Lost connection"), (0, "")]
    errors = [pymysql.OperationalError(*one) for one in lost[:3]] + [pymysql.InterfaceError(*one) for one in lost[3:]]
    used = []

    def fail_first(source: sqlite3.Connection, target: Any, most_changes: int) -> tuple[int, int]:
        used.append(target)
        assert min(target.connect_timeout, target._read_timeout, target._write_timeout) > 0
        if errors:
            raise errors.pop(0)
        return copy_batch(source, target, most_changes)

    monkeypatch.setattr(mirror_module, "copy_batch", fail_first)
    await fill(store, 1, 3)
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().copied)
    assert len({id(connection) for connection in used}) == 5
    assert of_mysql(server, database) == of_sqlite(path)


async def test_back_off(store: Store, path: Path) -> None:
    """A server that stays away is tried after 1, 2, 4 … seconds, at last every minute."""
    mirror = Mirror(path, host="127.0.0.1", port=1, user="", password="", database="")
    mirror._stop = waited = Impatience()
    mirror.start()
    await until(lambda: len(waited.seconds) >= 9)
    await mirror.close()
    assert waited.seconds[:9] == [0, 1, 2, 4, 8, 16, 32, 60, 60]


class Impatience(threading.Event):
    """Notes how long it should wait, and waits no longer than a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether it is set."""
        self.seconds.append(timeout)
        return super().wait(0.001)


class MariaDbAway(MariaDb):
    """A port at which nobody listens."""

    def __init__(self) -> None:
        self.port = 1


@pytest.mark.usefixtures("impatient")
async def test_refused_rows_are_set_aside(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Too long, not to be encoded, or larger than a packet: the row is noted with why, and the others are copied."""
    server.root("SET GLOBAL max_allowed_packet = 1048576")
    await fill(store, 1, 3)
    await store.remember([make_signal(4, instrument_id="X" * 65)], make_limits(next_id=5), [])
    await store.outbox.enqueue([make_message(), make_message(), make_message()])
    ids = [row_id for (row_id,) in sqlite3.connect(path).execute("SELECT id FROM outbox ORDER BY id DESC LIMIT 3")]
    await store.outbox.mark_failed(ids[0], "e" * 70_000)
    await store.outbox.mark_failed(ids[1], "e" * 3_000_000)
    await fill(store, 5, 30)
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().set_aside == 3 and mirror.status().behind == 0 and mirror.status().copied)
        assert not mirror.status().fault
    server.root("SET GLOBAL max_allowed_packet = 16777216")
    noted = server.root("SELECT source, row_id, error FROM refused_rows ORDER BY source, row_id", database=database)
    assert [(source, row_id) for source, row_id, _ in noted] == [
        *(("outbox", one) for one in sorted(ids[:2])),
        ("signals", 4),
    ]
    assert all(0 < len(error) <= 300 for _, _, error in noted)
    assert count(server, database, "signals") == 29


@pytest.mark.usefixtures("impatient")
async def test_a_dropped_view_comes_back(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Views are looked for as tables are."""
    await fill(store, 1, 2)
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().copied and not mirror.status().behind)
        server.root("DROP VIEW latest_signals", database=database)
        await until(lambda: bool(server.root(f"SHOW TABLES FROM {database} LIKE 'latest_signals'")))
