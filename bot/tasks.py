"""The one place that starts a background task outside a TaskGroup."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger


def spawn(coroutine: Coroutine[Any, Any, None], *, name: str, keep: set[asyncio.Task[None]]) -> asyncio.Task[None]:
    """Start a named task, hold it in `keep` while it runs, and log the exception that ends it."""
    task = asyncio.create_task(coroutine, name=name)  # noqa: TID251 - this is its home
    keep.add(task)

    def finished(done: asyncio.Task[None]) -> None:
        keep.discard(done)
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.opt(exception=error).error("the task {} ended with an error", name)

    task.add_done_callback(finished)
    return task


@asynccontextmanager
async def beside(coroutine: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Run it while the context lasts; an error of its own ends nothing else."""
    tasks: set[asyncio.Task[None]] = set()
    task = spawn(coroutine, name=name, keep=tasks)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
