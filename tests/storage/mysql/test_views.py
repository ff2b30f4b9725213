"""The views answer as the pure functions on the same rows."""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bot.cli.report import as_json
from bot.core.performance import Filters, make_report
from bot.core.performance import figures as figures_of
from scoring import records
from scoring.signals import Arm, Result
from scoring.statistics import Record
from storage.mysql.schema import migrate
from storage.store import Store
from tests.storage.builders import make_control, make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.mysql.mariadb import MYSQL_8_MODE, PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import copy

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
    rows, controls_of = await store.signals.closed(), await store.controls.closed()
    assert len(controls_of) == 220
    expected: dict[str, dict[Any, Record]] = {
        "daily_performance": {**records.by_day(rows, "UTC", controls_of)},
        "performance_by_score_band": {**records.by_score_band(rows, 72, controls_of)},
        "performance_by_coin": {**records.by_coin(rows, controls_of)},
        "performance_by_venue": {**records.by_venue(rows, controls_of)},
        "performance_by_hour": {**records.by_hour(rows, "UTC", controls_of)},
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
    assert told["total"]["net_percent"] == records.summarise(rows).net_percent
    refusals = server.root("SELECT gate, near_misses FROM gate_refusals", database=database)
    assert dict(refusals) == await store.near_misses.refusals(0) == told["refusals"]
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
