"""Ticks that hang end the process, after the phone was told; a blocked loop ends it too."""

import asyncio
import subprocess
import sys

import pytest

from bot.tasks import spawn
from bot.watchdogs.stuck import NOTICE, StuckError, watch
from tests.builders import NOW_MS
from tests.hand_clock import HandClock


async def test_hanging_ticks_end_the_bot_with_a_word() -> None:
    """While ticks end nothing happens; once they do not, the operator is told, the message is let out, and it ends."""
    clock, said, tasks = HandClock(NOW_MS), [], set[asyncio.Task[None]]()
    is_alive = True

    async def notify(html: str) -> None:
        said.append(html)

    async def drain(seconds: float) -> None:
        said.append(f"drained within {seconds:g} s")

    watching = spawn(watch(clock, lambda: is_alive, notify, drain), name="watch", keep=tasks)
    for _ in range(100):
        await clock.advance(5)
    assert (said, watching.done()) == ([], False)
    is_alive = False
    await clock.advance(5)
    with pytest.raises(StuckError, match="no tick has ended"):
        await watching
    assert said == [NOTICE, "drained within 10 s"]


def test_a_blocked_loop_ends_the_process() -> None:
    """Where the loop itself hangs, the process says where each thread stands, and ends with an error."""
    script = """
import asyncio, time
from bot.clock import SystemClock
from bot.watchdogs import stuck
stuck.BLOCKED_S = 0.3
async def nothing(_):
    pass
async def main():
    watching = asyncio.create_task(stuck.watch(SystemClock(), lambda: True, nothing, nothing))
    await asyncio.sleep(0.05)
    time.sleep(30)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert "Timeout" in ended.stderr
    assert "in main" in ended.stderr
