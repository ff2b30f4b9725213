"""What can befall a MySQL server: each trouble lasts as long as a with block, and the server is well again after it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import pymysql

from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb

_FULL = """
    CREATE TRIGGER full BEFORE INSERT ON signal_features FOR EACH ROW
    SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'
"""


@contextmanager
def _killed(server: MariaDb, _: str) -> Iterator[None]:
    server.send(signal.SIGKILL)
    try:
        yield
    finally:
        server.start()


@contextmanager
def _frozen(server: MariaDb, _: str) -> Iterator[None]:
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


@contextmanager
def _restarted(server: MariaDb, _: str) -> Iterator[None]:
    with suppress(pymysql.OperationalError):  # it may hang up first
        server.root("SHUTDOWN")
    server.wait()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _locked_out(server: MariaDb, _: str) -> Iterator[None]:
    server.root(f"ALTER USER '{USER}'@'%' IDENTIFIED BY 'another'", f"KILL USER {USER}")
    yield
    server.root(f"ALTER USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")


@contextmanager
def _read_only(server: MariaDb, _: str) -> Iterator[None]:
    server.root("SET GLOBAL read_only = 1")
    yield
    server.root("SET GLOBAL read_only = 0")


@contextmanager
def _full(server: MariaDb, database: str) -> Iterator[None]:
    server.root(_FULL, database=database)
    yield
    server.root("DROP TRIGGER full", database=database)


@contextmanager
def _crowded(server: MariaDb, database: str) -> Iterator[None]:
    """Hold every connection there is, also those that others had."""
    server.root("SET GLOBAL max_connections = 10")
    with ExitStack() as crowd:
        ours: list[int] = []
        while True:
            with suppress(pymysql.OperationalError):
                while True:  # the server's owner has a place of their own
                    ours.append(crowd.enter_context(server.connect(USER, PASSWORD, database)).thread_id())
            listed = server.root(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'")  # noqa: S608
            others = {number for (number,) in listed}.difference(ours)
            if not others:
                break
            for number in others:
                with suppress(pymysql.OperationalError):  # it has gone by itself
                    server.root(f"KILL {number}")
        yield
    server.root("SET GLOBAL max_connections = 151")


@contextmanager
def _robbed(server: MariaDb, database: str) -> Iterator[None]:
    server.root("DROP TABLE deliveries", "DROP TABLE verdicts", database=database)
    yield  # the bot brings them back by itself


#: by name: a word of what the bot says of it ("" where it puts it right at once), and the trouble
TROUBLES: dict[str, tuple[str, Callable[[MariaDb, str], AbstractContextManager[None]]]] = {
    "killed": ("Error", _killed),
    "frozen": ("timed out", _frozen),
    "restarted": ("Error", _restarted),
    "another password": ("Access denied", _locked_out),
    "read-only": ("read-only", _read_only),
    "disk full": ("is full", _full),
    "out of connections": ("Too many connections", _crowded),
    "tables dropped": ("", _robbed),
}
