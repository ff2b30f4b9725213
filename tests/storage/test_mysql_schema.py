"""Tables and views of the history."""

import json
import math
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bot.history_report import Filters, as_json, make_report
from bot.history_report import figures as figures_of
from scoring import statistics
from scoring.signals import Arm, Result
from scoring.statistics import Record
from storage import mysql_schema
from storage.errors import StorageError
from storage.mysql_rows import COLUMNS, upsert
from storage.mysql_schema import MIGRATIONS, migrate
from storage.sqlite import Store
from tests.storage.builders import make_control, make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.mariadb import MYSQL_8_MODE, PASSWORD, USER, MariaDb
from tests.storage.test_history_page import EXAMPLES
from tests.storage.test_mysql import copy

ROOT = Path(__file__).parents[2]
REPORTED = {
    "daily_performance": "day",
    "performance_by_score_band": "score_band",
    "performance_by_coin": "coin",
    "performance_by_venue": "venue",
    "performance_by_hour": "hour_utc",
}
FIGURES = (
    *("n", "wins", "win_rate", "break_even_win_rate", "expectancy_r", "profit_factor", "net_percent"),
    *("win_rate_low", "win_rate_high", "not_known", "not_reached"),
    *("chance_n", "chance_expectancy_r", "difference_r"),
)
INTERVALS = ("expectancy_r", "chance_expectancy_r", "difference_r")


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
from storage.mysql_schema import migrate
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


def test_views_of_nothing(server: MariaDb, database: str) -> None:
    """Every view of an empty history answers, with no rows, as MySQL 8 is set by default."""
    with server.connect(USER, PASSWORD, database) as connection, connection.cursor() as cursor:
        migrate(connection)
        cursor.execute("SET sql_mode = %s", (MYSQL_8_MODE,))
        cursor.execute("SELECT table_name FROM information_schema.views WHERE table_schema = database()")
        views = {name for (name,) in cursor.fetchall()}
        assert views == {*REPORTED, "latest_signals", "open_signals", "gate_refusals", "results"}
        for view in views:
            assert cursor.execute(f"SELECT * FROM {view}") == 0  # noqa: S608 - a name of ours


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


async def test_views_equal_the_statistics(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """The views and `report --json` show the figures of the pure functions on the same rows."""
    random = Random(7)
    for number in range(1, 121):
        signal = make_signal(
            number,
            coin=random.choice(("XLM", "PEPE", "币安人生")),
            venue=random.choice(("bybit", "mexc")),
            score=random.uniform(72, 100),
            decided_ms=1_700_000_000_000 + number * 12_345_678,
        )
        misses = [make_near_miss(failed=(random.choice(("score", "spread")),))]
        controls = [make_control(number, arm) for arm in Arm]
        await store.remember([signal], make_limits(), [], misses, controls=controls)
        net = random.uniform(-1, 1.6)
        result = Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9)
        if number <= 110:
            exit_ms = signal.decided_ms + 600_000
            await store.record_outcome(make_outcome(number, ideal=result, exit_ms=exit_ms), make_limits(), [])
            for control in controls:
                net = random.uniform(-1, 1.2)
                result = Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9)
                ended = make_outcome(control.id, ideal=result, exit_ms=exit_ms + random.randrange(86_400_000))
                await store.record_controls([], [], [ended])
    copy(path, server, database)
    rows, controls_of = await store.closed_signals(), await store.closed_controls()
    assert len(controls_of) == 220
    expected: dict[str, dict[Any, Record]] = {
        "daily_performance": {**statistics.by_day(rows, "UTC", controls_of)},
        "performance_by_score_band": {**statistics.by_score_band(rows, 72, controls_of)},
        "performance_by_coin": {**statistics.by_coin(rows, controls_of)},
        "performance_by_venue": {**statistics.by_venue(rows, controls_of)},
        "performance_by_hour": {**statistics.by_hour(rows, "UTC", controls_of)},
    }
    told = json.loads(as_json(await make_report(store, Filters())))
    for view, groups in expected.items():
        found = server.root(f"SELECT {REPORTED[view]}, {', '.join(FIGURES)} FROM {view}", database=database)  # noqa: S608
        assert {str(row[0]) for row in found} == {str(group) for group, record in groups.items() if record.alerts.n}
        for key, *figures in found:
            group = key if key in groups else str(key)  # the server gives a date
            made = (figures_of(groups[group])[name] for name in FIGURES)
            summary = [figure if math.isfinite(figure) else math.inf for figure in made]
            assert [math.inf if figure is None else figure for figure in figures] == pytest.approx(summary, rel=1e-12)
            reported = told[REPORTED[view]][str(group)]
            assert [math.inf if reported[name] is None else reported[name] for name in FIGURES] == summary
        assert len(found) == len(told[REPORTED[view]])
    assert told["total"]["n"] == 110
    assert told["total"]["net_percent"] == statistics.summarise(rows).net_percent
    refusals = server.root("SELECT gate, near_misses FROM gate_refusals", database=database)
    assert dict(refusals) == await store.refusals(0) == told["refusals"]
    assert server.root("SELECT id FROM open_signals", database=database) == tuple((n,) for n in range(111, 121))
    assert server.root("SELECT id FROM latest_signals LIMIT 2", database=database) == ((120,), (119,))
    # the same days, by their spread and by resamples
    ((*shown,),) = server.root(
        f"SELECT {', '.join(f'{name}_low, {name}_high' for name in INTERVALS)} FROM performance_by_venue"  # noqa: S608
        " WHERE venue = 'bybit'",
        database=database,
    )
    drawn = figures_of(expected["performance_by_venue"]["bybit"])
    for number, name in enumerate(INTERVALS):
        low, high = drawn[f"{name}_low"], drawn[f"{name}_high"]
        assert shown[2 * number : 2 * number + 2] == pytest.approx([low, high], abs=0.2 * (high - low))


async def test_an_older_history(
    store: Store, path: Path, server: MariaDb, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history from before the control group keeps its rows; its views come to show chance beside them."""
    await store.remember([make_signal(1)], make_limits(), [], [make_near_miss()], followed=[make_near_miss()])
    await store.record_outcome(make_outcome(1), make_limits(), [])
    with monkeypatch.context() as older:
        older.setattr(mysql_schema, "MIGRATIONS", MIGRATIONS[:5])
        with server.connect(USER, PASSWORD, database) as connection:
            migrate(connection)
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
