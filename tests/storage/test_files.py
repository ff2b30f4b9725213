"""A backup never harms the database, and nobody else may read either."""

import os
import stat
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.files import make_private
from storage.store import Store, StoreReader
from tests.storage.builders import make_limits, make_signal


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


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("way", ["itself", "relative", "symlink", "hard link"])
async def test_a_backup_never_replaces_the_database(store: Store, path: Path, end: str, way: str) -> None:
    """By whatever name it is called, and whether or not the file beside it is there yet."""
    await remember(store, 1)
    target = own = Path(f"{path}{end}")
    match way:
        case "relative":
            target = Path(os.path.relpath(own))
        case "symlink":
            target = path.parent / "link"
            target.symlink_to(own)
        case "hard link":
            if not own.exists():
                return
            target = path.parent / "link"
            target.hardlink_to(own)
    with pytest.raises(StorageError, match="own database"):
        await store.database.back_up(target)
    await remember(store, 2)
    assert await ids_in(path) == [2, 1]
    assert not list(path.parent.glob("*.part"))


async def test_nor_that_of_another_bot(store: Store, tmp_path: Path) -> None:
    """The database of another DATA_DIR is spared too."""
    other = tmp_path / "other" / "sgnl.db"
    async with await Store.open(other) as second:
        await remember(second, 7)
        for end in ("", "-wal"):
            with pytest.raises(StorageError, match="is the database of a bot"):
                await store.database.back_up(Path(f"{other}{end}"))
    assert await ids_in(other) == [7]


async def test_what_the_bot_writes_is_for_its_owner_only(tmp_path: Path) -> None:
    """A new folder, the database with its log and its lock, and backups; an open database of old is closed."""
    path = tmp_path / "deep" / "data" / "sgnl.db"
    for _ in range(2):
        async with await Store.open(path) as store:
            await store.state.put("x", 1)
            await store.database.back_up(tmp_path / "backup.db")
            assert mode(path.parent) == 0o700
            assert {mode(file) for file in path.parent.iterdir()} == {0o600}
            assert mode(tmp_path / "backup.db") == 0o600
        path.chmod(0o644)


def test_a_file_that_cannot_be_written_stays_so(tmp_path: Path) -> None:
    """Only the rights of others are taken away."""
    file = tmp_path / "file"
    file.touch(0o444)
    make_private(file)
    assert mode(file) == 0o400
