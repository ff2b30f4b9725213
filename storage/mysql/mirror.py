"""The thread that copies every change of the SQLite database to MySQL, whenever the server lets it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from loguru import logger
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from features.backoff import backoff
from storage.mysql.copying import MOST_CHANGES, copy_batch, refused_rows, set_aside
from storage.mysql.rows import COLUMNS
from storage.mysql.schema import VIEW_NAMES, forget, migrate, tables
from storage.mysql.server import LONGEST_ERROR, Server, connect

_REST_S = 0.03
_LOOK_AGAIN_S = 1.0
_SHORTEST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 60.0
_REPLY_TIMEOUT_S = 10
EXPECTED = COLUMNS.keys() | VIEW_NAMES
_FAILURES_ALONE = 3
#: connection lost: the server's fault, or that of a packet too large for it
_LOST = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, ER.NET_PACKET_TOO_LARGE, 0})
#: what the server cannot do for any row now: locked, full, read-only, not allowed, shutting down, tables changed
_NOT_THE_ROWS = frozenset(
    {1021, 1030, 1040, 1044, 1045, 1053, 1054, 1114, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1317, 1836, 2003}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """How far the copy has come, and why it goes no further."""

    behind: int  #: changes still to be copied, at most; 0 until the first look
    copied: int  #: the last change that has been copied; 0 until the first look
    fault: str  #: why they cannot be copied now, "" while they can
    set_aside: int = 0  #: rows that the server has refused; the table `refused_rows` says why


class Mirror:
    """Copies every change of the SQLite database at `path` to MySQL, as far behind as the server makes it.

    How far it has come is kept in MySQL, in the transaction of the rows themselves: whatever becomes of the server, the
    connection or this process, the copy goes on from what the server really has, and a row copied twice stays one row.
    """

    def __init__(self, path: Path, draw: Callable[[], float] = lambda: 0.0, **server: Any) -> None:
        """Take the fields of `Server` by their names; `draw` returns random numbers in [0, 1) for the waits."""
        self._draw = draw
        self._path = path
        self._server = Server(**server)
        self._most_changes = MOST_CHANGES  #: in a batch; fewer after one that was refused
        self._failed_alone = 0  #: how often in a row a change has failed that was a batch of its own
        self._stop = threading.Event()
        self._status = MirrorStatus(behind=0, copied=0, fault="")
        # A server that hangs must not hold up the end of the process: nothing is lost, the next start goes on.
        self._thread = threading.Thread(target=self._run, name="mysql", daemon=True)

    def start(self) -> None:
        """Begin to copy; the database has to exist with this code's schema."""
        self._thread.start()

    def status(self) -> MirrorStatus:
        """Return how far the copy has come."""
        return self._status

    async def close(self, seconds: float = 2.0) -> None:
        """Copy what there is and stop, within `seconds`; the rest is copied after the next start."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)

    def _run(self) -> None:
        wait_s, failures = 0.0, 0
        while not self._stop.wait(wait_s):
            try:
                with closing(self._open_source()) as source, closing(self._connect()) as target:
                    self._follow(source, target)
            except Exception as error:  # noqa: BLE001 - whatever the error, it is tried again and alerts go on
                failures = failures + 1 if self._status.fault else 0
                wait_s = backoff(failures, first=_SHORTEST_BACKOFF_S, longest=_LONGEST_BACKOFF_S, draw=self._draw())
                self._note(self._status.behind, self._status.copied, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])

    def _open_source(self) -> sqlite3.Connection:
        source = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        source.row_factory = sqlite3.Row
        return source

    def _connect(self) -> "Connection[Cursor]":
        return connect(self._server, _REPLY_TIMEOUT_S)

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
                with closing(self._connect()) as again:
                    set_aside(source, again, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
                self._failed_alone = 0
            if is_lost:
                raise
            target.rollback()
            return 1, self._status.copied
        self._most_changes, self._failed_alone = min(MOST_CHANGES, 2 * self._most_changes), 0
        return behind, copied

    def _note(self, behind: int, copied: int, fault: str, *, set_aside: int | None = None) -> None:
        if fault and not self._status.fault:
            logger.warning("the history in MySQL falls behind until this is over: {}", fault)
        elif self._status.fault and not fault:
            logger.info("the history in MySQL is being written, {} changes behind", behind)
        aside = self._status.set_aside if set_aside is None else set_aside
        if aside > self._status.set_aside:
            logger.warning("MySQL refuses {} rows of the history: its table refused_rows says why", aside)
        self._status = MirrorStatus(behind=behind, copied=copied, fault=fault, set_aside=aside)
