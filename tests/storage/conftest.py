"""A real database in a temporary folder."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.sqlite import Store

Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database of a test lives."""
    return tmp_path / "sgnl.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """Yield an open, empty database."""
    async with await Store.open(path) as opened:
        yield opened


@pytest.fixture
def query(path: Path) -> Query:
    """Return a SQL prompt of its own on the same file."""

    def run(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    return run
