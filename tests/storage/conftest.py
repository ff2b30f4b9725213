"""A real database in a temporary folder."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store
from tests.storage.mysql.mariadb import MariaDb, private_mariadb

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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """Yield the one MariaDB of the run."""
    yield from private_mariadb(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture
def database(server: MariaDb, request: pytest.FixtureRequest) -> str:
    """Return the name of an empty MySQL database of the test's own."""
    name = "".join(filter(str.isalnum, request.node.name))[:60].lower()
    server.make_database(name)
    return name
