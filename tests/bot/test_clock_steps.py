"""The wall clock is set while the bot runs: nothing waits, ages or is lost by it."""

import asyncio

import pytest

from tests.bot.scripted import scripted
from tests.virtual_time import VirtualClock, run_virtually


@pytest.mark.parametrize("step_s", [-3600.0, -60.0, -2.0, 2.0, 60.0, 3600.0])
def test_no_tick_is_lost(step_s: float) -> None:
    """The ticks go on at their pace, whichever way the clock is set and however far."""

    async def watch() -> int:
        clock = VirtualClock()
        async with scripted(clock) as stage:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.call_later(21, clock.set_wall_clock, step_s)
            loop.call_later(21, clock.rebase)
            loop.call_later(58, stop.set)
            await stage.bot.run(stop)
            return stage.bot.ticks

    assert run_virtually(watch()) == 12
