"""Logging in to a server, and what it is asked."""

from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageError
from storage.mysql.server import Server, server_version
from tests.storage.mysql.mariadb import MariaDb, private_mariadb


@pytest.mark.parametrize("password", ["Größe1234", "pass€1234", "parola 密码"])
def test_passwords_of_any_letters(server: MariaDb, password: str) -> None:
    """The server takes passwords as UTF-8."""
    name = f"letters{len(password)}"
    server.root(f"CREATE DATABASE IF NOT EXISTS {name}")
    with server.connect("root", "", None) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER '{name}'@'%%' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON {name}.* TO '{name}'@'%'")
    login: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "user": name, "database": name}
    assert "MariaDB" in server_version(Server(**login, password=password))
    with pytest.raises(StorageError, match="Access denied"):
        server_version(Server(**login, password="no"))


def test_tls_that_is_required_is_not_gone_without(server: MariaDb) -> None:
    """A server without a certificate that can be trusted is refused, not spoken to in clear."""
    login: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "root",
        "password": "",
        "database": "mysql",
    }
    with pytest.raises(StorageError):
        server_version(Server(**login, is_tls_required=True))
    assert server_version(Server(**login))


@pytest.mark.parametrize(("required", "ending"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_machine_without_mariadb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, ending: type[BaseException]
) -> None:
    """Where the server is not installed these tests are skipped with the package's name, in CI they fail with it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SGNL_REQUIRE_MYSQL", required)
    with pytest.raises(ending, match="apt-get install mariadb-server"):
        next(private_mariadb(tmp_path))
