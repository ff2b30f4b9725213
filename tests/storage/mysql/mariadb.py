"""A private MariaDB in a temporary folder, which a test may kill, freeze and start again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

USER, PASSWORD = "sgnl", "only on this machine"
#: MySQL 8's default, in which a query or a view that is read is refused more easily than in MariaDB's
MYSQL_8_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)


class MariaDb:
    """A server of our own on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        # The server refuses to run as root unless told to.
        self._options = ["--no-defaults", f"--datadir={folder}", *(["--user=root"] if os.geteuid() == 0 else [])]
        install = ["mariadb-install-db", *self._options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        listen = ("--socket=s", f"--port={self.port}", "--bind-address=127.0.0.1")  # the socket's path has to be short
        small = ("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2")
        command = ["mariadbd", *self._options, *listen, *small, f"--log-error={self._folder}/log"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # all but its first line goes to the log
        for _ in range(1000):
            try:
                self.root("SELECT 1")
            except pymysql.OperationalError:
                time.sleep(0.02)  # the server's own time to start, which no clock of ours can turn
            else:
                return
        raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server: SIGKILL, SIGSTOP, SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def wait(self) -> None:
        """Wait until the server has ended."""
        assert self._process is not None
        self._process.wait()

    def close(self) -> None:
        """End the server for good; nobody needs its folder any more."""
        self.send(signal.SIGKILL)

    def root(self, *statements: str, database: str | None = None) -> tuple[tuple[Any, ...], ...]:
        """Run statements as the server's owner and return the rows of the last one."""
        with self.connect("root", "", database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()
            rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return rows

    def make_database(self, name: str) -> None:
        """Create an empty database for the bot's user."""
        self.root(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON {name}.* TO '{USER}'@'%'",
        )

    @contextmanager
    def connect(self, user: str, password: str, database: str | None) -> Iterator[Any]:
        """Connect for the length of a with block."""
        with closing(
            pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user=user,
                password=password,
                database=database,
                connect_timeout=20,  # a server that a failed test left frozen is an error, not a wait without end
                read_timeout=60,
            )
        ) as connection:
            yield connection


def private_mariadb(folder: Path) -> Iterator[MariaDb]:
    """Yield a running server; skip, or with SGNL_REQUIRE_MYSQL=1 fail, where it is not installed."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        reason = "no MariaDB server on this machine: apt-get install mariadb-server"
        if os.environ.get("SGNL_REQUIRE_MYSQL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    server = MariaDb(folder)
    server.start()
    yield server
    server.close()
