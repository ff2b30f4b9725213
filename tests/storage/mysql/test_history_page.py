"""docs/history.md shows what its queries really answer."""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from scoring.signals import Arm, ExitReason, Result
from storage.store import Store
from tests.storage.builders import entry_message, make_control, make_limits, make_near_miss, make_outcome, make_signal
from tests.storage.mysql.mariadb import MYSQL_8_MODE, PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import copy

PAGE = Path(__file__).parents[3] / "docs" / "history.md"
#: queries, each with the answer shown
EXAMPLES: list[tuple[str, str]] = re.findall(
    r"```sql\n(SELECT.*?)```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
HOUR_MS = 3_600_000


async def make_a_week(store: Store) -> None:
    """Store a made-up week of signals, the same every time."""
    random, chance = Random(11), Random(12)
    monday_ms = 1_767_225_600_000
    await store.runs.begin(monday_ms, "1.0", "c0de", "c0nf1")
    await store.runs.end(monday_ms + 72 * HOUR_MS)
    await store.runs.begin(monday_ms + 72 * HOUR_MS, "1.0", "c0de", "c0nf2")
    await store.runs.record_health(monday_ms, "mexc", "ok", "")
    await store.runs.record_health(monday_ms + 30 * HOUR_MS, "mexc", "blind", "no answer for 60 s")
    await store.runs.record_health(monday_ms + 31 * HOUR_MS, "mexc", "ok", "")
    for number in range(1, 41):
        sweep = random.uniform(5, 12)
        signal = make_signal(
            number,
            coin=random.choice(("XLM", "PEPE", "JASMY")),
            venue=random.choice(("bybit", "binance", "mexc")),
            score=round(random.uniform(72, 92), 1),
            decided_ms=monday_ms + number * 4 * HOUR_MS + random.randrange(HOUR_MS),
            features={"sweep_multiple": sweep, "spread_bps": random.uniform(1, 9)},
        )
        misses = [
            make_near_miss(decided_ms=signal.decided_ms, failed=(random.choice(("score", "spread", "cooldown")),))
        ]
        alert = replace(entry_message(number), created_ms=signal.decided_ms)
        controls = [make_control(number, arm) for arm in Arm]
        await store.remember([signal], make_limits(), [alert], misses, controls=controls)
        await store.outbox.mark_sending(number)
        if number % 13:
            await store.outbox.mark_sent(number, number, signal.decided_ms + random.randrange(200, 900))
        else:
            await store.outbox.mark_uncertain(number, "the reply was lost")
        if number > 38:
            continue
        is_win = random.random() < sweep / 19
        held_ms = random.randrange(HOUR_MS)
        net, reason = (1.6, ExitReason.TAKE_PROFIT) if is_win else (-0.9, ExitReason.STOP_LOSS)
        await store.record_outcome(
            make_outcome(
                number,
                reason=reason,
                exit_ms=signal.decided_ms + held_ms,
                held_s=held_ms / 1000,
                ideal=Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9),
                reachable=Result(entry=1.0, gross_percent=net, net_percent=net - 0.1, r=(net - 0.1) / 0.9),
            ),
            make_limits(),
            [],
        )
        for control in controls:
            net = 1.5 if chance.random() < 0.33 else -1.0
            result = Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9)
            ended = make_outcome(control.id, exit_ms=signal.decided_ms + held_ms, ideal=result)
            await store.record_controls([], [], [ended])


def as_text(value: Any) -> str:
    """Return a value as the page prints it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return "NULL" if value is None else str(value)[:19]


def as_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows in aligned columns."""
    lines = [list(names), *([as_text(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


async def test_every_query_answers_as_shown(store: Store, path: Path, server: MariaDb, database: str) -> None:
    """Each query of the page, run on a week of example signals, gives the table below it."""
    await make_a_week(store)
    copy(path, server, database)
    assert len(EXAMPLES) >= 10
    with server.connect(USER, PASSWORD, database) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = %s", (MYSQL_8_MODE,))
        for query, shown in EXAMPLES:
            cursor.execute(query)
            assert as_table([column[0] for column in cursor.description], cursor.fetchall()) == shown, query
