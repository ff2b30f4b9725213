"""What holds the event loop is measured."""

import asyncio
import time

from bot.publish.loop_lag import EVERY_S, measure
from bot.tasks import spawn


async def test_what_holds_the_loop_is_noted() -> None:
    """A call that holds the loop for 0.2 s over the moment of a look is noted as at least that."""
    lags_s: list[float] = []
    tasks: set[asyncio.Task[None]] = set()
    task = spawn(measure(lags_s.append), name="lag", keep=tasks)
    await asyncio.sleep(EVERY_S - 0.05)
    time.sleep(0.25)  # noqa: ASYNC251 - to hold the loop is what is tested
    await asyncio.sleep(0.01)
    task.cancel()
    assert len(lags_s) == 1
    assert lags_s[0] >= 0.19
