"""Rows for the history, copying them, and whether it is then what the SQLite database holds, row for row."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from storage.mysql.copying import copy_batch
from storage.mysql.rows import COLUMNS, SOURCES
from storage.mysql.schema import migrate
from storage.store import Store
from tests.storage.builders import (
    entry_message,
    exit_message,
    make_levels,
    make_limits,
    make_near_miss,
    make_outcome,
    make_signal,
)
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb

_PRICES = {"entry", "take_profit", "stop", "fill", "reachable_entry", "price"}
Rows = dict[str, list[tuple[Any, ...]]]


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


def source_of(path: Path) -> Any:
    """Open the SQLite database as the mirror does."""
    source = sqlite3.connect(path)
    source.row_factory = sqlite3.Row
    return closing(source)


def copy(path: Path, server: MariaDb, database: str) -> None:
    """Bring the history up to the SQLite database."""
    with source_of(path) as source, server.connect(USER, PASSWORD, database) as target:
        migrate(target)
        while copy_batch(source, target)[0]:
            pass


def count(server: MariaDb, database: str, table: str) -> int:
    """Return how many rows a table has, 0 while it does not exist."""
    if not server.root(f"SHOW TABLES FROM {database} LIKE '{table}'"):
        return 0
    ((rows,),) = server.root(f"SELECT count(*) FROM {table}", database=database)  # noqa: S608 - a name of ours
    return int(rows)


def of_sqlite(path: Path) -> Rows:
    """Return the rows that the history should hold."""
    rows: Rows = defaultdict(list)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table, _, history_of in SOURCES:
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name of ours
                for name, values in history_of(row):
                    rows[name].append(values)
    return {table: _in_order(table, rows[table]) for table in COLUMNS}


def of_mysql(server: MariaDb, database: str) -> Rows:
    """Return the rows that it holds, read by the server's owner."""
    return {
        table: _in_order(table, server.root(f"SELECT {', '.join(columns)} FROM {table}", database=database))  # noqa: S608
        for table, columns in COLUMNS.items()
    }


def _in_order(table: str, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    plain = [tuple(_plain(name, value) for name, value in zip(COLUMNS[table], row, strict=True)) for row in rows]
    return sorted(plain, key=repr)


def _plain(name: str, value: Any) -> Any:
    """Return one form of what the two databases write differently."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if name in _PRICES and value is not None:
        return round(Decimal(value), 18).normalize()  # of DECIMAL(38, 18)
    return int(value) if isinstance(value, bool) else value
