"""How the bot begins, lives and ends: one contract for every part that lives, and one place that keeps it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bot.tasks import beside


async def nothing() -> None:
    """Do nothing: the start or the stop of a service that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A part that lives as long as the bot, by its own verbs.

    1. The services start in the order of their list; each waits for the one before. A start that fails ends the bot.
    2. A companion runs from its own start on, so also while later services start. If it fails, that is logged, and
       nothing else ends.
    3. When all have started, the others run beside the work of the bot. If one fails, the bot ends with its error.
    4. When the work is done, or cancelled, those are cancelled and waited for.
    5. The services stop in the reverse order, each after its own run has ended: whatever happened, and also the one
       whose start failed.
    """

    name: str
    start: Callable[[], Awaitable[None]] = nothing
    run: Callable[[], Coroutine[Any, Any, None]] = nothing  #: until cancelled
    stop: Callable[[], Awaitable[None]] = nothing
    is_companion: bool = False


@asynccontextmanager
async def started(services: Sequence[Service]) -> AsyncIterator[None]:
    """Start the services, and stop them when the context ends."""
    async with AsyncExitStack() as living:
        for service in services:
            living.push_async_callback(service.stop)
            await service.start()
            if service.is_companion:
                await living.enter_async_context(beside(service.run(), name=service.name))
        yield


async def run_beside(services: Sequence[Service], work: Coroutine[Any, Any, None]) -> None:
    """Do the work while the services run, companions apart, which run already.

    Raises
    ------
    Exception
        The first that the work or a service raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one.run(), name=one.name) for one in services if not one.is_companion]
            await work
            for task in running:
                task.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def until_input_ends() -> None:
    """Return when standard input is closed, as by the end of the process that started this one."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


class Interrupt:
    """Handles Ctrl-C and SIGTERM: cancels the command or, while it ends in its own way, asks for that first."""

    def __init__(self, command: asyncio.Task[Any]) -> None:
        self.asked = asyncio.Event()
        self.is_graceful = False
        self._command = command

    def __call__(self) -> None:
        """Take a signal; the second one does not wait for anything."""
        if self.asked.is_set() or not self.is_graceful:
            self._command.cancel()
        self.asked.set()
