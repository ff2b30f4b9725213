"""An event loop whose time jumps to the next timer as soon as nothing is under way: hours of the bot in seconds.

Sockets and threads are real, so timeouts, deadlines and sleeps keep their order and length, and only waiting is free.
"""

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from functools import wraps
from typing import Any, TypeVar, TypeVarTuple, Unpack

import aiosqlite

from tests.builders import NOW_MS
from tests.hand_clock import HandClock

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

ROUNDS = 4  #: a handshake takes three packets, each an answer to the one before
BUSY_S = 0.01


class _Probe:
    """A byte through loopback's queue arrives after all that was sent before it, however loaded the machine is."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._near = socket.create_connection(server.getsockname())
            self._far, _ = server.accept()
        self._near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wait(self) -> None:
        """Return once what is under way has arrived."""
        self._near.send(b".")
        self._far.recv(1)

    def close(self) -> None:
        """Close both ends."""
        self._near.close()
        self._far.close()


class _Selector(selectors.DefaultSelector):
    """Waits for real I/O only while there may be some."""

    loop: "VirtualLoop"

    def __init__(self) -> None:
        super().__init__()
        self._probe = _Probe()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.loop.busy:
            return super().select(BUSY_S)
        for _ in range(ROUNDS):
            if events := super().select(0):
                return events
            self._probe.wait()
        if not (events := super().select(0)):
            self.loop.skip(timeout)
        return events

    def close(self) -> None:
        super().close()
        self._probe.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `busy` counts what threads are doing for it."""

    def __init__(self) -> None:
        self._virtual_s = 0.0
        self.busy = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Return the virtual time [s]."""
        return self._virtual_s

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._virtual_s += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Arguments]], Result], *args: *Arguments
    ) -> asyncio.Future[Result]:
        """Run in a thread; time stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self.busy += 1
        future.add_done_callback(self._idle)
        return future

    def _idle(self, _: object) -> None:
        self.busy -= 1


class VirtualClock(HandClock):
    """Implements `bot.clock.Clock` by the loop's own time."""

    def monotonic_ms(self) -> int:
        """Return the time, in milliseconds since an epoch of tests."""
        return NOW_MS + round(1000 * asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        """Return after so much of the loop's time."""
        await asyncio.sleep(seconds)

    async def advance(self, seconds: float) -> None:
        """Let time pass by itself."""
        await asyncio.sleep(seconds)


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on a loop of its own; time stands still while SQLite's thread is at work."""
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.busy += 1
        try:
            return await execute(self, fn, *args, **kwargs)
        finally:
            loop.busy -= 1

    patched: Any = aiosqlite.Connection
    patched._execute = counted
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)
    finally:
        patched._execute = execute


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose waiting costs nothing."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run
