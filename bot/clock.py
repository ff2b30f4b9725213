"""The one home of the machine's clocks, and of sleeping.

The wall clock can be set at any time, by a person, by NTP, by the host of a virtual machine. So everything runs on a
monotonic clock, which cannot be set, and an offset to the wall clock that changes in one place and at one moment only.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

STEP_NS = 1_000_000_000  #: the wall clock and ours may part by so much before ours follows

#: the monotonic clock that goes on while the machine sleeps: Linux's CLOCK_BOOTTIME; macOS's CLOCK_MONOTONIC does
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Time as everything in the bot sees it."""

    def now_ms(self) -> int:
        """Return UTC epoch milliseconds; between two calls of `rebase` they never go back."""

    def monotonic_ms(self) -> int:
        """Return milliseconds that never go back and cannot be set; only differences mean something."""

    def rebase(self) -> int:
        """Follow the wall clock where it was set; return the step of `now_ms` [ms], 0 where there is none.

        Whoever calls it moves every time that is kept by as much, so only the orchestrator does, between two ticks.
        """

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` on this clock."""


class SystemClock:
    """The machine's clocks."""

    def __init__(
        self, *, wall_ns: Callable[[], int] | None = None, monotonic_ns: Callable[[], int] | None = None
    ) -> None:
        self._wall_ns = wall_ns or time.time_ns  # noqa: TID251 - this is its home
        self._monotonic_ns = monotonic_ns or _read_monotonic_ns
        self._started_ns = self._offset_ns = self._wall_ns() - self._monotonic_ns()

    def now_ms(self) -> int:
        """Return UTC epoch milliseconds."""
        return (self._monotonic_ns() + self._offset_ns) // 1_000_000

    def monotonic_ms(self) -> int:
        """Return milliseconds that never go back: what `now_ms` would be if the wall clock had never been set."""
        return (self._monotonic_ns() + self._started_ns) // 1_000_000

    def rebase(self) -> int:
        """Take over the wall clock where it is more than a second away."""
        step_ns = self._wall_ns() - self._monotonic_ns() - self._offset_ns
        if abs(step_ns) <= STEP_NS:
            return 0
        step_ms = round(step_ns / 1_000_000)
        self._offset_ns += step_ms * 1_000_000
        return step_ms

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)


def _read_monotonic_ns() -> int:
    return time.monotonic_ns() if _MONOTONIC is None else time.clock_gettime_ns(_MONOTONIC)
