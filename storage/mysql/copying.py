"""Copies one batch of changes from the SQLite database to MySQL, and keeps in MySQL how far the copy has come."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from loguru import logger
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from storage.errors import StorageError
from storage.mysql.rows import COLUMNS, SOURCES, upsert

# Making SQL of rows keeps the interpreter busy, so the thread works in short bursts that a tick hardly feels: a batch
# of a thousand rows takes some 20 ms. With the rests between them 5,000 rows a second and more are copied.
_BATCH_ROWS = 1500  #: in one transaction, about
MOST_CHANGES = 500
# The end of a batch: a signal has its features, scores and verdicts with it, anything else a row or a few.
_LAST_OF_BATCH = """
    SELECT max(seq) FROM (
        SELECT seq, sum(CASE source WHEN 'signals' THEN 60 ELSE 3 END) OVER (ORDER BY seq) AS rows_up_to
        FROM (SELECT seq, source FROM changes WHERE seq > ? ORDER BY seq LIMIT ?)
    )
    WHERE rows_up_to <= ?
"""

#: tables whose rows SQLite never loses but to a backup
_COPIED_ANEW = (
    *("control_exits", "controls", "exit_fills", "exits", "signal_features", "signal_targets", "signal_versions"),
    *("signals", "runs", "steering", "refused_rows"),
)
# A row that is gone again is history that stays. CROSS JOIN and + keep SQLite from going by the source: it would look
# through all changes there have ever been for every batch.
CHANGED = """
    SELECT {table}.* FROM changes CROSS JOIN {table} ON {key} = row_id
    WHERE seq > ? AND seq <= ? AND +source = ? ORDER BY seq
"""


def copy_batch(
    source: sqlite3.Connection, target: "Connection[Cursor]", most_changes: int = MOST_CHANGES
) -> tuple[int, int]:
    """Copy the oldest changes that are not in the history yet, in one transaction.

    Return how many are still missing, at most, and the last that is there.

    Raises
    ------
    StorageError
        The history is that of another SQLite database.
    """
    with target.cursor() as cursor:
        database_id, watermark = _position(source, cursor)
        newest = source.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0]
        last = source.execute(_LAST_OF_BATCH, (watermark, most_changes, _BATCH_ROWS)).fetchone()[0]
        if last is not None:
            for table, rows in _changed_rows(source, watermark, last).items():
                cursor.executemany(upsert(table), rows)
            cursor.execute("UPDATE sync SET watermark = %s WHERE database_id = %s", (last, database_id))
    target.commit()
    return (0, watermark) if last is None else (int(newest - last), int(last))


def set_aside(source: sqlite3.Connection, target: "Connection[Cursor]", error: str) -> None:
    """Record the oldest change that is not copied yet as refused, and continue after it."""
    with target.cursor() as cursor:
        database_id, watermark = _position(source, cursor)
        found = source.execute(
            "SELECT seq, source, row_id FROM changes WHERE seq > ? ORDER BY seq LIMIT 1", (watermark,)
        )
        for seq, table, row_id in found.fetchall():
            cursor.execute(
                "INSERT INTO refused_rows (source, row_id, error) VALUES (%s, %s, %s)"
                " ON DUPLICATE KEY UPDATE error = VALUES(error)",
                (table, row_id, error),
            )
            cursor.execute("UPDATE sync SET watermark = %s WHERE database_id = %s", (seq, database_id))
    target.commit()


def refused_rows(target: "Connection[Cursor]") -> int:
    """Return how many rows have been set aside."""
    with target.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM refused_rows")
        ((count,),) = cursor.fetchall()
    target.commit()
    return int(count)


def _position(source: sqlite3.Connection, cursor: Cursor) -> tuple[str, int]:
    """Return the id of the SQLite database and the last of its changes that the history has."""
    stored = source.execute("SELECT value FROM state WHERE key = 'database_id'").fetchone()[0]
    database_id = str(orjson.loads(stored))
    cursor.execute("SELECT database_id, watermark FROM sync")
    rows = cursor.fetchall()
    if rows and rows[0][0] != database_id:
        raise StorageError(
            "this MySQL database holds the history of another DATA_DIR: give MYSQL_DATABASE another name"
        )
    watermark = int(rows[0][1]) if rows else 0
    if not rows:
        cursor.execute("INSERT INTO sync (database_id, watermark) VALUES (%s, 0)", (database_id,))
    generations = source.execute("SELECT generation, first_seq FROM generations ORDER BY first_seq, id").fetchall()
    newest = source.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'").fetchone()[0]
    cursor.execute("SELECT generation FROM generation")
    known = {generation for (generation,) in cursor.fetchall()}
    if not _goes_on(watermark, newest, known, generations):
        # A database brought back from a backup counts its changes from there again.
        _forget_lost_rows(source, cursor)
        watermark = 0
    current = generations[-1][0] if generations else ""
    if known != {current}:
        cursor.execute("DELETE FROM generation")
        cursor.execute("INSERT INTO generation (generation) VALUES (%s)", (current,))
        cursor.execute("UPDATE sync SET watermark = %s WHERE database_id = %s", (watermark, database_id))
    return database_id, watermark


def _goes_on(watermark: int, newest: int, known: set[str], generations: Sequence[tuple[str, int]]) -> bool:
    """Return whether the database still has all changes of the generation that the history was copied from."""
    if watermark > newest:
        return False
    ids = [generation for generation, _ in generations]
    for generation in known & set(ids):
        later = [first_seq for _, first_seq in generations[ids.index(generation) + 1 :]]
        return not later or watermark <= later[0]
    return not known - {""} or not watermark


def _forget_lost_rows(source: sqlite3.Connection, cursor: Cursor) -> None:
    """Delete rows that may be younger than the backup; the rest is copied again, and what was pruned stays."""
    logger.warning("the database was restored from a backup: the history in MySQL is copied anew")
    cursor.execute("SET SESSION foreign_key_checks = 0")
    for table in _COPIED_ANEW:
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    cursor.execute("DELETE FROM verdicts WHERE subject = 'signal'")
    for table in ("near_misses", "venue_health", "outbox"):
        ((first,),) = source.execute(f"SELECT coalesce(min(id), 0) FROM {table}").fetchall()  # noqa: S608
        ((last,),) = source.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", (table,))
        if table == "near_misses":
            cursor.execute("DELETE FROM near_miss_exits WHERE near_miss_id >= %s", (first,))
            cursor.execute("DELETE FROM verdicts WHERE subject = 'near_miss' AND subject_id >= %s", (first,))
        theirs, first = ("deliveries", last + 1) if table == "outbox" else (table, first)
        cursor.execute(f"DELETE FROM {theirs} WHERE id >= %s", (first,))  # noqa: S608
    cursor.execute("SET SESSION foreign_key_checks = 1")


def _changed_rows(source: sqlite3.Connection, after: int, last: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the changes `after`…`last` by table of the history, tables referred to first."""
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for name, key, history_of in SOURCES:
        for row in source.execute(CHANGED.format(table=name, key=key), (after, last, name)):
            for table, values in history_of(row):
                rows[table].append(values)
    return {table: rows[table] for table in COLUMNS if table in rows}
