"""Background tasks are held while they run and heard when they fail."""

import asyncio

from loguru import logger

from bot.tasks import spawn


async def test_kept_while_running() -> None:
    """A running task is in the set, an ended one is not."""
    keep: set[asyncio.Task[None]] = set()
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()

    task = spawn(work(), name="work", keep=keep)
    assert keep == {task}
    release.set()
    await task
    await asyncio.sleep(0)
    assert keep == set()


async def test_failure_is_logged() -> None:
    """What ends a task unexpectedly is in the log with the task's name; a cancellation is not."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")

    async def fail() -> None:
        raise ValueError("broken")

    task = spawn(fail(), name="the broken one", keep=set())
    cancelled = spawn(asyncio.sleep(60), name="the cancelled one", keep=set())
    cancelled.cancel()
    await asyncio.wait([task, cancelled])
    await asyncio.sleep(0)
    logger.remove(sink)
    assert len(lines) == 1
    assert lines[0].startswith("ERROR the task the broken one ended with an error")
    assert "ValueError: broken" in lines[0]
