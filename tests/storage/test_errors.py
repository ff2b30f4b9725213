"""Everything that can be wrong with a disk is said in one clear line."""

import sqlite3
import threading
from pathlib import Path

import pytest

from storage.errors import StorageError, explained
from storage.store import Store
from tests.storage.builders import make_message
from tests.storage.conftest import Query


async def test_a_second_bot_is_refused(store: Store, path: Path) -> None:
    """Two bots on one DATA_DIR would alert twice: the second is told so, the first goes on, and then the next may."""
    with pytest.raises(
        StorageError, match=r"sgnl.sqlite3: another bot is using it, and only one may run on a DATA_DIR"
    ):
        await Store.open(path)
    await store.outbox.enqueue([make_message()])
    await store.close()
    async with await Store.open(path) as third:
        assert len(await third.outbox.due(0)) == 1


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A DATA_DIR that is a file is refused with its name."""
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StorageError, match="data"):
        await Store.open(tmp_path / "data" / "sgnl.sqlite3")


async def test_a_folder_in_the_place_of_the_database(path: Path) -> None:
    """A folder where the file should be cannot be opened, and trying leaves no thread behind."""
    path.mkdir()
    before = threading.active_count()
    with pytest.raises(StorageError, match="cannot be opened"):
        await Store.open(path)
    assert threading.active_count() == before


async def test_not_a_database(path: Path) -> None:
    """A file of something else is refused and left as it is."""
    path.write_text("a letter to my aunt " * 99)
    with pytest.raises(StorageError, match="it is not a database"):
        await Store.open(path)
    assert path.read_text().startswith("a letter to my aunt")


async def test_a_newer_schema(store: Store, path: Path, query: Query) -> None:
    """A database of a newer bot is refused rather than misread."""
    await store.close()
    query("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=r"schema is 99.*update the bot"):
        await Store.open(path)


def test_anything_else_keeps_its_words(path: Path) -> None:
    """An error nobody foresaw is passed on in SQLite's words."""
    with pytest.raises(StorageError, match="no such table: nowhere"), explained(path):
        sqlite3.connect(":memory:").execute("SELECT * FROM nowhere")
