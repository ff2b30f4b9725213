"""The whole bot but for its command line, against the simulated market over HTTP, on a clock moved by hand."""

import asyncio
import io
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import TerminalSender
from bot.cli.demo import OVERRIDES, addresses
from bot.config.load import load_config
from bot.config.settings import Config
from bot.core.live_status import LiveStatus
from bot.core.orchestrator import Orchestrator
from bot.tasks import spawn
from bot.wiring import Bot, build_feed
from fetchers.feed import Feed
from fetchers.simulated.legs import PlantedLeg
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Planted, Scenario
from fetchers.simulated.server import Servers, serve
from storage.store import Store
from tests.builders import NOW_MS
from tests.hand_clock import HandClock

COINS = 12


@dataclass(slots=True, kw_only=True)
class Stage:
    """A simulated market and the bots that watch it, one after the other, on one database."""

    config: Config
    clock: HandClock
    servers: Servers
    folder: Path
    start_ms: int
    terminal: io.StringIO = field(default_factory=io.StringIO)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator["RunningBot"]:
        """Start a bot; it ends with the context as a killed one does: without a word."""
        tasks: set[asyncio.Task[None]] = set()
        async with await Store.open(self.folder / "sgnl.db") as store:
            feed = build_feed(self.config, self.clock, tasks)
            sender = TerminalSender(self.terminal)
            parts = Bot(self.config, clock=self.clock, feed=feed, store=store, sender=sender)
            bot = RunningBot(stage=self, parts=parts, feed=feed)
            orchestrator, delivery = bot.orchestrator, bot.delivery
            await orchestrator.restore()
            loading = feed.start(keep=orchestrator.ledger.open_keys(), coins=orchestrator.known_coins())
            starting = spawn(loading, name="start", keep=tasks)
            await bot.until_done(starting)
            if parts.taping is not None:
                parts.taping.begin(self.clock.now_ms())
            await orchestrator.start()
            spawn(delivery.run(), name="delivery", keep=tasks)
            try:
                yield bot
            finally:
                for task in list(tasks):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await feed.close()
                if parts.taping is not None:
                    parts.taping.close()


@dataclass(slots=True, kw_only=True)
class RunningBot:
    """A bot between its ticks."""

    stage: Stage
    parts: Bot
    feed: Feed
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def store(self) -> Store:
        """Its database."""
        return self.parts.store

    @property
    def orchestrator(self) -> Orchestrator:
        """Its ticks."""
        return self.parts.orchestrator

    @property
    def delivery(self) -> Delivery:
        """Its way to the terminal."""
        return self.parts.delivery

    @property
    def live_status(self) -> LiveStatus:
        """What it says of itself."""
        return self.parts.live_status

    async def tick_for(self, seconds: float) -> None:
        """Tick at the refresh interval for `seconds` of the hand clock."""
        clock, interval_ms = self.stage.clock, round(1000 * self.stage.config.features.refresh_interval_s)
        end_ms = clock.monotonic_ms() + round(1000 * seconds)
        while clock.monotonic_ms() < end_ms:
            due_ms = clock.monotonic_ms() + interval_ms
            await self.until_done(spawn(self.orchestrator.tick(), name="tick", keep=self.tasks))
            await self.delivery.drain(1)
            await self.pass_until(max(due_ms, clock.monotonic_ms()))

    async def until_done(self, task: asyncio.Task[None]) -> None:
        """Let real I/O happen and the hand clock go on until the task has ended."""
        async with asyncio.timeout(60):
            while not task.done():
                await asyncio.sleep(0.002)
                await self.stage.clock.advance(0.01)
        task.result()

    async def pass_until(self, end_ms: int) -> None:
        """Go on to `end_ms` in steps, so that polls paced by the budgets get out at their times; hear what comes."""
        while (left_ms := end_ms - self.stage.clock.monotonic_ms()) > 0:
            if self.parts.feed.is_heard_between_ticks:
                await self.until_done(spawn(self.orchestrator.hear(), name="hear", keep=self.tasks))
            await self.stage.clock.advance(min(left_ms, 100) / 1000)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def staged(
    folder: Path,
    *planted: Planted,
    legs: Collection[PlantedLeg] = (),
    exchanges: Collection[str] = (),
    clock: HandClock | None = None,
    **settings: str,
) -> AsyncIterator[Stage]:
    """Serve a market with these setups in it, in the demo's compressed time."""
    names = {"EXCHANGES": ",".join(exchanges)} if exchanges else {}
    config = load_config(OVERRIDES | names | settings)
    clock = clock or HandClock(NOW_MS)
    scenario = Scenario(settings=config.features, planted=planted, legs=tuple(legs))
    market = SimulatedMarket(seed=3, coins_per_venue=COINS, scenario=scenario, start_ms=clock.monotonic_ms())
    servers = await serve(market, clock.monotonic_ms)
    try:
        urls = addresses(servers.urls)
        yield Stage(
            config=load_config(OVERRIDES | names | settings | urls),
            clock=clock,
            servers=servers,
            folder=folder,
            start_ms=clock.monotonic_ms(),
        )
    finally:
        await servers.close()
