"""Tables and views of the history."""

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.mysql import schema
from storage.mysql.rows import COLUMNS, upsert
from storage.mysql.schema import MIGRATIONS, migrate
from storage.store import Store
from tests.storage.builders import make_control, make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import copy
from tests.storage.mysql.test_history_page import EXAMPLES

ROOT = Path(__file__).parents[3]
#: reserved by MySQL 8.0, 8.4 or 9 (its manual's list of keywords) and not by MariaDB, where they pass as names
MYSQL_ALONE_RESERVES = """
    cube cume_dist dense_rank empty first_value function generated get grouping groups io_after_gtids io_before_gtids
    json_table lag last_value lateral lead library manual master_bind nth_value ntile of optimizer_costs parallel
    percent_rank qualify rank row row_number sql stored system tablesample virtual window
"""
#: what MariaDB takes and MySQL does not
MARIADB_ALONE_TAKES = re.compile(
    r"\bor replace (?!view)|\breturning\b|\b(column|index|key|constraint) if (not )?exists|\bpersistent\b|\bsequence\b"
    r"|\buuid\b|\binet[46]\b|\baria\b|\bminus\b|\|\||\bvalue\(|\bstatement for\b|\boffset \d+ rows\b",
    re.IGNORECASE,
)


COME_UP = """
import sys, pymysql
from storage.mysql.schema import migrate
_, port, user, password, database = sys.argv
connection = pymysql.connect(host="127.0.0.1", port=int(port), user=user, password=password, database=database)
print("ready", flush=True)
sys.stdin.readline()
migrate(connection)
"""


def test_two_processes_at_once(server: MariaDb, database: str) -> None:
    """Processes that find the database empty at the same time all come up, and each step is taken once."""
    command = (sys.executable, "-c", COME_UP, str(server.port), USER, PASSWORD, database)
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert server.root("SELECT * FROM schema_version", database=database) == tuple(
        (n + 1,) for n in range(len(MIGRATIONS))
    )


def test_the_sql_is_of_both_servers() -> None:
    """No statement has a word that MySQL reserves, nor a clause that MariaDB alone has: the tests run on MariaDB."""
    statements = [*chain.from_iterable(MIGRATIONS), *map(upsert, COLUMNS), *(query for query, _ in EXAMPLES)]
    reserved = set(MYSQL_ALONE_RESERVES.split())
    for statement in statements:
        assert reserved.isdisjoint(re.findall(r"\w+", statement.lower())), statement
        assert MARIADB_ALONE_TAKES.search(statement) is None, statement


def test_newer_code_has_been_here(server: MariaDb, database: str) -> None:
    """A history of a newer bot is left alone."""
    with server.connect(USER, PASSWORD, database) as connection:
        migrate(connection)
        server.root("INSERT INTO schema_version VALUES (99)", database=database)
        with pytest.raises(StorageError, match=r"schema is 99.*update the bot"):
            migrate(connection)


def test_a_migration_cut_short(server: MariaDb, database: str) -> None:
    """A process killed between two statements leaves what the next one completes."""
    with server.connect(USER, PASSWORD, database) as connection:
        with connection.cursor() as cursor:
            for statement in MIGRATIONS[0][:5]:
                cursor.execute(statement)
        migrate(connection)
    assert server.root("SELECT * FROM latest_signals", database=database) == ()


async def test_an_older_history(
    store: Store, path: Path, server: MariaDb, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history from before the control group keeps its rows; its views come to show chance beside them."""
    await store.remember([make_signal(1)], make_limits(), [], [make_near_miss()], followed=[make_near_miss()])
    await store.record_outcome(make_outcome(1), make_limits(), [])
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", MIGRATIONS[:5])
        with server.connect(USER, PASSWORD, database) as connection:
            migrate(connection)
            with connection.cursor() as cursor:
                for statement in MIGRATIONS[6]:  # this code writes into its tables
                    cursor.execute(statement)
        server.root("CREATE VIEW daily_performance AS SELECT count(*) AS n FROM exits", database=database)
        copy(path, server, database)
    before = server.root("SELECT * FROM exits", database=database)
    assert len(before) == 1
    await store.record_near_misses([make_outcome(1, is_by_quotes=True)])
    await store.remember([make_signal(2)], make_limits(), [], controls=[make_control(2)])
    await store.record_outcome(make_outcome(2), make_limits(), [])
    await store.record_controls([], [], [make_outcome(21)])
    copy(path, server, database)
    assert server.root("SELECT * FROM exits WHERE signal_id = 1", database=database) == before
    assert server.root("SELECT n, chance_n, not_known FROM daily_performance", database=database) == ((2, 1, 0),)
    assert server.root("SELECT near_miss_id, is_by_quotes FROM near_miss_exits", database=database) == ((1, 1),)
    assert server.root("SELECT signal_id, arm, coin FROM controls", database=database) == (
        (2, "other_instrument", "PEPE"),
    )
