"""A user who reviews the history and cannot touch it."""

import os
import subprocess
from pathlib import Path

import pymysql
import pytest

from tests.storage.mysql.mariadb import MariaDb

SCRIPT = Path(__file__).parents[3] / "storage" / "mysql" / "review_user.sh"


@pytest.mark.parametrize("password", ["plain", 'it\'s \\ $HOME `id` "x" %s ;--'])
def test_the_review_user_reads_and_nothing_else(server: MariaDb, database: str, password: str) -> None:
    """The script that compose gives to MySQL makes a user who can read the views and change nothing."""
    server.root(
        "CREATE TABLE signals (id INT)", "CREATE VIEW latest_signals AS SELECT * FROM signals", database=database
    )
    server.root("DROP USER IF EXISTS review")
    given = {"MYSQL_DATABASE": database, "MYSQL_REVIEW_PASSWORD": password, "MYSQL_ROOT_PASSWORD": ""}
    where = {"MYSQL_TCP_PORT": str(server.port), "MYSQL_HOST": "127.0.0.1", "PATH": os.environ["PATH"]}
    subprocess.run(["/bin/bash", "-e", SCRIPT], env=given | where, check=True)
    with server.connect("review", password, database) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT * FROM latest_signals") == 0
        for statement in ("INSERT INTO signals VALUES (1)", "DROP TABLE signals", "SELECT * FROM mysql.user"):
            with pytest.raises(pymysql.MySQLError, match="denied"):
                cursor.execute(statement)


def test_no_review_user_without_a_password(server: MariaDb) -> None:
    """Where no password is given there is no such user."""
    subprocess.run(["/bin/bash", "-e", SCRIPT], env={"PATH": os.environ["PATH"]}, check=True)
