"""Runs the real feed over the simulated market of whatever venues are listed, and prints what came, as JSON."""

import asyncio
from collections import Counter
from functools import partial

import orjson

from features.facts.venues import VENUES, venue_title
from fetchers.feed import Feed
from fetchers.poll_plan import Wanted
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.server import serve
from fetchers.universe import UniverseSettings
from fetchers.venues import build_venues
from tests.fetchers.simulated.stage import make_scenario
from tests.virtual_time import VirtualClock, run_virtually


async def main() -> None:
    """Poll every venue three times, as many instruments of each as the budgets allow."""
    clock, scenario = VirtualClock(), make_scenario()
    market = SimulatedMarket(seed=5, coins_per_venue=20, scenario=scenario, start_ms=clock.now_ms())
    servers = await serve(market, clock.now_ms)
    feed = Feed(
        build_venues(tuple(VENUES), servers.urls, clock.now_ms),
        settings=UniverseSettings(),
        now_ms=clock.now_ms,
        sleep=clock.sleep,
        spawn=lambda work, name: asyncio.get_running_loop().create_task(work, name=name),
    )
    came = Counter[str]()
    try:
        await feed.start()
        for _ in range(3):
            observations = await feed.poll_quotes()
            wanted = [Wanted(key=one.key, kind="candidate", bound=80.0) for one in feed.universe.instruments]
            async for portion in feed.poll_candidates(partial(list, wanted)):
                observations += portion
            came.update(f"{one.venue} {type(one).__name__}" for one in observations)
            await clock.sleep(5)
        report = {
            "came": came,
            "errors": {venue_title(name): status.errors for name, status in feed.status().items()},
            "refused": {name: requests.refused for name, requests in servers.requests.items()},
            "planted": {planted.coin: planted.venue for planted in scenario.planted},
            "bitcoin": sorted(one.venue for one in feed.universe.instruments if one.coin == "BTC"),
        }
    finally:
        await feed.close()
        await servers.close()
    print(orjson.dumps(report).decode())  # noqa: T201 - for the test that started this


if __name__ == "__main__":
    run_virtually(main())
