"""The services of a bot, in the order of bot/lifecycle.py, and the ticks beside which they run."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from loguru import logger

from bot.chat.commands.daily import send_daily_report
from bot.clock import Clock
from bot.core.taping import Taping
from bot.daily import run_daily
from bot.lifecycle import Service
from bot.measures import readings
from bot.publish import loop_lag
from bot.watchdogs.stuck import watch as watch_ticks
from bot.watchdogs.systemd import Systemd
from bot.web.app import build_app, serve
from bot.web.door import Door
from bot.wiring import Bot
from fetchers.feed import Feed

DRAIN_S = 5.0  #: how long messages may still go out after the last tick


def services(bot: Bot, feed: Feed) -> list[Service]:
    """Return what lives as long as the bot, in the order in which it starts."""
    config, clock = bot.config, bot.clock
    systemd, page, door = Systemd(os.environ), AsyncExitStack(), Door()
    bot.metrics.watch(readings(bot, door))

    async def listen() -> None:
        hosts, metrics = config.http.hosts, bot.metrics.exposition
        app = build_app(bot.live_status, bot.store, bot.access, bot.live, hosts, metrics=metrics)
        url = await page.enter_async_context(serve(app, config.http, door))
        bot.access.url = bot.access.url or url
        bot.show(f"The page: {bot.access.url}")

    async def leave() -> None:
        await bot.live.close()
        await page.aclose()

    async def load_universe() -> None:
        await feed.start(keep=bot.orchestrator.ledger.open_keys(), coins=bot.orchestrator.known_coins())

    async def report_daily() -> None:
        hour, timezone = config.telegram.report_hour, config.scoring.timezone
        await run_daily(clock, hour, timezone, partial(send_daily_report, bot.context))

    living: list[Service] = []
    if bot.mirror is not None:
        living.append(Service(name="mysql", start=_call(bot.mirror.start), stop=bot.mirror.close))
    living += [
        Service(name="web", start=listen, run=bot.live.run, stop=leave),
        Service(
            name="watchdog",
            start=_call(systemd.notify, "READY=1"),
            run=lambda: systemd.watch(clock, bot.live_status.is_alive),
            stop=_call(systemd.notify, "STOPPING=1"),
            is_companion=True,
        ),
    ]
    ticks_hang = partial(watch_ticks, clock, bot.live_status.is_alive, bot.announcer.notify, bot.delivery.drain)
    if bot.heartbeat is not None:
        living.append(Service(name="heartbeat", run=bot.heartbeat.run, is_companion=True))
    if (pairing := bot.pairing) is not None:

        async def pair() -> None:
            bot.recipients.become(await pairing.run(config.telegram))

        living.append(Service(name="pairing", start=pair))
    if bot.polling is not None and bot.handlers is not None:
        living += [
            Service(name="connection", stop=bot.polling.close),
            Service(name="commands", start=bot.polling.start, run=bot.polling.run, stop=bot.handlers.waiting.finish),
        ]
    return [
        *living,
        Service(name="windows", start=bot.orchestrator.restore),
        Service(name="feed", start=load_universe, stop=feed.close),
        *([] if bot.taping is None else [_tape(bot.taping, clock)]),
        Service(name="delivery", run=bot.delivery.run),
        Service(name="daily report", run=report_daily),
        Service(name="housekeeping", run=bot.housekeeper.run),
        Service(name="stuck tick", run=ticks_hang),
        Service(name="loop lag", run=partial(loop_lag.measure, bot.metrics.note_lag)),
    ]


async def watch(bot: Bot, stop: asyncio.Event) -> None:
    """Tick until `stop`, then let out what is still to be said."""
    await bot.orchestrator.start()
    await bot.orchestrator.run(stop)
    await bot.orchestrator.stop()
    if unsent := await bot.delivery.drain(DRAIN_S):
        logger.warning("{} messages could not be sent yet; they go out at the next start", unsent)


def _tape(taping: Taping, clock: Clock) -> Service:
    async def begin() -> None:
        taping.begin(clock.now_ms())

    return Service(name="tape", start=begin, stop=partial(asyncio.to_thread, taping.close))


def _call(act: Callable[..., None], *arguments: str) -> Callable[[], Awaitable[None]]:
    """Return what a service does at once, to be awaited like what takes time."""

    async def call() -> None:
        act(*arguments)

    return call
