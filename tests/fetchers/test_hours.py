"""What only shows after minutes and hours: the feed over HTTP against the simulated market, on a virtual clock."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from loguru import logger

from bot.config.load import load_config
from bot.tasks import spawn
from features.facts.market import Quotes
from features.missing import Missing
from fetchers.base import Venue
from fetchers.feed import Feed
from fetchers.poll_plan import Wanted
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.server import Fault, Servers, serve
from fetchers.transport.client import SOCKETS, SOCKETS_APART
from fetchers.transport.pools import ClockMinute
from fetchers.venues.binance import Binance
from fetchers.venues.bybit import DEPTH, Bybit
from fetchers.venues.lbank import Lbank
from fetchers.venues.mexc import Mexc
from tests.bot.stage import staged
from tests.virtual_time import VirtualClock, run_virtually

pytestmark = pytest.mark.long

FULL_LENGTH = {
    "REFRESH_INTERVAL": "5",
    "OI_WINDOW_SECONDS": "900",
    "BOOK_WINDOW_SECONDS": "1800",
    "BTC_WINDOW_SECONDS": "300",
    "MOMENTUM_WINDOW_SECONDS": "60",
    "FLOW_WINDOW_SECONDS": "60",
    "SWEEP_BASELINE_SECONDS": "300",
}
PAUSE_S = 50  #: between two ticks of the long run
LOOK_EVERY = 2400 // PAUSE_S  #: ticks


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    logger.disable("fetchers")
    yield
    logger.enable("fetchers")


@asynccontextmanager
async def feed_of(
    *makers: Callable[[Servers, VirtualClock], Venue], coins: int, candle_interval_s: int = 0
) -> AsyncIterator[tuple[Feed, Servers, VirtualClock]]:
    """Yield a started feed of these venues, their servers and the clock."""
    clock, keep, settings = VirtualClock(), set[asyncio.Task[None]](), load_config(FULL_LENGTH)
    scenario = Scenario(settings=settings.features, planted=())
    market = SimulatedMarket(seed=5, coins_per_venue=coins, scenario=scenario, start_ms=clock.now_ms())
    servers = await serve(market, clock.now_ms)
    feed = Feed(
        [make(servers, clock) for make in makers],
        settings=settings.universe,
        now_ms=clock.now_ms,
        sleep=clock.sleep,
        spawn=lambda work, name: spawn(work, name=name, keep=keep),
        candle_interval_s=candle_interval_s,
    )
    try:
        await feed.start()
        yield feed, servers, clock
    finally:
        await feed.close()
        await servers.close()


async def tick(feed: Feed, count: int) -> Sequence[Quotes]:
    """Poll everything, as many of the instruments as `count` being candidates, and return the quotes."""
    came = await feed.poll_quotes()
    wanted = [Wanted(key=one.key, kind="candidate", bound=80.0) for one in feed.universe.instruments[:count]]
    async for portion in feed.poll_candidates(lambda: wanted):
        came += portion
    return [one for one in came if isinstance(one, Quotes)]


def test_a_cold_start_is_warm_within_a_minute(tmp_path: Path) -> None:
    """Every instrument of Binance and Bybit is scored in every tick; the status says until when one is cold."""

    async def main() -> None:
        async with (
            staged(tmp_path, exchanges={"binance", "bybit"}, clock=VirtualClock(), legs=(), **FULL_LENGTH) as stage,
            stage.bot() as bot,
        ):
            warming = []
            for _ in range(12):
                await bot.orchestrator.tick()
                warming.append([(one.warming, one.warm_by_ms) for one in bot.live_status.status().venues])
                last = bot.orchestrator.activity.last_tick
                assert last is not None
                eligible = last.features.instruments.is_eligible
                assert eligible.sum() > 10
                assert np.isfinite(last.features.price[eligible]).all()
                assert np.isfinite(last.decision.by_strategy["ups"].scores.total[eligible]).all()
                await stage.clock.sleep(5)
            assert last is not None
            for part in ("open_interest_change", "price_change", "btc_return", "momentum", "vwap_distance", "funding"):
                assert (last.features.missing[part][eligible] == Missing.PRESENT).all(), part
            assert all(count and until_ms for count, until_ms in warming[0])
            assert all(one == (0, None) for one in warming[-1])
            assert not any(report.warming for report in bot.feed.status().values())

    run_virtually(main())


def test_no_limit_is_passed_and_nothing_waits_while_a_tenth_of_a_budget_is_idle() -> None:
    """With every instrument wanted all the time, what starves on any venue does so of a budget that is spent."""

    async def main() -> None:
        async with feed_of(
            lambda servers, clock: Binance(servers.urls["binance"], clock.now_ms),
            lambda servers, clock: Bybit(servers.urls["bybit"], clock.now_ms, headroom=0.95),  # few coins, little limit
            lambda servers, clock: Mexc(servers.urls["mexc"], clock.now_ms),
            lambda servers, clock: Lbank(servers.urls["lbank"], clock.now_ms),
            coins=40,
        ) as (feed, servers, clock):
            spent: dict[str, list[float]] = {name: [] for name in feed.status()}
            for number in range(20):
                began_ms = clock.now_ms()
                quoted = {(one.venue, identity) for one in await tick(feed, 200) for identity in one.ids}
                assert {one.key for one in feed.universe.instruments} <= quoted
                while clock.now_ms() < began_ms + 5_000:
                    await clock.sleep(0.5)
                    if number >= 8:  # the first minute belongs to the history, too
                        for name, shares in spent.items():
                            shares.append(spent_share(feed._pollers[name].venue))
            for name, report in feed.status().items():
                assert report.polls.starved > 0, name
                assert report.errors == servers.requests[name].refused == 0, name
                assert max(servers.requests[name].peak_shares.values()) <= 1, name
                whole = max if name == "binance" else min  # a minute of the clock is spent when it ends
                idle = 0.2 if name == "lbank" else 0.1  # three and a half calls a second leave a part of one
                assert whole(spent[name]) >= 1 - idle - 1e-9, name

    run_virtually(main())


def spent_share(venue: Venue) -> float:
    """Return how much of what it may is spent in the pool that binds a venue's polls, [0...1]."""
    pools = [venue.budget._pools[name] for name in venue.candidate_cost]
    assert isinstance(pools[0], ClockMinute) == (venue.name == "binance")
    return max(pool.used / pool.usable for pool in pools)


def test_nothing_leaks_over_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fault every few ticks and the universe reloaded every quarter of an hour, all is as large as before."""
    monkeypatch.setattr("fetchers.backfill_loader.LOOK_S", 25.0)  # hours pass quickly where little happens in them

    async def main() -> None:
        async with feed_of(
            lambda servers, clock: Bybit(servers.urls["bybit"], clock.now_ms, headroom=0.97), coins=8
        ) as (feed, servers, clock):
            sizes = []
            for number in range(3 * LOOK_EVERY):
                fault: Fault | None = ("reset", "html", "slow", None)[number % 4]
                servers.faults["bybit"].clear()
                servers.faults["bybit"].update({} if fault is None else {DEPTH: fault})
                await tick(feed, 4)
                await clock.sleep(PAUSE_S)
                if number % LOOK_EVERY == LOOK_EVERY - 1:
                    sizes.append((len(asyncio.all_tasks()), kept_by(feed)))
                    assert 0 < connections(feed) <= SOCKETS + SOCKETS_APART
            assert feed.status()["bybit"].errors > 50
            assert sizes[0] == sizes[1] == sizes[2]

    run_virtually(main())


def connections(feed: Feed) -> int:
    """Return how many sockets the venues' clients hold."""
    clients: list[Any] = [poller.venue._client for poller in feed._pollers.values()]  # type: ignore[attr-defined]  # the real venues'
    connectors = [session.connector for client in clients for session in client._sessions.values()]
    return sum(len(one._acquired) + sum(map(len, one._conns.values())) for one in connectors)


def kept_by(feed: Feed) -> int:
    """Return how many things the feed and all that belongs to it hold in their containers."""
    seen: set[int] = set()
    waiting: list[Any] = [feed]
    count = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, aiohttp.ClientSession):
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | tuple | set | frozenset | deque):
            waiting += one.values() if isinstance(one, dict) else one
            count += len(one)
        elif type(one).__module__.startswith(("fetchers.", "features.")):
            slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            waiting += [*getattr(one, "__dict__", {}).values(), *(getattr(one, name, None) for name in slots)]
    return count
