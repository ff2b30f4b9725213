"""A backup comes back whole, and what it replaces is kept."""

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.migrations import MIGRATIONS
from storage.restoring import restore
from storage.store import Store, StoreReader
from tests.storage.builders import make_limits, make_signal

NOW = round(1000 * datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())


async def remember(store: Store, *ids: int) -> None:
    """Store signals."""
    await store.remember([make_signal(number) for number in ids], make_limits(next_id=max(ids) + 1), [])


async def ids_in(path: Path) -> list[int]:
    """Return the signals of a database."""
    async with await StoreReader.open(path) as history:
        return [signal.id for signal, _ in await history.signals.find()]


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_restore(path: Path, tmp_path: Path) -> None:
    """The database is as it was then, with nothing of the log of the one it replaces, which is kept whole."""
    backup = tmp_path / "backup.db"
    async with await Store.open(path) as store:
        await remember(store, 1)
        await store.database.back_up(backup)
        await remember(store, 2)
        with pytest.raises(StorageError, match="another bot is using it"):
            restore(path, backup, NOW)
    replaced = restore(path, backup, NOW)
    assert replaced == path.with_name(f"{path.name}.replaced-20260102-030405")
    assert await ids_in(path) == [1]
    assert await ids_in(replaced) == [2, 1]
    async with await Store.open(path) as store:
        await remember(store, 3)
    assert await ids_in(path) == [3, 1]
    assert mode(path) == mode(backup) == 0o600


async def test_restore_over_a_killed_bots_log(path: Path, tmp_path: Path) -> None:
    """Committed changes that still stand in the log go to what is kept, and do not come back over the backup."""
    backup, killed = tmp_path / "backup.db", tmp_path / "killed.db"
    async with await Store.open(path) as store:
        await remember(store, 1)
        await store.database.back_up(backup)
        await remember(store, 2)
        for end in ("", "-wal"):
            Path(f"{killed}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    replaced = restore(killed, backup, NOW)
    assert replaced is not None
    assert (await ids_in(killed), await ids_in(replaced)) == ([1], [2, 1])


async def test_restore_where_there_is_none_or_a_damaged_one(path: Path, tmp_path: Path) -> None:
    """A backup is what helps when the database is gone or broken."""
    backup = tmp_path / "backup.db"
    async with await Store.open(path) as store:
        await remember(store, 1)
        await store.database.back_up(backup)
    lost = tmp_path / "new" / "sgnl.db"
    assert restore(lost, backup, NOW) is None
    assert await ids_in(lost) == [1]
    path.write_bytes(b"x" * 8192)
    Path(f"{path}-wal").write_bytes(b"y" * 100)
    replaced = restore(path, backup, NOW)
    assert replaced is not None
    assert replaced.read_bytes() == b"x" * 8192
    assert await ids_in(path) == [1]


async def test_restore_refuses_what_is_no_backup(path: Path, tmp_path: Path) -> None:
    """Missing, foreign, cut short, of newer code, or the database itself: said, and nothing is changed."""
    async with await Store.open(path) as store:
        await remember(store, *range(1, 60))
        await store.database.back_up(tmp_path / "whole.db")
    before = path.read_bytes()
    whole = (tmp_path / "whole.db").read_bytes()
    (tmp_path / "text.db").write_text("not a database" * 100)
    (tmp_path / "empty.db").touch()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "newer.db").write_bytes(whole)
    for name, sql in (("newer.db", f"PRAGMA user_version = {len(MIGRATIONS) + 1}"), ("other.db", "CREATE TABLE t (x)")):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute(sql)
    for file, words in (
        (tmp_path / "none.db", "there is no such file"),
        (tmp_path, "there is no such file"),
        (tmp_path / "text.db", "is not a database"),
        (tmp_path / "empty.db", "not a database of SGNL"),
        (tmp_path / "other.db", "not a database of SGNL"),
        (tmp_path / "cut.db", "damaged"),
        (tmp_path / "newer.db", "update the bot"),
        (path, "own database"),
    ):
        with pytest.raises(StorageError, match=words):
            restore(path, file, NOW)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.part")) + list(path.parent.glob("*replaced*"))
