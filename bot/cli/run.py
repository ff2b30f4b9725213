"""`bot run`: watch the live venues."""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from loguru import logger

from bot.chat.announcer import ChatAnnouncer
from bot.chat.bot_api.edge import TelegramEdge, TelegramSender, build_application
from bot.chat.bot_api.pairing import Pairing, with_paired_chat
from bot.chat.bot_api.request import TelegramClock
from bot.chat.commands.answers import Answers
from bot.chat.commands.handlers import Commands
from bot.chat.delivery.outbox_loop import Delivery, Latency
from bot.chat.delivery.sender import TERMINAL_CHAT, TerminalSender
from bot.cli.shared import DONE, ENV_FILE, Subparsers, read_config, say
from bot.clock import SystemClock
from bot.config.load import hints
from bot.config.settings import Config
from bot.core.activity import Activity
from bot.core.housekeeping import Housekeeper
from bot.core.orchestrator import Orchestrator
from bot.daily import tell_daily
from bot.heartbeat import Heartbeat
from bot.lifecycle import Interrupt
from bot.live_status import Reports
from bot.logs import FOLDER as LOG_FOLDER
from bot.logs import LogFile, set_up_logs
from bot.systemd import Systemd
from bot.tasks import beside, spawn
from bot.version import VERSION, code_hash
from bot.web.app import build_app, serve
from bot.wiring import configured_venues
from fetchers.feed import Feed
from fetchers.venue_report import VenueReport
from scoring.strategies import chosen
from storage.mysql.mirror import Mirror
from storage.store import Store

DRAIN_S = 5.0  #: how long messages may still go out after the last tick


def add(commands: Subparsers) -> None:
    """Add the command."""
    commands.add_parser("run", help="watch the live venues with your .env").set_defaults(run=run)


async def run(_options: argparse.Namespace, interrupt: Interrupt) -> int:
    """Watch until interrupted."""
    await run_bot(read_config(), interrupt)
    return DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run did, for the summary."""

    ticks: int
    instruments: int
    signals: int
    exits: int
    coins: tuple[str, ...]  #: of the alerts, in their order
    venues: Mapping[str, VenueReport]
    latency: Latency | None
    tick_p50_ms: float
    tick_p95_ms: float
    first_alert_s: float | None


async def run_bot(config: Config, interrupt: Interrupt, *, seconds: float | None = None) -> Run:
    """Wire the bot and watch until it is interrupted, or for `seconds` from here."""
    set_up_logs(config.log_level, secrets=config.secrets())
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, interrupt.asked.set)
    config = replace(config, scoring=replace(config.scoring, code_hash=code_hash()))
    clock = SystemClock()
    tasks: set[asyncio.Task[None]] = set()
    async with AsyncExitStack() as resources:
        store = await resources.enter_async_context(await Store.open(config.database))
        log_file = resources.enter_context(
            LogFile(config.data_dir / LOG_FOLDER, config.log_level, secrets=config.secrets())
        )
        for hint in hints(config, ENV_FILE):
            logger.warning("{}", hint)
        for change in config.changed():
            logger.info("set: {}", change)
        await store.runs.begin(clock.now_ms(), VERSION, config.scoring.code_hash, config.scoring.config_hash)
        mirror = _mirror(config, resources)
        token, api_url = config.telegram.bot_token, config.telegram.api_url
        telegram_clock = TelegramClock(clock)
        application = (
            build_application(token, api_url, telegram_clock=telegram_clock, route=config.route) if token else None
        )
        config = await with_paired_chat(config, store)
        feed = Feed(
            configured_venues(config, clock),
            settings=config.universe,
            now_ms=clock.now_ms,
            monotonic_ms=clock.monotonic_ms,
            sleep=clock.sleep,
            spawn=lambda work, name: spawn(work, name=name, keep=tasks),
            refresh_interval_s=config.features.refresh_interval_s,
            reload_s=config.venues.universe_reload_s,
            window_s=config.features.history_s,
            draw=random.random,
        )
        activity = Activity(clock.now_ms(), [one.name for one in chosen(config.strategies)])
        delivery = Delivery(
            store,
            TelegramSender(application.bot) if application else TerminalSender(sys.stdout),
            clock,
            max_signal_age_s=config.telegram.max_signal_age_s,
            current_price=activity.current_price,
            draw=random.random,
            modes=config.telegram.modes,
            quiet_hours=config.telegram.quiet_hours,
            timezone=config.scoring.timezone,
        )
        announcer = ChatAnnouncer(
            store=store,
            clock=clock,
            wake=delivery.wake,
            settings=config.scoring,
            modes=config.telegram.modes,
            chats=config.telegram.chat_ids if token else (TERMINAL_CHAT,),
            operator=config.telegram.operator if token else TERMINAL_CHAT,
        )
        orchestrator = Orchestrator(
            config=config, clock=clock, feed=feed, store=store, announcer=announcer, activity=activity
        )
        reports = Reports(config=config, clock=clock, feed=feed, orchestrator=orchestrator, delivery=delivery)
        reports.telegram_clock = telegram_clock
        reports.housekeeper = Housekeeper(
            store=store,
            feed=feed,
            mirror=mirror,
            clock=clock,
            announcer=announcer,
            retention_days=config.retention_days,
            scoring=config.scoring,
            strategies=config.strategies,
        )
        web = serve(build_app(reports, store, config.http.token, config.http.hosts), config.http)
        logger.info("status and signals as JSON: {}", await resources.enter_async_context(web))
        systemd = Systemd(os.environ)
        systemd.notify("READY=1")
        resources.callback(systemd.notify, "STOPPING=1")
        await resources.enter_async_context(beside(systemd.watch(clock, reports.is_alive), name="watchdog"))
        if config.heartbeat_url:
            reports.heartbeat = Heartbeat(
                config.heartbeat_url, config.route, clock, lambda: reports.status().problems()
            )
            await resources.enter_async_context(beside(reports.heartbeat.run(), name="heartbeat"))
        if application is not None and not config.telegram.chat_ids:
            reports.pairing = Pairing(application, store, clock, show=say)
            config = replace(config, telegram=await reports.pairing.run(config.telegram))
            announcer.chats, announcer.operator = config.telegram.chat_ids, config.telegram.operator
            reports.pairing = None
        delivery.chats, delivery.operator = announcer.chats, announcer.operator
        answers = Answers(
            config=config,
            clock=clock,
            store=store,
            orchestrator=orchestrator,
            announcer=announcer,
            delivery=delivery,
            reports=reports,
            log_file=log_file,
        )
        if application is not None:
            commands = Commands(
                answers,
                delivery,
                store,
                admin_ids=config.telegram.steering_ids,
                chat_ids=config.telegram.chat_ids,
                now_ms=telegram_clock.now_ms,
            )
            edge = TelegramEdge(
                application,
                handlers=commands.handlers(),
                menus=commands.menus(),
                clock=clock,
                notify=announcer.notify,
                draw=random.random,
            )
            resources.push_async_callback(edge.close)
            resources.push_async_callback(commands.finish)
            reports.edge = edge
            await edge.start()
        await orchestrator.restore()
        resources.push_async_callback(feed.close)
        await feed.start(keep=orchestrator.ledger.open_keys(), coins=orchestrator.known_coins())
        interrupt.is_graceful = True
        try:
            telling = tell_daily(clock, config.telegram.report_hour, config.scoring.timezone, answers.send_daily_report)
            await _watch(orchestrator, delivery, reports, telling, interrupt.asked)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        await store.runs.end(clock.now_ms())
        return await _report(orchestrator, delivery, reports, store, feed)


async def _watch(
    orchestrator: Orchestrator,
    delivery: Delivery,
    reports: Reports,
    telling: Coroutine[Any, Any, None],
    stop: asyncio.Event,
) -> None:
    """Tick until `stop` with the delivery and the commands beside, then let out what is still to be said."""
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(delivery.run(), name="delivery"),
            group.create_task(telling, name="daily report"),
        ]
        if reports.housekeeper is not None:
            beside.append(group.create_task(reports.housekeeper.run(), name="housekeeping"))
        if reports.edge is not None:
            beside.append(group.create_task(reports.edge.run(), name="commands"))
        await orchestrator.start()
        await orchestrator.run(stop)
        await orchestrator.stop()
        if unsent := await delivery.drain(DRAIN_S):
            logger.warning("{} messages could not be sent yet; they go out at the next start", unsent)
        for task in beside:
            task.cancel()


def _mirror(config: Config, resources: AsyncExitStack) -> Mirror | None:
    """Begin to copy the history to MySQL where there is one."""
    if config.mysql is None:
        return None
    mirror = Mirror(config.database, random.random, **asdict(config.mysql))
    mirror.start()
    resources.push_async_callback(mirror.close)
    return mirror


async def _report(orchestrator: Orchestrator, delivery: Delivery, reports: Reports, store: Store, feed: Feed) -> Run:
    signals = [signal for signal, _ in await store.signals.find(limit=10_000)]
    status, activity = reports.status(), orchestrator.activity
    return Run(
        ticks=activity.ticks,
        instruments=len(activity.last_tick.features.instruments) if activity.last_tick else 0,
        signals=activity.signals,
        exits=activity.exits,
        coins=tuple(signal.coin for signal in signals),
        venues=feed.status(),
        latency=delivery.latency(),
        tick_p50_ms=status.tick_p50_ms,
        tick_p95_ms=status.tick_p95_ms,
        first_alert_s=min(((one.decided_ms - activity.started_ms) / 1000 for one in signals), default=None),
    )
