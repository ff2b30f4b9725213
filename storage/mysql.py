"""The history in MySQL: a thread of its own that brings it up to the SQLite database whenever the server lets it."""

import asyncio
import sqlite3
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pymysql
from loguru import logger
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from storage.errors import StorageError
from storage.mysql_rows import (
    COLUMNS,
    HistoryRow,
    history_of_control,
    history_of_control_outcome,
    history_of_message,
    history_of_near_miss,
    history_of_near_miss_outcome,
    history_of_outcome,
    history_of_run,
    history_of_signal,
    history_of_steering,
    history_of_venue_health,
    upsert,
)
from storage.mysql_schema import VIEWS, forget, migrate, tables

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
LONGEST_ERROR = 300  #: characters
EXPECTED = COLUMNS.keys() | VIEWS
_FAILURES_ALONE = 3
#: connection lost: the server's fault, or that of a packet too large for it
_LOST = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, ER.NET_PACKET_TOO_LARGE, 0})
#: what the server cannot do for any row now: locked, full, read-only, not allowed, shutting down, tables changed
_NOT_THE_ROWS = frozenset(
    {1021, 1030, 1040, 1044, 1045, 1053, 1054, 1114, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1317, 1836, 2003}
)

# Tables, their keys and what their rows become, in the order in which they refer to each other.
_SOURCES: tuple[tuple[str, str, Callable[[sqlite3.Row], Iterator[HistoryRow]]], ...] = (
    ("signals", "id", history_of_signal),
    ("outcomes", "signal_id", history_of_outcome),
    ("controls", "id", history_of_control),
    ("control_outcomes", "control_id", history_of_control_outcome),
    ("near_misses", "id", history_of_near_miss),
    ("near_miss_outcomes", "near_miss_id", history_of_near_miss_outcome),
    ("outbox", "id", history_of_message),
    ("runs", "id", history_of_run),
    ("venue_health", "id", history_of_venue_health),
    ("steering", "id", history_of_steering),
)
#: tables whose rows SQLite never loses but to a backup
_COPIED_ANEW = (
    *("control_exits", "controls", "exits", "signal_features", "signals", "runs", "steering", "refused_rows"),
)
# A row that is gone again is history that stays. CROSS JOIN and + keep SQLite from going by the source: it would look
# through all changes there have ever been for every batch.
_CHANGED = """
    SELECT {table}.* FROM changes CROSS JOIN {table} ON {key} = row_id
    WHERE seq > ? AND seq <= ? AND +source = ? ORDER BY seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the history goes."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    ca_file: str = ""  #: PEM of the authority that the server's certificate has to be signed by; "" for the system's
    is_tls_required: bool = False  #: with a certificate that is verified; else TLS where the server offers it


def connect(server: Server, reply_timeout_s: float = _REPLY_TIMEOUT_S) -> "Connection[Cursor]":
    """Log in.

    Raises
    ------
    pymysql.MySQLError, OSError
        The server cannot be reached, refuses, or its certificate is not what it should be.
    """
    tls: dict[str, Any] = {}
    if server.is_tls_required or server.ca_file:
        tls = {"ssl": ssl.create_default_context(cafile=server.ca_file or None)}
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password.encode(),  # PyMySQL would take Latin-1, the server takes UTF-8
        database=server.database,
        charset="utf8mb4",
        sql_mode="STRICT_ALL_TABLES",
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=reply_timeout_s,
        write_timeout=reply_timeout_s,
        **tls,
    )


def server_version(server: Server) -> str:
    """Log in and return the server's version.

    Raises
    ------
    StorageError
        It cannot be had, with the server's words.
    """
    try:
        with closing(connect(server, reply_timeout_s=_CONNECT_TIMEOUT_S)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            (found,) = cursor.fetchone() or ("",)
    except (pymysql.MySQLError, OSError) as error:
        raise StorageError(str(error)[:LONGEST_ERROR]) from error
    return str(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """How the history stands."""

    behind: int  #: changes still to be copied, at most; 0 until the first look
    copied: int  #: the last change that has been copied; 0 until the first look
    trouble: str  #: why they cannot be copied now, "" while they can
    set_aside: int = 0  #: rows that the server has refused; the table `refused_rows` says why


class Mirror:
    """Copies every change of the SQLite database at `path` to MySQL, as far behind as the server makes it.

    How far it has come is kept in MySQL, in the transaction of the rows themselves: whatever becomes of the server, the
    connection or this process, the copy goes on from what the server really has, and a row copied twice stays one row.
    """

    def __init__(self, path: Path, **server: Any) -> None:
        """Take the fields of `Server` by their names."""
        self._path = path
        self._server = Server(**server)
        self._most_changes = _MOST_CHANGES  #: in a batch; fewer after one that was refused
        self._failed_alone = 0  #: how often in a row a change has failed that was a batch of its own
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
                with closing(self._open_source()) as source, closing(connect(self._server)) as target:
                    self._follow(source, target)
            except Exception as error:  # noqa: BLE001 - whatever ails the history, it is tried again and alerts go on
                wait_s = min(_LONGEST_BACKOFF_S, 2 * wait_s) if self._status.trouble else _SHORTEST_BACKOFF_S
                self._note(self._status.behind, self._status.copied, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])

    def _open_source(self) -> sqlite3.Connection:
        source = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        source.row_factory = sqlite3.Row
        return source

    def _follow(self, source: sqlite3.Connection, target: "Connection[Cursor]") -> None:
        try:
            migrate(target)
            behind, is_last = 0, False
            while behind or not is_last:
                if not behind and not tables(target) >= EXPECTED:
                    raise pymysql.ProgrammingError(ER.NO_SUCH_TABLE, "somebody dropped a table or a view")
                is_last = self._stop.is_set()  # what was stored up to then is still copied, as far as there is time
                behind, copied = self._copy(source, target)
                self._note(behind, copied, "", set_aside=refused_rows(target))
                self._stop.wait(_REST_S if behind else _LOOK_AGAIN_S)
        except pymysql.ProgrammingError as error:
            if error.args[0] == ER.NO_SUCH_TABLE:
                forget(target)  # the next connection brings the table back and fills it
            raise

    def _copy(self, source: sqlite3.Connection, target: "Connection[Cursor]") -> tuple[int, int]:
        """Copy a batch; one that is refused is tried in ever smaller parts until the row is found, and set aside."""
        try:
            behind, copied = copy_batch(source, target, self._most_changes)
        except (pymysql.MySQLError, ValueError, OverflowError) as error:
            if isinstance(error, pymysql.MySQLError) and error.args and error.args[0] in _NOT_THE_ROWS:
                raise
            is_lost = isinstance(error, pymysql.err.InterfaceError) or (
                isinstance(error, pymysql.OperationalError) and error.args and error.args[0] in _LOST
            )
            self._failed_alone = self._failed_alone + 1 if self._most_changes == 1 else 0
            self._most_changes = max(1, self._most_changes // 8)
            if is_lost and self._failed_alone < _FAILURES_ALONE:
                raise  # perhaps the server, which is asked again on a new connection; or a row too large for it
            if self._failed_alone:
                with closing(connect(self._server)) as again:
                    set_aside(source, again, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
                self._failed_alone = 0
            if is_lost:
                raise
            target.rollback()
            return 1, self._status.copied
        self._most_changes, self._failed_alone = min(_MOST_CHANGES, 2 * self._most_changes), 0
        return behind, copied

    def _note(self, behind: int, copied: int, trouble: str, *, set_aside: int | None = None) -> None:
        if trouble and not self._status.trouble:
            logger.warning("the history in MySQL falls behind until this is over: {}", trouble)
        elif self._status.trouble and not trouble:
            logger.info("the history in MySQL is being written, {} changes behind", behind)
        aside = self._status.set_aside if set_aside is None else set_aside
        if aside > self._status.set_aside:
            logger.warning("MySQL refuses {} rows of the history: its table refused_rows says why", aside)
        self._status = MirrorStatus(behind=behind, copied=copied, trouble=trouble, set_aside=aside)


def copy_batch(
    source: sqlite3.Connection, target: "Connection[Cursor]", most_changes: int = _MOST_CHANGES
) -> tuple[int, int]:
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
        last = source.execute(_LAST_OF_BATCH, (watermark, most_changes, _BATCH_ROWS)).fetchone()[0]
        if last is not None:
            for table, rows in _changed_rows(source, watermark, last).items():
                cursor.executemany(upsert(table), rows)
            cursor.execute("UPDATE sync SET watermark = %s WHERE database_id = %s", (last, database_id))
    target.commit()
    return (0, watermark) if last is None else (int(newest - last), int(last))


def set_aside(source: sqlite3.Connection, target: "Connection[Cursor]", error: str) -> None:
    """Note the oldest change that the history lacks as refused, and go on behind it."""
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
    """Return whether what the history has of the generation it knows is what the database still has of it."""
    if watermark > newest:
        return False
    ids = [generation for generation, _ in generations]
    for generation in known & set(ids):
        later = [first_seq for _, first_seq in generations[ids.index(generation) + 1 :]]
        return not later or watermark <= later[0]
    return not known - {""} or not watermark


def _forget_lost_rows(source: sqlite3.Connection, cursor: Cursor) -> None:
    """Delete what may come from the time after the backup; the rest is copied anew, what was pruned stays."""
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
    for name, key, history_of in _SOURCES:
        for row in source.execute(_CHANGED.format(table=name, key=key), (after, last, name)):
            for table, values in history_of(row):
                rows[table].append(values)
    return {table: rows[table] for table in COLUMNS if table in rows}
