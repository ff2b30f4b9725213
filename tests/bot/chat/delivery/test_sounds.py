"""What rings, what comes silently and what not at all."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.chat.delivery.outbox_loop import Delivery
from bot.config.sounds import Mode, QuietHours, is_silent, parse_quiet_hours
from storage.messages import Kind
from tests.bot.conftest import World, eventually
from tests.storage.builders import entry_message, exit_message

NIGHT = QuietHours(23 * 60, 7 * 60)


def at(text: str, zone: str = "UTC") -> int:
    """Return that local time in epoch milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("22:59", False), ("23:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_across_midnight(clock: str, *, quiet: bool) -> None:
    """Hours across midnight hold on both of its sides, from their first minute to before their last."""
    assert NIGHT.holds(at(f"2026-11-21 {clock}"), "UTC") is quiet


def test_within_a_day() -> None:
    """Hours within a day hold between their ends."""
    siesta = parse_quiet_hours("13:30-15:00")
    held = [siesta.holds(at(f"2026-11-21 {clock}"), "UTC") for clock in ("13:29", "13:30", "14:59", "15:00", "23:59")]
    assert held == [False, True, True, False, False]


def test_where_the_user_lives() -> None:
    """It is the user's clock that counts, also on the day it changes."""
    zone = "America/New_York"
    for day in ("2026-03-08", "2026-11-01"):
        assert NIGHT.holds(at(f"{day} 06:59", zone), zone)
        assert not NIGHT.holds(at(f"{day} 07:00", zone), zone)
    assert not NIGHT.holds(at("2026-07-01 23:30"), zone)


def test_as_text() -> None:
    """What is shown can be read again."""
    assert parse_quiet_hours(str(NIGHT)) == NIGHT
    assert str(parse_quiet_hours("7:05 - 9:00")) == "07:05-09:00"


def test_kinds() -> None:
    """A kind is silent where it was set so, or in quiet hours."""
    modes = dict.fromkeys(Kind, Mode.ON) | {Kind.NOTICE: Mode.SILENT}
    noon, night = at("2026-11-21 12:00"), at("2026-11-21 02:00")
    assert is_silent(modes, Kind.NOTICE, None, noon, "UTC")
    assert not is_silent(modes, Kind.ENTRY, NIGHT, noon, "UTC")
    assert is_silent(modes, Kind.ENTRY, NIGHT, night, "UTC")


async def test_quiet_hours_survive_a_restart(world: World) -> None:
    """What /quiet said holds for what is sent afterwards, and after a restart, whatever .env says."""
    await world.delivery.sounds.set_quiet_hours(parse_quiet_hours("22:00-23:00"))  # it is 22:13
    first = world.run(world.delivery.run())
    await world.queue(entry_message(1))
    await world.wait_for_states(sent=1)
    first.cancel()
    reborn = Delivery(world.store, world.sender, world.clock, max_signal_age_s=30, quiet_hours=NIGHT)
    second = world.run(reborn.run())
    await eventually(lambda: asyncio.sleep(0, str(reborn.sounds.quiet_hours)), lambda quiet: quiet == "22:00-23:00")
    await reborn.sounds.set_quiet_hours(None)
    await world.store.outbox.enqueue([exit_message(1)])
    reborn.wake()
    await world.pass_time(lambda: len(world.telegram.messages) == 2)
    assert [message.is_silent for message in world.telegram.messages] == [True, False]
    second.cancel()
    third = Delivery(world.store, world.sender, world.clock, max_signal_age_s=30, quiet_hours=NIGHT)
    world.run(third.run())
    await eventually(lambda: asyncio.sleep(0, third.sounds.quiet_hours), lambda quiet: quiet is None)


async def test_kinds_that_are_off(world: World) -> None:
    """A kind that is off is not even queued."""
    world.orchestrator._config.telegram.modes[Kind.NOTICE] = Mode.OFF
    await world.bot.announcer.notify("nobody wants this")
    await world.wait_for_states()
