"""Copied rows are complete and exact, also after a backup was restored."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scoring.signals import ExitReason, Result
from storage.errors import StorageError
from storage.mysql.copying import CHANGED, copy_batch
from storage.mysql.rows import SOURCES
from storage.store import Store
from tests.storage.builders import entry_message, make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.conftest import Query
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import copy, fill, of_mysql, of_sqlite, source_of

TABLES = ("signals", "signal_features", "near_misses", "verdicts", "exits", "deliveries")


def utc(epoch_ms: int) -> datetime:
    """Return a time as the history gives it."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).replace(tzinfo=None)


def history(server: MariaDb, database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the history."""
    return {table: sorted(server.root(f"SELECT * FROM {table}", database=database), key=repr) for table in TABLES}  # noqa: S608


async def test_every_value(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Each record is in the history with the same values: prices to the last digit, times in UTC, NaN as NULL."""
    signal = make_signal(features={"spread_bps": 0.1 + 0.2, "btc_return": float("nan"), "ratio": float("inf")})
    reachable = Result(entry=1.2e-9, gross_percent=1.0, net_percent=0.9, r=1.1)
    outcome = make_outcome(reason=ExitReason.STOP_LOSS, reachable=reachable, note="settled")
    await store.remember([signal], make_limits(), [entry_message()], [make_near_miss(entry=float("nan"))])
    await store.record_outcome(outcome, make_limits(), [])
    await store.outbox.mark_sending(1)
    await store.outbox.mark_sent(1, 555, signal.decided_ms + 7)
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
    for table, key, _ in SOURCES:
        plan = query("EXPLAIN QUERY PLAN" + CHANGED.format(table=table, key=key).replace("?", "'1'"))
        steps = [step for *_, step in plan]
        assert steps[0] == "SEARCH changes USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
        assert [step.split()[0] for step in steps] == ["SEARCH", "SEARCH"]


async def test_a_restored_backup(store: Store, path: Path, tmp_path: Path, server: MariaDb, database: str) -> None:
    """A database set back to a backup is copied on, although its changes are counted from there again."""
    await fill(store, 1, 4)
    await store.database.back_up(tmp_path / "backup")
    await fill(store, 5, 8)
    copy(path, server, database)
    async with await Store.open(tmp_path / "backup") as restored:
        await restored.remember([make_signal(5, coin="PEPE")], make_limits(), [])
        copy(tmp_path / "backup", server, database)
    assert server.root("SELECT coin FROM signals WHERE id = 5", database=database) == (("PEPE",),)


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


async def test_a_restored_database_is_always_noticed(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Also where the new life has passed the watermark of the one that was lost before MySQL was looked at again."""
    await store.runs.begin(1, "1.0", "c0de", "c0nf")
    await fill(store, 1, 5)
    backup = path.with_name("backup")
    await store.database.back_up(backup)
    await fill(store, 6, 9)
    copy(path, server, database)
    await store.close()
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    backup.replace(path)
    async with await Store.open(path) as again:
        await again.runs.begin(2, "1.0", "c0de", "c0nf")
        limits = make_limits(next_id=15)
        await again.remember(
            [make_signal(number, coin="NEW") for number in range(6, 15)], limits, [], [make_near_miss()]
        )
        copy(path, server, database)
        assert of_mysql(server, database) == of_sqlite(path)
        await again.runs.begin(3, "1.0", "c0de", "c0nf")
        await fill(again, 15, 16)
        with source_of(path) as source, server.connect(USER, PASSWORD, database) as target:
            assert copy_batch(source, target)[0] == 0
    assert of_mysql(server, database) == of_sqlite(path)
