"""A connection to SQLite in a thread of its own, with transactions that are one step of that thread."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

import aiosqlite

Statement = tuple[str, Sequence[Mapping[str, Any]]]  #: SQL and the rows to run it with; without rows it is not run

BUSY_S = 5.0  #: how long to wait for a person's SQL prompt on the same file; a second bot is refused by the lock
_ROWS_AT_ONCE = 2_000  #: that a walk over many rows takes from the connection's thread


class Connection(aiosqlite.Connection):
    """A connection that runs a whole transaction in one step: an alert waits for it, and each step costs a wait."""

    async def __aenter__(self) -> Self:
        """Open it."""
        await super().__aenter__()
        return self

    async def transact(self, statements: Sequence[Statement]) -> None:
        """Run the statements in their order and commit.

        One that fails, or whose caller is cancelled, leaves nothing behind, unless its commit was already under way.
        Without a row to run a statement with, nothing is done.

        Raises
        ------
        sqlite3.Error
            A statement or the commit was refused.
        """
        with_rows = [(sql, rows) for sql, rows in statements if rows]
        if not with_rows:
            return
        given_up = threading.Event()
        try:
            run: Callable[..., Awaitable[None]] = self._execute  # without types
            await run(_transact, self._conn, with_rows, given_up)
        except asyncio.CancelledError:
            given_up.set()
            await self.rollback()  # waits for the thread: the next caller sees its result
            raise


def connect(uri: str) -> Connection:
    """Return a connection to be entered; the first change begins a transaction."""
    return Connection(
        lambda: sqlite3.connect(uri, uri=True, isolation_level="IMMEDIATE", timeout=BUSY_S), _ROWS_AT_ONCE
    )


def _transact(connection: sqlite3.Connection, statements: Sequence[Statement], given_up: threading.Event) -> None:
    # in the connection's thread
    try:
        for sql, rows in statements:
            connection.executemany(sql, rows)
        if given_up.is_set():
            connection.rollback()
        else:
            connection.commit()
    except sqlite3.Error:
        connection.rollback()
        raise
