"""The same on a virtual clock: bot, market and observer in one process, hours in minutes.

Here memory is that of all three; ticks take no time but what they wait for.
"""

import asyncio
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from loguru import logger

from bot.chat.delivery.sender import TerminalSender
from bot.config.load import load_config
from bot.lifecycle import run_beside, started
from bot.services import services
from bot.services import watch as watch_market
from bot.wiring import Bot, build_feed
from storage.store import Store
from tests.soak.looks import Look, Observer
from tests.soak.market import serve_market
from tests.soak.observing import observe
from tests.virtual_time import VirtualClock, run_virtually


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def watch(settings: dict[str, str], seconds: float, coins: int) -> list[Look]:
    """Watch for so many seconds of the virtual clock."""
    logger.remove()
    return run_virtually(_watch(settings, seconds, coins))


async def _watch(settings: dict[str, str], seconds: float, coins: int) -> list[Look]:
    clock, tasks = VirtualClock(), set[asyncio.Task[None]]()
    servers = await serve_market(seconds, coins, clock.monotonic_ms)
    looks: list[Look] = []
    with TemporaryDirectory(prefix="sgnl-soak-") as name:
        urls = {f"{venue.upper()}_URL": url for venue, url in servers.urls.items()}
        config = load_config(settings | urls | {"DATA_DIR": name})
        async with await Store.open(config.database) as store:
            feed = build_feed(config, clock, tasks)
            sender = TerminalSender(_Nowhere())
            bot = Bot(config, clock=clock, feed=feed, store=store, sender=sender, show=lambda _: None)
            living, stop = services(bot, feed), asyncio.Event()

            async def work() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(watch_market(bot, stop))
                    observer = Observer(os.getpid(), bot.access.url, Path(config.database))
                    looks.extend(await observe(observer, seconds))
                    stop.set()

            async with started(living):
                await run_beside(living, work())
    await servers.close()
    return looks
