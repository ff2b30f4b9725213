"""The history is complete and exact, however its server is treated."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
import pytest

from fetchers.simulated.scenario import Planted
from scoring.signals import ExitReason, Result
from storage import mysql
from storage.errors import StorageError
from storage.mysql import Mirror, copy_batch
from storage.mysql_schema import migrate
from storage.sqlite import Store
from tests.bot.stage import staged
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
from tests.storage.mariadb import PASSWORD, USER, MariaDb, private_mariadb
from tests.storage.mirrored import of_mysql, of_sqlite
from tests.storage.troubles import TROUBLES

TABLES = ("signals", "signal_features", "near_misses", "verdicts", "exits", "deliveries")


async def fill(store: Store, first: int, last: int) -> None:
    """Store signals `first`…`last` with messages and a near miss, every second of them ended."""
    signals = [
        make_signal(number, levels=make_levels(entry=1.1e-9 * number), reasons=("one", "zwei 🎯"))
        for number in range(first, last + 1)
    ]
    messages = [entry_message(signal.id) for signal in signals]
    await store.remember(signals, make_limits(), messages, [make_near_miss(failed=("score", "spread"))])
    for signal in signals[::2]:
        await store.record_outcome(make_outcome(signal.id), make_limits(), [exit_message(signal.id)])


def utc(epoch_ms: int) -> datetime:
    """Return a time as the history gives it."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).replace(tzinfo=None)


def source_of(path: Path) -> Any:
    """Open the SQLite database as the mirror does."""
    source = sqlite3.connect(path)
    source.row_factory = sqlite3.Row
    return closing(source)


def history(server: MariaDb, database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the history."""
    return {table: sorted(server.root(f"SELECT * FROM {table}", database=database), key=repr) for table in TABLES}  # noqa: S608


def count(server: MariaDb, database: str, table: str) -> int:
    """Return how many rows a table has, 0 while it does not exist."""
    if not server.root(f"SHOW TABLES FROM {database} LIKE '{table}'"):
        return 0
    ((rows,),) = server.root(f"SELECT count(*) FROM {table}", database=database)  # noqa: S608 - a name of ours
    return int(rows)


def copy(path: Path, server: MariaDb, database: str) -> None:
    """Bring the history up to the SQLite database."""
    with source_of(path) as source, server.connect(USER, PASSWORD, database) as target:
        migrate(target)
        while copy_batch(source, target)[0]:
            pass


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
        monkeypatch.setattr(mysql, name, seconds)


async def test_every_value(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Each record is in the history with the same values: prices to the last digit, times in UTC, NaN as NULL."""
    signal = make_signal(features={"spread_bps": 0.1 + 0.2, "btc_return": float("nan"), "ratio": float("inf")})
    reachable = Result(entry=1.2e-9, gross_percent=1.0, net_percent=0.9, r=1.1)
    outcome = make_outcome(reason=ExitReason.STOP_LOSS, reachable=reachable, note="settled")
    await store.remember([signal], make_limits(), [entry_message()], [make_near_miss(entry=float("nan"))])
    await store.record_outcome(outcome, make_limits(), [])
    await store.mark_sending(1)
    await store.mark_sent(1, 555, signal.decided_ms + 7)
    copy(path, server, database)
    ((*signal_row,),) = server.root(
        "SELECT id, decided_at, side, venue, instrument_id, coin, pair, score, entry, take_profit, stop,"
        " break_even_win_rate, reasons, code_hash FROM signals",
        database=database,
    )
    assert signal_row == [
        *(1, utc(signal.decided_ms), "short", "bybit", "XLMUSDT", "XLM", "XLM/USDT:USDT", 76.4),
        *(Decimal("0.000012345"), Decimal("0.000012136"), Decimal("0.000012444"), 0.3615),
        *("sweep of 12 times the median", "c0de"),
    ]
    rows = history(server, database)
    assert {row[1:] for row in rows["signal_features"]} == {
        ("feature", "spread_bps", 0.1 + 0.2),
        ("feature", "btc_return", None),
        ("feature", "ratio", None),
        ("sub_score", "sweep", 80.0),
        ("sub_score", "funding", 0.1 + 0.2),
        ("contribution", "sweep", 12.0),
        ("contribution", "funding", 0.03),
    }
    assert rows["verdicts"] == [
        ("near_miss", 1, "score", 0, None, None, ""),
        ("signal", 1, "score", 1, 76.4, 72.0, "score 76.4 >= 72"),
    ]
    assert rows["near_misses"] == [(1, utc(1_700_000_000_000), "bybit", "XLMUSDT", "XLM", 70.5, None)]
    assert rows["exits"] == [
        (
            *(1, utc(outcome.exit_ms), "stop_loss", Decimal("0.000012136"), 1.693, 1.593, 1.766),
            *(Decimal("0.0000000012"), 1.0, 0.9, 1.1, 0.2, 1.8, 600.0, 0, "settled"),
        )
    ]
    created, sent = utc(1_700_000_000_000), utc(signal.decided_ms + 7)
    assert rows["deliveries"] == [(1, 1, "100", "entry", "sent", 1, 0, created, sent, 555, "")]


async def test_copied_twice_is_there_once(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """A server that forgot how far the copy had come gets everything again and holds each row once."""
    await fill(store, 1, 300)
    copy(path, server, database)
    before = history(server, database)
    assert len(before["signals"]) == 300
    assert len(before["exits"]) == 150
    assert len(before["verdicts"]) == 300 + 2
    server.root("UPDATE sync SET watermark = 0", database=database)
    copy(path, server, database)
    assert history(server, database) == before


def test_a_long_history_costs_no_more(path: Path, query: Query, store: Store) -> None:
    """Each query of a batch goes straight to the batch's changes, however many there have been before."""
    for table, key, _ in mysql._SOURCES:
        plan = query("EXPLAIN QUERY PLAN" + mysql._CHANGED.format(table=table, key=key).replace("?", "'1'"))
        steps = [step for *_, step in plan]
        assert steps[0] == "SEARCH changes USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
        assert [step.split()[0] for step in steps] == ["SEARCH", "SEARCH"]


async def test_changes_follow(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """A running mirror brings what is added and what changes."""
    async with mirroring(path, server, database) as mirror:
        await fill(store, 1, 3)
        await store.mark_sending(1)
        await until(lambda: count(server, database, "deliveries"))
        await until(
            lambda: server.root("SELECT state FROM deliveries WHERE id = 1", database=database) == (("sending",),)
        )
        await store.mark_sent(1, 555, 1)
        await until(lambda: server.root("SELECT state FROM deliveries WHERE id = 1", database=database) == (("sent",),))
        assert mirror.status().trouble == ""


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
                await until(lambda said=words: said in mirror.status().trouble)
            await until(lambda: not mirror.status().trouble)
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
                while not bot.orchestrator.exits:
                    await bot.tick_for(2)
                await until(lambda: mirror.status().trouble)
            await until(lambda: not mirror.status().trouble and count(server, database, "exits") == 100 + 1)
            await until(lambda: of_mysql(server, database) == of_sqlite(path))  # deliveries go on meanwhile
    ((coin, reason),) = server.root("SELECT coin, reason FROM latest_signals WHERE id < 1001", database=database)
    assert (coin, reason) == ("KORVA", "take_profit")


async def test_a_restored_backup(store: Store, path: Path, tmp_path: Path, server: MariaDb, database: str) -> None:
    """A database set back to a backup is copied on, although its changes are counted from there again."""
    await fill(store, 1, 4)
    await store.back_up(tmp_path / "backup")
    await fill(store, 5, 8)
    copy(path, server, database)
    async with await Store.open(tmp_path / "backup") as restored:
        await restored.remember([make_signal(5, coin="PEPE")], make_limits(), [])
        copy(tmp_path / "backup", server, database)
    assert server.root("SELECT coin FROM signals WHERE id = 5", database=database) == (("PEPE",),)


async def test_the_last_words(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """What a bot stores as it ends is copied before the mirror is closed."""
    await store.begin_run(1, "1.0", "c0de", "c0nf")
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().copied)
        await store.end_run(2)
    ((ended_at,),) = server.root("SELECT ended_at FROM runs", database=database)
    assert ended_at == utc(2)


async def test_the_history_of_another_bot(
    store: Store, path: Path, tmp_path: Path, server: MariaDb, database: str
) -> None:
    """A history is not mixed with that of another DATA_DIR, whose ids are the same."""
    await fill(store, 1, 2)
    copy(path, server, database)
    async with await Store.open(tmp_path / "other" / "sgnl.sqlite3") as other:
        await fill(other, 1, 1)
        with pytest.raises(StorageError, match="another DATA_DIR"):
            copy(tmp_path / "other" / "sgnl.sqlite3", server, database)
    assert len(history(server, database)["signals"]) == 2


async def test_closing_does_not_wait_for_a_server(store: Store, path: Path) -> None:
    """A server that is away holds up nothing: the mirror says why and ends when told."""
    async with mirroring(path, MariaDbAway(), "nowhere") as mirror:
        await until(lambda: "Can't connect" in mirror.status().trouble)


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

    monkeypatch.setattr(mysql, "copy_batch", fail_first)
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


@pytest.mark.parametrize(("required", "ending"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_machine_without_mariadb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, ending: type[BaseException]
) -> None:
    """Where the server is not installed these tests are skipped with the package's name, in CI they fail with it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SGNL_REQUIRE_MYSQL", required)
    with pytest.raises(ending, match="apt-get install mariadb-server"):
        next(private_mariadb(tmp_path))


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


async def test_a_restored_database_is_always_noticed(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Also where the new life has passed the watermark of the one that was lost before MySQL was looked at again."""
    await store.begin_run(1, "1.0", "c0de", "c0nf")
    await fill(store, 1, 5)
    backup = path.with_name("backup")
    await store.back_up(backup)
    await fill(store, 6, 9)
    copy(path, server, database)
    await store.close()
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    backup.replace(path)
    async with await Store.open(path) as again:
        await again.begin_run(2, "1.0", "c0de", "c0nf")
        limits = make_limits(next_id=15)
        await again.remember(
            [make_signal(number, coin="NEW") for number in range(6, 15)], limits, [], [make_near_miss()]
        )
        copy(path, server, database)
        assert of_mysql(server, database) == of_sqlite(path)
        await again.begin_run(3, "1.0", "c0de", "c0nf")
        await fill(again, 15, 16)
        with source_of(path) as source, server.connect(USER, PASSWORD, database) as target:
            assert copy_batch(source, target)[0] == 0
    assert of_mysql(server, database) == of_sqlite(path)


@pytest.mark.usefixtures("impatient")
async def test_refused_rows_are_set_aside(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Too long, not to be encoded, or larger than a packet: the row is noted with why, and the others are copied."""
    server.root("SET GLOBAL max_allowed_packet = 1048576")
    await fill(store, 1, 3)
    await store.remember([make_signal(4, instrument_id="X" * 65)], make_limits(next_id=5), [])
    await store.enqueue([make_message(), make_message(), make_message()])
    ids = [row_id for (row_id,) in sqlite3.connect(path).execute("SELECT id FROM outbox ORDER BY id DESC LIMIT 3")]
    await store.mark_failed(ids[0], "e" * 70_000)
    await store.mark_failed(ids[1], "e" * 3_000_000)
    await fill(store, 5, 30)
    async with mirroring(path, server, database) as mirror:
        await until(lambda: mirror.status().set_aside == 3 and mirror.status().behind == 0 and mirror.status().copied)
        assert not mirror.status().trouble
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


@pytest.mark.parametrize("password", ["Größe1234", "pass€1234", "parola 密码"])
def test_passwords_of_any_letters(server: MariaDb, password: str) -> None:
    """The server takes passwords as UTF-8."""
    name = f"letters{len(password)}"
    server.root(f"CREATE DATABASE IF NOT EXISTS {name}")
    with server.connect("root", "", None) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER '{name}'@'%%' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON {name}.* TO '{name}'@'%'")
    login: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "user": name, "database": name}
    assert "MariaDB" in mysql.server_version(mysql.Server(**login, password=password))
    with pytest.raises(StorageError, match="Access denied"):
        mysql.server_version(mysql.Server(**login, password="no"))


def test_tls_that_is_required_is_not_gone_without(server: MariaDb) -> None:
    """A server without a certificate that can be trusted is refused, not spoken to in clear."""
    login: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "root",
        "password": "",
        "database": "mysql",
    }
    with pytest.raises(StorageError):
        mysql.server_version(mysql.Server(**login, is_tls_required=True))
    assert mysql.server_version(mysql.Server(**login))
