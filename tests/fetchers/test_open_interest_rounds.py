"""Live open interest of all, one call after the other."""

import asyncio
from itertools import pairwise
from typing import Any

from features.facts.market import Observation, OpenInterest
from fetchers.errors import Unreachable
from fetchers.open_interest_rounds import ROUND_MS, OpenInterestRounds
from fetchers.venue_calls import VenueCalls
from tests.builders import NOW_MS, open_interest
from tests.fetchers.memory_venue import MemoryVenue
from tests.hand_clock import HandClock


async def test_everyone_is_asked_once_a_round() -> None:
    """At an even pace, whoever fails again in the next round, and nobody while it is off."""
    clock, asked, delivered, tasks = HandClock(NOW_MS), dict[str, list[int]](), list[Observation](), set[Any]()
    ids, is_on = [f"C{number}" for number in range(10)], True
    venue = MemoryVenue("binance", ids, now_ms=clock.now_ms)
    venue.open_interest_cost = {"all": 1.0}

    async def fetch(identity: str) -> OpenInterest:
        asked.setdefault(identity, []).append(clock.now_ms() - NOW_MS)
        if identity == "C3":
            raise Unreachable("no route")
        return open_interest(id=identity, venue="binance", exchange_ms=clock.now_ms())

    def start(work: Any, _: str) -> "asyncio.Task[None]":
        tasks.add(task := asyncio.get_running_loop().create_task(work))
        return task

    venue.fetch_open_interest = fetch  # type: ignore[method-assign, assignment]
    rounds = OpenInterestRounds(
        VenueCalls(venue, clock.now_ms, clock.sleep),
        ids=lambda: ids,
        is_on=lambda: is_on,
        start=start,
        sleep=clock.sleep,
        deliver=delivered.append,
    )
    start(rounds.run(), "rounds")
    await clock.advance(0)
    await clock.advance(2.5 * ROUND_MS / 1000)
    assert {len(times) for times in asked.values()} == {2, 3}
    assert all(
        ROUND_MS <= later - earlier <= 1.3 * ROUND_MS for times in asked.values() for earlier, later in pairwise(times)
    )
    firsts = sorted(times[0] for times in asked.values())
    assert firsts[-1] - firsts[0] == 9 * ROUND_MS / 10
    assert len(delivered) == sum(map(len, asked.values())) - len(asked["C3"])
    is_on, before = False, len(delivered)
    await clock.advance(1.2 * ROUND_MS / 1000)
    assert len(delivered) - before <= len(ids)
    before = len(delivered)
    await clock.advance(2 * ROUND_MS / 1000)
    assert len(delivered) == before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
