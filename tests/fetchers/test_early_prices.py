"""Prices between two rounds."""

import asyncio
from collections.abc import Sequence
from typing import Any

from features.facts.market import Quotes
from fetchers.early_prices import EarlyPrices
from fetchers.transport.pools import Sliding
from fetchers.venue_calls import VenueCalls
from tests.builders import NOW_MS
from tests.fetchers.memory_venue import MemoryVenue
from tests.hand_clock import HandClock


async def test_prices_are_asked_for_when_they_are_due_and_there_is_room() -> None:
    """Not while an answer is under way, not soon after a round, and not with what is kept for other calls."""
    clock, delivered, tasks = HandClock(NOW_MS), list[Quotes](), list[Any]()
    venue = MemoryVenue("bybit", ("A",), now_ms=clock.now_ms, pool=Sliding(10, 5_000))

    def start(work: Any, _: str) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        tasks.append(task)
        return task

    def deliver(replies: Sequence[Quotes]) -> None:
        delivered.extend(replies)

    prices = EarlyPrices(VenueCalls(venue, clock.now_ms, clock.sleep), start=start, deliver=deliver)

    async def asked(after_s: float, last_ms: int = 0) -> int:
        await clock.advance(after_s)
        before = len(delivered)
        prices.ask_if_due(1000, last_ms)
        prices.ask_if_due(1000, last_ms)
        await asyncio.gather(*tasks)
        return len(delivered) - before

    assert [await asked(0), await asked(0.9), await asked(0.1)] == [1, 0, 1]
    assert await asked(1.0, last_ms=NOW_MS + 1500) == 0
    while venue.budget.take({"all": 1.0}, clock.now_ms()) == 0:
        pass
    assert await asked(1.0) == 0
