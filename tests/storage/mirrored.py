"""Whether the history in MySQL is what the SQLite database holds, row for row."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from storage.mysql import _SOURCES
from storage.mysql_rows import COLUMNS
from tests.storage.mariadb import MariaDb

_PRICES = {"entry", "take_profit", "stop", "fill", "reachable_entry"}
Rows = dict[str, list[tuple[Any, ...]]]


def of_sqlite(path: Path) -> Rows:
    """Return the rows that the history should hold."""
    rows: Rows = defaultdict(list)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table, _, history_of in _SOURCES:
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
