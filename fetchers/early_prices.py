"""The prices of a venue between two rounds of its bulk calls."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from features.facts.market import Quotes
from fetchers.candidate_polls import Spawn
from fetchers.errors import FetchError
from fetchers.health import QUOTES
from fetchers.venue_calls import VenueCalls


class EarlyPrices:
    """Makes the one call that has them, where the last answer is old enough and the budget has room."""

    def __init__(self, calls: VenueCalls, *, start: Spawn, deliver: Callable[[Sequence[Quotes]], None]) -> None:
        self._calls = calls
        self._start = start
        self._deliver = deliver
        self._asked_ms = 0
        self._asking: asyncio.Task[None] | None = None

    def ask_if_due(self, every_ms: int, last_ms: int) -> None:
        """Ask unless prices came at `last_ms` or were asked for less than `every_ms` ago."""
        calls, venue = self._calls, self._calls.venue
        now_ms = calls.now_ms()
        is_busy = self._asking is not None and not self._asking.done()
        if is_busy or now_ms - max(last_ms, self._asked_ms) < every_ms:
            return
        if venue.budget.wait_s(venue.candidate_cost, now_ms, kept_free=venue.kept_for_quotes) == 0:
            self._asked_ms = now_ms
            self._asking = self._start(self._ask(), f"prices of {venue.name}")

    async def _ask(self) -> None:
        with suppress(FetchError):  # counted and logged
            async with self._calls.counted(QUOTES):
                replies = await self._calls.venue.fetch_prices()
            self._deliver(replies)
