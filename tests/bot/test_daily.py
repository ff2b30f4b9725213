"""When the daily word comes."""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from bot.chat.commands.daily import send_daily_report
from bot.daily import next_report_ms, run_daily
from tests.bot.conftest import PERSON, World
from tests.hand_clock import HandClock


def at(text: str, zone: str) -> int:
    """Return that local time in epoch milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


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
    world.orchestrator.activity.day.note(1, (70.0, "PEPE/USDT Bybit"), {}, {})
    world.run(run_daily(clock, 8, "UTC", partial(send_daily_report, world.bot.context)))
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
