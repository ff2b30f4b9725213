"""Live open interest of all instruments of a venue that gives it one by one, round after round."""

import asyncio
from collections.abc import Awaitable, Callable

from features.facts.market import Observation
from fetchers.candidate_polls import Spawn
from fetchers.errors import FetchError
from fetchers.venue_calls import VenueCalls

ROUND_MS = 45_000  #: from one amount of an instrument to its next; older than a minute it is stale
IN_FLIGHT = 4


class OpenInterestRounds:
    """Asks whose amount is oldest, as the budget allows."""

    def __init__(
        self,
        calls: VenueCalls,
        *,
        ids: Callable[[], list[str]],
        is_on: Callable[[], bool],
        start: Spawn,
        sleep: Callable[[float], Awaitable[None]],
        deliver: Callable[[Observation], None],
    ) -> None:
        self._calls = calls
        self._ids = ids
        self._is_on = is_on
        self._start = start
        self._sleep = sleep
        self._deliver = deliver
        self._asked_ms: dict[str, int] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            now_ms, ids = self._calls.now_ms(), self._ids() if self._is_on() else []
            self._asked_ms = {one: self._asked_ms.get(one, 0) for one in ids}
            due = sorted(
                (one for one in ids if now_ms - self._asked_ms[one] >= ROUND_MS), key=self._asked_ms.__getitem__
            )
            for identity in due:
                # never faster than a whole round needs: what is left of the budget is the candidates'
                await self._sleep(ROUND_MS / 1000 / len(ids))
                await self._calls.wait_for_room(self._calls.venue.open_interest_cost)
                await self._slots.acquire()
                self._asked_ms[identity] = self._calls.now_ms()
                self._start(self._ask(identity), f"open interest of {self._calls.venue.name} {identity}")
            if not due:
                await self._sleep(1.0)

    async def _ask(self, identity: str) -> None:
        try:
            async with self._calls.counted("open interest"):
                found = await self._calls.venue.fetch_open_interest(identity)
            if found is not None:
                self._deliver(found)
        except FetchError:
            pass  # counted and logged
        finally:
            self._slots.release()
