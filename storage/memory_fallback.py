"""A database in memory for as long as the disk takes nothing: alerts go on, and what it holds is written down later."""

# ruff: noqa: S608 - the names in the SQL are those of the schema

from contextlib import AsyncExitStack
from typing import Self

from storage.connection import Connection, connect
from storage.migrations import migrate

# Rows that the bot may still change are taken over; every other table begins empty and is only added to.
_WHOLE = ("state", "open_signals", "blocked_chats", "former_chats", "followed_near_misses")
_LIVE = {
    **dict.fromkeys(_WHOLE, "true"),
    "outbox": "state IN ('pending', 'sending', 'uncertain') OR state IN ('expired', 'failed') AND NOT is_told"
    " OR edit_key <> '' OR kind = 'entry' AND signal_id NOT IN (SELECT signal_id FROM main.outcomes)",
    "controls": "id NOT IN (SELECT control_id FROM main.control_outcomes)",
    "runs": "id = (SELECT max(id) FROM main.runs)",
}
_ITS_OWN = ("changes", "sqlite_sequence")  #: written by triggers and by SQLite itself


class MemoryFallback:
    """Takes the writes in place of the disk; the reader it was opened with sees its rows overlaid on the disk's."""

    def __init__(self, writer: Connection, uri: str, resources: AsyncExitStack) -> None:
        self.writer = writer
        self._uri = uri
        self._resources = resources

    @classmethod
    async def open(cls, reader: Connection) -> Self:
        """Begin with the live rows of the reader's disk.

        Raises
        ------
        sqlite3.Error
            Not even reading works.
        """
        uri = f"file:fallback-{id(reader)}?mode=memory&cache=shared"
        async with AsyncExitStack() as resources:
            writer = await resources.enter_async_context(connect(uri))
            await migrate(writer)
            resources.push_async_callback(_detach, reader)
            await reader.execute("ATTACH ? AS fallback", (uri,))
            await reader.executescript(await _take_over(reader))
            return cls(writer, uri, resources.pop_all())

    async def write_down(self, disk: Connection) -> None:
        """Bring everything to the disk in one transaction.

        Raises
        ------
        sqlite3.Error
            The disk still does not take it; nothing was changed there.
        """
        try:
            await disk.execute("ATTACH ? AS fallback", (self._uri,))
            await disk.executescript(await _bring_back(disk))
        finally:
            await disk.rollback()
            await _detach(disk)

    async def close(self) -> None:
        """Forget everything."""
        await self._resources.aclose()


async def _take_over(reader: Connection) -> str:
    """Return the script that fills the fallback and lays its rows over those of the disk."""
    script = ["BEGIN;"]
    for table in await _tables(reader):
        keys, columns = await _columns(reader, table)
        live = f"SELECT {columns} FROM main.{table} WHERE {_LIVE.get(table, 'false')}"
        rest = f"SELECT * FROM main.{table} WHERE ({keys}) NOT IN (SELECT {keys} FROM fallback.{table})"
        script += [
            f"DELETE FROM fallback.{table};",
            f"INSERT INTO fallback.{table} ({columns}) {live};",
            f"CREATE TEMP VIEW {table} AS SELECT * FROM fallback.{table}",
            ";" if table in _WHOLE else f"UNION ALL {rest};",
        ]
    # The ids that the disk would have given next.
    script += [
        "DELETE FROM fallback.sqlite_sequence;",
        "INSERT INTO fallback.sqlite_sequence SELECT * FROM sqlite_sequence;",
    ]
    views = await reader.execute_fetchall("SELECT sql FROM main.sqlite_master WHERE type = 'view'")
    script += [f"{sql.replace('CREATE VIEW', 'CREATE TEMP VIEW')};" for (sql,) in views]
    return "\n".join([*script, "COMMIT;"])


async def _bring_back(disk: Connection) -> str:
    """Return the script that writes the fallback's rows to the disk."""
    script = ["BEGIN IMMEDIATE;", *(f"DELETE FROM main.{table};" for table in _WHOLE)]
    for table in await _tables(disk):
        _, columns = await _columns(disk, table)
        script.append(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM fallback.{table};")
    return "\n".join([*script, "COMMIT;"])


async def _tables(connection: Connection) -> list[str]:
    """Return the tables that hold records, those referred to first."""
    rows = await connection.execute_fetchall("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY rowid")
    return [name for (name,) in rows if name not in _ITS_OWN]


async def _columns(connection: Connection, table: str) -> tuple[str, str]:
    """Return the primary key, and all columns that are not generated."""
    rows = list(await connection.execute_fetchall(f"PRAGMA main.table_info({table})"))
    return ", ".join(row[1] for row in rows if row[5]), ", ".join(row[1] for row in rows)


async def _detach(connection: Connection) -> None:
    await connection.rollback()
    views = await connection.execute_fetchall("SELECT name FROM temp.sqlite_master WHERE type = 'view'")
    for (name,) in views:
        await connection.execute(f"DROP VIEW temp.{name}")
    databases = await connection.execute_fetchall("SELECT name FROM pragma_database_list")
    if "fallback" in {name for (name,) in databases}:
        await connection.execute("DETACH fallback")
