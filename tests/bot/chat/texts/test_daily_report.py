"""What the daily report counts, and when it comes."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.chat.texts.daily_report import DayLog, next_report_ms, render_report, tell_daily
from fetchers.health import Condition
from scoring.statistics import compare
from tests.bot.builders import make_funnel
from tests.bot.conftest import PERSON, World
from tests.hand_clock import HandClock
from tests.storage.builders import DECIDED_MS, make_outcome, make_signal
from tests.telegram_html import read_html


def at(text: str, zone: str) -> int:
    """Return that local time in epoch milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_a_day() -> None:
    """The report says that the bot lives, what it saw, what it did and which venues were there."""
    log = DayLog(since_ms=DECIDED_MS)
    for tick in range(720):
        conditions = {"bybit": Condition.OK, "mexc": Condition.BLIND if tick < 72 else Condition.DEGRADED}
        log.note(2400, (60 + tick / 100, "PEPE/USDT Bybit"), {"ups": make_funnel()}, conditions)
    signal, outcome = make_signal(1), make_outcome(1)
    html = render_report(
        log,
        [(signal, outcome), (make_signal(2), None)],
        compare([(signal, outcome)]),
        DECIDED_MS + 3_600_000,
        "UTC",
    )
    assert read_html(html).splitlines() == [
        "Alive: 720 looks at 2,400 pairs, 28,800 scans a minute",
        "Since 14 Nov 22:13 UTC, 1 h",
        "Best score: 67.2 PEPE/USDT Bybit",
        "Alerts: 2, of them 1 still open",
        "Ended: alerts +1.77 R (too few days for an interval, n 1), 1 of 1 won, 100 % (21 to 100 %), unproven",
        "Too few yet to compare with chance (1 alert, 0 controls)",
        "ups: 12 of 2,000 pairs seen whole in a tick",
        "Not seen: book not seen 1,900, exhaustion warming up 88",
        "Refused first by: score 10, sweep 1; 1 passed",
        "Venues seen: Bybit 100.0 %, MEXC 90.0 %",
    ]


def test_a_day_of_nothing() -> None:
    """A bot that has not looked yet says so and divides by nothing."""
    text = read_html(render_report(DayLog(since_ms=DECIDED_MS), [], None, DECIDED_MS, "UTC"))
    assert "Nothing was scored" in text
    assert "Ended: none" in text


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-21 07:59", "2026-11-21 08:00"),
        ("2026-11-21 08:00", "2026-11-22 08:00"),
        ("2026-03-28 09:00", "2026-03-29 08:00"),  # the clocks go forward in between
        ("2026-10-24 09:00", "2026-10-25 08:00"),  # and back
    ],
)
def test_when_it_comes(now: str, due: str) -> None:
    """It comes at its hour on the user's wall, the day the clocks change included."""
    assert next_report_ms(at(now, "Europe/Rome"), 8, "Europe/Rome") == at(due, "Europe/Rome")


async def test_it_comes_once_a_day(world: World) -> None:
    """At its hour the operator gets it once, silently, and the count begins anew."""
    clock = world.clock
    assert isinstance(clock, HandClock)
    world.orchestrator.day.note(1, (70.0, "PEPE/USDT Bybit"), {}, {})
    world.run(tell_daily(clock, 8, "UTC", world.answers.send_daily_report))
    world.run(world.delivery.run())
    for day in (1, 2):
        due_ms = next_report_ms(clock.now_ms(), 8, "UTC")
        while clock.now_ms() < due_ms - 3_600_000:
            await clock.advance(3_600)
        await world.wait_for_states(sent=day - 1)
        await clock.advance(3_600)
        await world.wait_for_states(sent=day)
    assert {message.chat_id for message in world.telegram.messages} == {PERSON}
    first, *_, last = world.telegram.messages
    assert "Best score: 70.0" in first.text
    assert "Nothing was scored" in last.text
