"""A clock that moves only when told."""

import asyncio
from operator import itemgetter

from tests.builders import NOW_MS


class HandClock:
    """Implements `bot.clock.Clock` for tests."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self._monotonic_ms = now_ms
        self._offset_ms = 0  # of now_ms
        self._wall_offset_ms = 0  # of the wall clock, which the next rebase takes over
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []
        self._lay_down = asyncio.Condition()

    def now_ms(self) -> int:
        """Return the time it was last set to."""
        return self.monotonic_ms() + self._offset_ms

    def monotonic_ms(self) -> int:
        """Return what `now_ms` would be had nobody set the wall clock."""
        return self._monotonic_ms

    def set_wall_clock(self, step_s: float) -> None:
        """Set the wall clock forward, or back where negative; nobody notices before the next `rebase`."""
        self._wall_offset_ms += round(1000 * step_s)

    def rebase(self) -> int:
        """Follow the wall clock."""
        step_ms = self._wall_offset_ms - self._offset_ms
        if abs(step_ms) <= 1000:
            return 0
        self._offset_ms = self._wall_offset_ms
        return step_ms

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been moved that far."""
        if seconds <= 0:
            return
        sleeper = (self._monotonic_ms + round(seconds * 1000), asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        try:
            async with self._lay_down:
                self._lay_down.notify_all()
            await sleeper[1]
        finally:
            self._sleepers.remove(sleeper)

    async def wait_for_sleepers(self, count: int) -> None:
        """Return once at least `count` sleep; real time passes, for what does I/O on its way to bed."""
        async with asyncio.timeout(5), self._lay_down:
            await self._lay_down.wait_for(lambda: len(self._sleepers) >= count)

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time."""
        end_ms = self._monotonic_ms + round(seconds * 1000)
        while due := [s for s in sorted(self._sleepers, key=itemgetter(0)) if s[0] <= end_ms and not s[1].done()]:
            self._monotonic_ms = max(self._monotonic_ms, due[0][0])
            due[0][1].set_result(None)
            await settle()
        self._monotonic_ms = end_ms
        await settle()


async def settle() -> None:
    """Let everything that can run without time or I/O do so."""
    for _ in range(20):
        await asyncio.sleep(0)
