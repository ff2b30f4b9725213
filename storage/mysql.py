"""The history in MySQL: a thread of its own that brings it up to the SQLite database whenever the server lets it."""

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pymysql
from loguru import logger
from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor

from storage.errors import StorageError
from storage.mysql_rows import (
    COLUMNS,
    HistoryRow,
    history_of_message,
    history_of_near_miss,
    history_of_outcome,
    history_of_run,
    history_of_signal,
    history_of_steering,
    history_of_venue_health,
    upsert,
)
from storage.mysql_schema import forget, migrate, tables

# Making SQL of rows keeps the interpreter busy, so the thread works in short bursts that a tick hardly feels: a batch
# of a thousand rows takes some 20 ms. With the rests between them 5,000 rows a second and more are copied.
_BATCH_ROWS = 1500  #: in one transaction, about
_MOST_CHANGES = 500
# The end of a batch: a signal has its features, scores and verdicts with it, anything else a row or a few.
_LAST_OF_BATCH = """
    SELECT max(seq) FROM (
        SELECT seq, sum(CASE source WHEN 'signals' THEN 60 ELSE 3 END) OVER (ORDER BY seq) AS rows_up_to
        FROM (SELECT seq, source FROM changes WHERE seq > ? ORDER BY seq LIMIT ?)
    )
    WHERE rows_up_to <= ?
"""
_REST_S = 0.03
_LOOK_AGAIN_S = 1.0
_SHORTEST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 60.0
_CONNECT_TIMEOUT_S = 5
_REPLY_TIMEOUT_S = 10

# Tables, their keys and what their rows become, in the order in which they refer to each other.
_SOURCES: tuple[tuple[str, str, Callable[[sqlite3.Row], Iterator[HistoryRow]]], ...] = (
    ("signals", "id", history_of_signal),
    ("outcomes", "signal_id", history_of_outcome),
    ("near_misses", "id", history_of_near_miss),
    ("outbox", "id", history_of_message),
    ("runs", "id", history_of_run),
    ("venue_health", "id", history_of_venue_health),
    ("steering", "id", history_of_steering),
)
# A row that is gone again is history that stays. CROSS JOIN and + keep SQLite from going by the source: it would look
# through all changes there have ever been for every batch.
_CHANGED = """
    SELECT {table}.* FROM changes CROSS JOIN {table} ON {key} = row_id
    WHERE seq > ? AND seq <= ? AND +source = ? ORDER BY seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """How the history stands."""

    behind: int  #: changes still to be copied, at most; 0 until the first look
    copied: int  #: the last change that has been copied; 0 until the first look
    trouble: str  #: why they cannot be copied now, "" while they can


class Mirror:
    """Copies every change of the SQLite database at `path` to MySQL, as far behind as the server makes it.

    How far it has come is kept in MySQL, in the transaction of the rows themselves: whatever becomes of the server, the
    connection or this process, the copy goes on from what the server really has, and a row copied twice stays one row.
    """

    def __init__(self, path: Path, *, host: str, port: int, user: str, password: str, database: str) -> None:
        self._path = path
        self._server: dict[str, Any] = {"host": host, "port": port, "user": user, "password": password}
        self._database = database
        self._stop = threading.Event()
        self._status = MirrorStatus(behind=0, copied=0, trouble="")
        # A server that hangs must not hold up the end of the process: nothing is lost, the next start goes on.
        self._thread = threading.Thread(target=self._run, name="mysql", daemon=True)

    def start(self) -> None:
        """Begin to copy; the database has to exist with this code's schema."""
        self._thread.start()

    def status(self) -> MirrorStatus:
        """Return how the copy stands."""
        return self._status

    async def close(self, seconds: float = 2.0) -> None:
        """Copy what there is and stop, within `seconds`; the rest is copied after the next start."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                with closing(self._open_source()) as source, closing(self._connect()) as target:
                    self._follow(source, target)
            except Exception as error:  # noqa: BLE001 - whatever ails the history, it is tried again and alerts go on
                wait_s = min(_LONGEST_BACKOFF_S, 2 * wait_s) if self._status.trouble else _SHORTEST_BACKOFF_S
                self._note(self._status.behind, self._status.copied, f"{type(error).__name__}: {error}")

    def _open_source(self) -> sqlite3.Connection:
        source = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        source.row_factory = sqlite3.Row
        return source

    def _connect(self) -> "Connection[Cursor]":
        return pymysql.connect(
            **self._server,
            database=self._database,
            charset="utf8mb4",
            sql_mode="STRICT_ALL_TABLES",
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_REPLY_TIMEOUT_S,
            write_timeout=_REPLY_TIMEOUT_S,
        )

    def _follow(self, source: sqlite3.Connection, target: "Connection[Cursor]") -> None:
        try:
            migrate(target)
            behind, is_last = 0, False
            while behind or not is_last:
                if not behind and not COLUMNS.keys() <= tables(target):
                    raise pymysql.ProgrammingError(ER.NO_SUCH_TABLE, "somebody dropped a table")
                is_last = self._stop.is_set()  # what was stored up to then is still copied, as far as there is time
                behind, copied = copy_batch(source, target)
                self._note(behind, copied, "")
                self._stop.wait(_REST_S if behind else _LOOK_AGAIN_S)
        except pymysql.ProgrammingError as error:
            if error.args[0] == ER.NO_SUCH_TABLE:
                forget(target)  # the next connection brings the table back and fills it
            raise

    def _note(self, behind: int, copied: int, trouble: str) -> None:
        if trouble and not self._status.trouble:
            logger.warning("the history in MySQL falls behind until this is over: {}", trouble)
        elif self._status.trouble and not trouble:
            logger.info("the history in MySQL is being written, {} changes behind", behind)
        self._status = MirrorStatus(behind=behind, copied=copied, trouble=trouble)


def copy_batch(source: sqlite3.Connection, target: "Connection[Cursor]") -> tuple[int, int]:
    """Copy the oldest changes that the history lacks in one transaction.

    Returns how many it lacks then, at most, and the last that it has.

    Raises
    ------
    StorageError
        The history is that of another SQLite database.
    """
    with target.cursor() as cursor:
        database_id, watermark = _position(source, cursor)
        newest = source.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0]
        last = source.execute(_LAST_OF_BATCH, (watermark, _MOST_CHANGES, _BATCH_ROWS)).fetchone()[0]
        if last is not None:
            for table, rows in _changed_rows(source, watermark, last).items():
                cursor.executemany(upsert(table), rows)
            cursor.execute("UPDATE sync SET watermark = %s WHERE database_id = %s", (last, database_id))
    target.commit()
    return (0, watermark) if last is None else (int(newest - last), int(last))


def _position(source: sqlite3.Connection, cursor: Cursor) -> tuple[str, int]:
    """Return the id of the SQLite database and the last of its changes that the history has."""
    stored = source.execute("SELECT value FROM state WHERE key = 'database_id'").fetchone()[0]
    database_id = str(orjson.loads(stored))
    cursor.execute("SELECT database_id, watermark FROM sync")
    rows = cursor.fetchall()
    if not rows:
        cursor.execute("INSERT INTO sync (database_id, watermark) VALUES (%s, 0)", (database_id,))
        return database_id, 0
    if rows[0][0] != database_id:
        raise StorageError(
            "this MySQL database holds the history of another DATA_DIR: give MYSQL_DATABASE another name"
        )
    newest = source.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'").fetchone()[0]
    # A database brought back from a backup counts its changes from there again: everything is copied anew.
    return database_id, int(rows[0][1]) if rows[0][1] <= newest else 0


def _changed_rows(source: sqlite3.Connection, after: int, last: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the changes `after`…`last` by table of the history, tables referred to first."""
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for name, key, history_of in _SOURCES:
        for row in source.execute(_CHANGED.format(table=name, key=key), (after, last, name)):
            for table, values in history_of(row):
                rows[table].append(values)
    return {table: rows[table] for table in COLUMNS if table in rows}
