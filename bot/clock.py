"""The one home of the wall clock, and of sleeping on it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time as everything in the bot sees it."""

    def now_ms(self) -> int:
        """Return UTC epoch milliseconds."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` on this clock."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - this is its home

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)
