"""Tables and views of the history."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from scoring import statistics
from scoring.signals import Result
from scoring.statistics import Summary
from storage.errors import StorageError
from storage.mysql_schema import MIGRATIONS, migrate
from storage.sqlite import Store
from tests.storage.builders import make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.mariadb import PASSWORD, USER, MariaDb
from tests.storage.test_mysql import copy

FIGURES = (
    *("n", "wins", "win_rate", "break_even_win_rate", "expectancy_r", "profit_factor", "net_percent"),
    *("win_rate_low", "win_rate_high"),
)


def test_two_processes_at_once(server: MariaDb, database: str) -> None:
    """Several that find the database empty at the same time all come up, and each step is taken once."""

    def come_up(_: int) -> None:
        with server.connect(USER, PASSWORD, database) as connection:
            migrate(connection)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_up, range(4)))
    assert server.root("SELECT * FROM schema_version", database=database) == tuple(
        (n + 1,) for n in range(len(MIGRATIONS))
    )


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
    """The views show the figures of the pure functions on the same rows."""
    random = Random(7)
    for number in range(1, 121):
        signal = make_signal(
            number,
            coin=random.choice(("XLM", "PEPE", "币安人生")),
            venue=random.choice(("bybit", "mexc")),
            score=random.uniform(72, 100),
            decided_ms=1_700_000_000_000 + number * 1_234_567,
        )
        await store.remember(
            [signal], make_limits(), [], [make_near_miss(failed=(random.choice(("score", "spread")),))]
        )
        net = random.uniform(-1, 1.6)
        result = Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9)
        if number <= 110:
            await store.record_outcome(make_outcome(number, ideal=result), make_limits(), [])
    copy(path, server, database)
    rows = await store.closed_signals()
    expected: dict[str, dict[Any, Summary]] = {
        "performance_by_score_band": {**statistics.by_score_band(rows, 72)},
        "performance_by_coin": {**statistics.by_coin(rows)},
        "performance_by_venue": {**statistics.by_venue(rows)},
        "performance_by_hour": {**statistics.by_hour(rows, "UTC")},
    }
    for view, groups in expected.items():
        found = server.root(f"SELECT * FROM {view}", database=database)  # noqa: S608 - a name of ours
        assert {row[0] for row in found} == {group for group, summary in groups.items() if summary.n}
        for group, *figures in found:
            summary = {name: getattr(groups[group], name) for name in FIGURES}
            assert dict(zip(FIGURES, (float(figure or "inf") for figure in figures), strict=True)) == pytest.approx(
                summary
            )
    ((n, net),) = server.root("SELECT sum(n), sum(net_percent) FROM daily_performance", database=database)
    assert (int(n), net) == (110, pytest.approx(statistics.summarise(rows).net_percent))
    refusals = server.root("SELECT gate, near_misses FROM gate_refusals", database=database)
    assert dict(refusals) == await store.refusals(0)
    assert server.root("SELECT id FROM open_signals", database=database) == tuple((n,) for n in range(111, 121))
    assert server.root("SELECT id FROM latest_signals LIMIT 2", database=database) == ((120,), (119,))
