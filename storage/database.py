"""One SQLite database: connections that only read, and the one writer, whose transactions are whole or absent."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from loguru import logger

from storage.connection import BUSY_S, Connection, Statement, connect
from storage.errors import DiskError, StorageError, explained
from storage.files import WAL, lock, make_private, refuse_database_file, size_of, temporary_beside
from storage.memory_fallback import MemoryFallback
from storage.migrations import MIGRATIONS, migrate, refuse_newer, version_of
from storage.symbols import symbol_key

_BUSY_RETRY_MS = 100
_WAL_BYTES = 16 * 1024 * 1024  #: the write-ahead log is cut back to this once it has been brought into the database
_LARGEST_WAL_BYTES = 128 * 1024 * 1024  #: a longer log is cut before anything large is written


class Reader:
    """Reads the database; many may while one bot writes."""

    def __init__(self, path: Path, connection: Connection, resources: AsyncExitStack) -> None:
        self.path = path
        self._connection = connection
        self._resources = resources

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open an existing database for reading.

        Raises
        ------
        StorageError
            There is none at `path`, or this code does not know its schema.
        """
        async with AsyncExitStack() as resources:
            return cls(path, await _connect_to_read(path, resources), resources.pop_all())

    async def close(self) -> None:
        """Close the connections."""
        await self._resources.aclose()

    async def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        """Return all rows that the query gives.

        Raises
        ------
        StorageError
            The database cannot be read, or the query would change it.
        """
        with explained(self.path):
            return list(await self._connection.execute_fetchall(sql, parameters))

    async def walk(self, sql: str) -> AsyncIterator[sqlite3.Row]:
        """Yield the rows of a query that gives many, a portion at a time; raises as `read` does."""
        with explained(self.path):
            async with self._connection.execute(sql) as cursor:
                async for row in cursor:
                    yield row

    async def back_up(self, target: Path) -> None:
        """Write a copy of the database as it is now to `target`, whole or not at all; a bot may go on writing.

        Raises
        ------
        StorageError
            `target` cannot be written, or is a file of a bot's database.
        """
        with explained(target):
            refuse_database_file(target, self.path)
            part = temporary_beside(target)
            try:
                async with AsyncExitStack() as resources:
                    await self._connection.backup(await _connect(part, "rwc", resources))
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)


class Database(Reader):
    """Reads and writes the bot's own database.

    Every write is one transaction. One that fails, or whose caller is cancelled, leaves nothing behind, unless its
    commit was already under way: then all of it is there. While the disk takes nothing, memory does, and alerts go on.
    """

    def __init__(self, path: Path, connection: Connection, resources: AsyncExitStack, writer: Connection) -> None:
        super().__init__(path, connection, resources)
        self._writer = writer
        self._writing = asyncio.Lock()
        self._fallback: MemoryFallback | None = None
        self.fault = ""  #: why writes go to memory only, "" while the disk takes them

    @classmethod
    async def open(cls, path: Path, *first: Statement) -> Self:
        """Open or create the database, bring it to this code's schema, and run the `first` statements.

        Raises
        ------
        StorageError
            Another bot uses it, it cannot be written, is not a database or comes from newer code.
        """
        async with AsyncExitStack() as resources:
            lock(path, resources)
            with explained(path):
                make_private(path)
                writer = await _connect(path, "rwc", resources)
                refuse_newer(path, await version_of(writer))
                await writer.executescript(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                    f"PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = {_WAL_BYTES};"
                )
                await migrate(writer)
                await writer.transact(first)
            return cls(path, await _connect_to_read(path, resources), resources.pop_all(), writer)

    async def close(self) -> None:
        """Let the write under way end, then close the connections and release the lock."""
        await self.recover()
        async with self._writing:
            if self._fallback is not None:
                logger.error("what was kept in memory is lost: {}", self.fault)
                await self._fallback.close()
            await super().close()

    async def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        """Return all rows that the query gives, of memory too while writes go there."""
        if self._fallback is None:
            return await super().read(sql, parameters)
        async with self._writing:  # connections that share a database in memory do not wait for each other
            return await super().read(sql, parameters)

    async def write(self, *statements: Statement) -> None:
        """Run the statements in their order as one transaction; in memory where the disk cannot take it.

        Raises
        ------
        StorageError
            A statement is refused; nothing was changed.
        """
        async with self._writing:
            if self._fallback is None:
                try:
                    with explained(self.path):
                        await self._writer.transact(statements)
                except DiskError as error:
                    with explained(self.path):
                        self._fallback = await MemoryFallback.open(self._connection)
                    self.fault = str(error)
                else:
                    return
            with explained(self.path):
                await self._fallback.writer.transact(statements)

    async def write_to_disk(self, *statements: Statement) -> int:
        """Run the statements as one transaction and return how many rows changed; none while writes go to memory."""
        with explained(self.path):
            async with self._writing:
                if self._fallback is not None:
                    return 0
                before = self._writer.total_changes
                await self._writer.transact(statements)
                return self._writer.total_changes - before

    async def recover(self) -> None:
        """Where memory has taken the writes, bring them to the disk if that takes them again."""
        async with self._writing:
            if self._fallback is None:
                return
            try:
                with explained(self.path):
                    # The ticks' writes wait meanwhile: a disk that is only busy is tried again at the next look.
                    await self._wait_for_others(_BUSY_RETRY_MS)
                    await self._fallback.write_down(self._writer)
            except StorageError as error:
                self.fault = str(error)
                return
            finally:
                await self._wait_for_others(round(1000 * BUSY_S))
            await self._fallback.close()
            self._fallback, self.fault = None, ""

    async def keep_log_short(self) -> None:
        """Bring a write-ahead log that has grown long into the database, and cut it.

        Raises
        ------
        StorageError
            Another program has been reading the database all the while: SQLite cannot cut the log behind a reader.
        """
        with explained(self.path):
            if self._fallback is not None or size_of(Path(f"{self.path}{WAL}")) <= _LARGEST_WAL_BYTES:
                return
            async with self._writing:
                await self._wait_for_others(0)
                try:
                    ((is_busy, *_),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await self._wait_for_others(round(1000 * BUSY_S))
        if is_busy:
            raise StorageError(f"{self.path}: its log cannot be cut while another program keeps reading it")

    async def _wait_for_others(self, wait_ms: int) -> None:
        await self._writer.execute(f"PRAGMA busy_timeout = {wait_ms}")


async def _connect_to_read(path: Path, resources: AsyncExitStack) -> Connection:
    """Open a connection that cannot write, on a database that has this code's schema."""
    with explained(path):
        reader = await _connect(path, "ro", resources)
        reader.row_factory = sqlite3.Row
        await reader.create_function("symbol_key", 1, symbol_key, deterministic=True)
        version = await version_of(reader)
    if version < len(MIGRATIONS):
        raise StorageError(f"{path}: its schema is {version}, this code's is {len(MIGRATIONS)}: start the bot once")
    refuse_newer(path, version)
    return reader


async def _connect(path: Path, mode: str, resources: AsyncExitStack) -> Connection:
    """Open a connection in SQLite's `mode` "ro" or "rwc"."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"  # noqa: ASYNC240 - asks for the working directory, waits for nothing
    # Fail here where it cannot be opened: aiosqlite would leave a thread behind that outlives the loop.
    sqlite3.connect(uri, uri=True).close()
    return await resources.enter_async_context(connect(uri))
