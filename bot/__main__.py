"""The command line, and the only place that wires: `python -m bot --help`."""

import signal
import sys

# The imports below take a second; a Ctrl-C meanwhile ends the program as quietly as one later on.
if __name__ == "__main__":
    for _name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_name, lambda *_: sys.exit(0))


import argparse
import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import orjson
from loguru import logger

from bot.chat.bot_api.edge import StartError, TelegramEdge, TelegramSender, build_application
from bot.chat.bot_api.pairing import Pairing, paired, unpair
from bot.chat.bot_api.request import TelegramClock
from bot.chat.commands.answers import Answers
from bot.chat.commands.handlers import Commands
from bot.chat.delivery.outbox_loop import Delivery, Latency
from bot.chat.delivery.sender import TerminalSender
from bot.chat.texts.daily_report import tell_daily
from bot.cli import checks, demo, history_report, why
from bot.clock import Clock, SystemClock
from bot.config.load import Config, ConfigError, hints, load_config
from bot.config.settings import EXCHANGES
from bot.core.housekeeping import Housekeeper
from bot.core.orchestrator import Orchestrator
from bot.heartbeat import Heartbeat
from bot.live_status import Reports
from bot.logs import FOLDER as LOG_FOLDER
from bot.logs import LogFile, set_up_logs
from bot.systemd import Systemd
from bot.tasks import beside, spawn
from bot.version import VERSION, code_hash
from bot.web.app import WebError, build_app, serve
from features.facts.venues import venue_title
from fetchers.base import ProbedVenue
from fetchers.errors import FetchError
from fetchers.feed import Feed
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.server import serve as serve_market
from fetchers.venue_poller import VenueReport
from fetchers.venues import build_venues
from scoring.statistics import BAND_POINTS
from storage.errors import StorageError
from storage.mysql.mirror import Mirror
from storage.restoring import restore
from storage.store import Store, StoreReader

DONE, FAILED, USAGE = 0, 1, 2
LATER = ("replay", "test-alert")
DRAIN_S = 5.0  #: how long messages may still go out after the last tick
DATABASE = "sgnl.db"
ENV_FILE = Path(".env")
_DAY_MS = 86_400_000


class Interrupt:
    """What Ctrl-C and SIGTERM do: cancel the command, or, while it ends in its own way, ask for that first."""

    def __init__(self, command: asyncio.Task[Any]) -> None:
        self.asked = asyncio.Event()
        self.is_graceful = False
        self._command = command

    def __call__(self) -> None:
        """Take a signal; the second one does not wait for anything."""
        if self.asked.is_set() or not self.is_graceful:
            self._command.cancel()
        self.asked.set()


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_command(options))
    except ConfigError as error:
        for problem in error.problems:
            _say(problem, to=sys.stderr)
        return USAGE
    except (FetchError, StartError, StorageError, WebError) as error:
        _say(f"{error}", to=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot", description="Alerts the few short scalps worth a look. Without a command it runs."
    )
    parser.add_argument("--version", action="version", version=f"SGNL {VERSION}, code {code_hash()}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("run", help="watch the live venues with your .env")
    command = commands.add_parser("demo", help="the same on a simulated market, with nothing configured")
    command.add_argument("--seconds", type=_seconds, default=demo.SECONDS, help="how long (default %(default).0f)")
    command.add_argument("--coins", type=_coins, default=demo.COINS, help="coins a venue (default %(default)s)")
    command = commands.add_parser("check", help="try settings, venues, Telegram and MySQL; exit code 1 if one fails")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--deep", action="store_true", help="ask the venues for all that the bot asks, and say what came"
    )
    command = commands.add_parser("simulate", help="serve the simulated market only, and print its addresses")
    command.add_argument("--seconds", type=_seconds, default=demo.SECONDS, help="for how long setups are planted")
    command.add_argument("--coins", type=_coins, default=demo.COINS, help="coins a venue (default %(default)s)")
    command.add_argument("--until-eof", action="store_true", help="end when standard input is closed")
    command = commands.add_parser("report", help="what the signals have made, in figures net of costs")
    command.add_argument("--days", type=_days, help="of the last so many days (default: ever)")
    command.add_argument("--band", type=_band, help="of the five points of score from here on, such as 75")
    command.add_argument("--coin", help="of this coin")
    command.add_argument("--venue", choices=EXCHANGES, help="of this venue")
    form = command.add_mutually_exclusive_group()
    for name, render in (("json", history_report.as_json), ("csv", history_report.as_csv)):
        form.add_argument(f"--{name}", dest="render", action="store_const", const=render, help=f"print {name.upper()}")
    command.set_defaults(render=history_report.as_table)
    command = commands.add_parser("why", help="decide a past signal again from what was kept of its input")
    command.add_argument("signal", type=int, help="the number after # in the alert")
    command.add_argument("--json", action="store_true", help="print JSON")
    command = commands.add_parser("backup", help="copy the database to a file; the bot may go on running")
    command.add_argument("file", type=Path, help="where to")
    command = commands.add_parser("restore", help="put a backup in the place of the database; the bot must not run")
    command.add_argument("file", type=Path, help="the backup")
    commands.add_parser("unpair", help="forget the paired chat, so that the next start shows a new code")
    for name in LATER:
        commands.add_parser(name, help="comes in a later version")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"was {text}, expected 1 to 86400")
    return seconds


def _coins(text: str) -> int:
    coins = int(text)
    if not 10 <= coins <= 1000:
        raise argparse.ArgumentTypeError(f"was {text}, expected 10 to 1000")
    return coins


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36_500:
        raise argparse.ArgumentTypeError(f"was {text}, expected more than 0 and at most 36500")
    return days


def _band(text: str) -> int:
    if text not in map(str, range(0, 100, BAND_POINTS)):
        raise argparse.ArgumentTypeError(f"was {text}, expected 0, 5, 10 … 95")
    return int(text)


async def _command(options: argparse.Namespace) -> int:
    if options.command in LATER:
        _say(f"{options.command} comes in a later version of SGNL", to=sys.stderr)
        return USAGE
    task = asyncio.current_task()
    assert task is not None
    interrupt = Interrupt(task)
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, interrupt)
    try:
        match options.command:
            case "demo":
                return await _demo(options.seconds, options.coins, interrupt)
            case "check":
                return await _check(as_json=options.json, is_deep=options.deep)
            case "simulate":
                return await _simulate(options.seconds, options.coins, until_eof=options.until_eof)
            case "report":
                return await _history_report(options)
            case "why":
                return await _why(options.signal, as_json=options.json)
            case "backup":
                return await _back_up(options.file)
            case "restore":
                return await _restore(options.file)
            case "unpair":
                return await _unpair()
            case _:
                await run_bot(load_config(os.environ, ENV_FILE), interrupt)
                return DONE
    except asyncio.CancelledError:
        if not interrupt.asked.is_set():
            raise
        return DONE


async def _demo(seconds: float, coins: int, interrupt: Interrupt) -> int:
    _say("SGNL demo: a simulated market of four venues on this machine. Overridden for it:")
    _say("  " + ", ".join(f"{name}={value}" for name, value in demo.OVERRIDES.items()))
    async with demo.simulated_market(seconds, coins) as market, demo.temporary_data() as data_dir:
        run = await run_bot(demo.demo_config(market, data_dir), interrupt, seconds=seconds)
    _say(_summary(run))
    _say(demo.planted_summary(market, run.coins, SystemClock().now_ms()))
    return DONE


async def _check(*, as_json: bool, is_deep: bool) -> int:
    config = load_config(os.environ, ENV_FILE)
    set_up_logs(config.log_level, secrets=config.secrets())
    with suppress(StorageError):  # there is no database before the first run
        async with await StoreReader.open(config.data_dir / DATABASE) as history:
            config = await _with_paired_chat(config, history)
    clock = SystemClock()
    results = await checks.check_all(config, _venues(config, clock), config.universe)
    if is_deep:
        results += await checks.check_deep(config, _venues(config, clock), clock)
    results[1:1] = [checks.Check(name="settings", is_ok=True, text=hint) for hint in hints(config, ENV_FILE)]
    if as_json:
        _say(orjson.dumps([asdict(result) for result in results]).decode())
    else:
        for result in results:
            _say(f"{'ok    ' if result.is_ok else 'FAILED'} {venue_title(result.name)}: {result.text}")
    return DONE if all(result.is_ok for result in results) else FAILED


async def _simulate(seconds: float, coins: int, *, until_eof: bool) -> int:
    clock = SystemClock()
    scenario = demo.scenario_for(demo.demo_settings(), seconds)
    start_ms = clock.now_ms()
    market = SimulatedMarket(seed=demo.SEED, coins_per_venue=coins, scenario=scenario, start_ms=start_ms)
    servers = await serve_market(market, clock.now_ms)
    try:
        planted = [asdict(planted) for planted in scenario.planted]
        _say(orjson.dumps({"urls": servers.urls, "start_ms": start_ms, "planted": planted}).decode())
        if until_eof:
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
            await reader.read()
        else:
            await asyncio.Event().wait()
    finally:
        await servers.close()
    return DONE


async def _history_report(options: argparse.Namespace) -> int:
    since_ms = SystemClock().now_ms() - round(_DAY_MS * options.days) if options.days else 0
    filters = history_report.Filters(since_ms=since_ms, band=options.band, coin=options.coin, venue=options.venue)
    config = load_config(os.environ, ENV_FILE)
    async with await StoreReader.open(config.data_dir / DATABASE) as history:
        _say(options.render(await history_report.make_report(history, filters)))
    return DONE


async def _why(signal_id: int, *, as_json: bool) -> int:
    config = load_config(os.environ, ENV_FILE)
    async with await StoreReader.open(config.data_dir / DATABASE) as history:
        explained = await why.explain_signal(history, signal_id)
    if explained is None:
        _say(f"there is no signal {signal_id} in {config.data_dir / DATABASE}", to=sys.stderr)
        return FAILED
    _say(why.as_json(explained) if as_json else why.as_text(explained))
    return DONE if explained.is_same else FAILED


async def _back_up(file: Path) -> int:
    config = load_config(os.environ, ENV_FILE)
    async with await StoreReader.open(config.data_dir / DATABASE) as history:
        await history.database.back_up(file)
    _say(f"the database as it is now is in {file}")
    return DONE


async def _restore(file: Path) -> int:
    path = load_config(os.environ, ENV_FILE).data_dir / DATABASE
    replaced = await asyncio.to_thread(restore, path, file, SystemClock().now_ms())
    _say(f"{path} is now as it was in {file}; start the bot")
    if replaced is not None:
        _say(f"what it replaced is in {replaced}")
    return DONE


async def _unpair() -> int:
    config = load_config(os.environ, ENV_FILE)
    async with await Store.open(config.data_dir / DATABASE) as store:
        was_paired = await unpair(store)
    _say("no chat is paired any more; the next start shows a new code" if was_paired else "no chat was paired")
    return DONE


async def run_bot(config: Config, interrupt: Interrupt, *, seconds: float | None = None) -> Run:
    """Wire the bot and watch until it is interrupted, or for `seconds` from here."""
    set_up_logs(config.log_level, secrets=config.secrets())
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, interrupt.asked.set)
    config = replace(config, scoring=replace(config.scoring, code_hash=code_hash()))
    clock = SystemClock()
    tasks: set[asyncio.Task[None]] = set()
    async with AsyncExitStack() as resources:
        store = await resources.enter_async_context(await Store.open(config.data_dir / DATABASE))
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
        config = await _with_paired_chat(config, store)
        feed = Feed(
            _venues(config, clock),
            settings=config.universe,
            now_ms=clock.now_ms,
            monotonic_ms=clock.monotonic_ms,
            sleep=clock.sleep,
            spawn=lambda work, name: spawn(work, name=name, keep=tasks),
            refresh_interval_s=config.features.refresh_interval_s,
            reload_s=config.venues.universe_reload_s,
            window_s=config.features.history_s,
        )
        orchestrator = Orchestrator(config=config, clock=clock, feed=feed, store=store)
        delivery = Delivery(
            store,
            TelegramSender(application.bot) if application else TerminalSender(sys.stdout),
            clock,
            max_signal_age_s=config.telegram.max_signal_age_s,
            current_price=orchestrator.current_price,
            modes=config.telegram.modes,
            quiet_hours=config.telegram.quiet_hours,
            timezone=config.scoring.timezone,
        )
        reports = Reports(config=config, clock=clock, feed=feed, orchestrator=orchestrator, delivery=delivery)
        reports.telegram_clock = telegram_clock
        reports.housekeeper = Housekeeper(
            store=store,
            feed=feed,
            mirror=mirror,
            clock=clock,
            notify=orchestrator.notify,
            retention_days=config.retention_days,
            scoring=config.scoring,
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
            reports.pairing = Pairing(application, store, clock, show=_say)
            config = replace(config, telegram=await reports.pairing.run(config.telegram))
            orchestrator.chats, orchestrator.operator = config.telegram.chat_ids, config.telegram.operator
            reports.pairing = None
        delivery.chats, delivery.operator = orchestrator.chats, orchestrator.operator
        answers = Answers(
            config=config,
            clock=clock,
            store=store,
            orchestrator=orchestrator,
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
                notify=orchestrator.notify,
            )
            resources.push_async_callback(edge.close)
            resources.push_async_callback(commands.finish)
            reports.edge = edge
            await edge.start()
        await orchestrator.restore()
        resources.push_async_callback(feed.close)
        await feed.start(keep=orchestrator.open_keys(), coins=orchestrator.known_coins())
        interrupt.is_graceful = True
        try:
            telling = tell_daily(clock, config.telegram.report_hour, config.scoring.timezone, answers.send_daily_report)
            await _watch(orchestrator, delivery, reports, telling, interrupt.asked)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        await store.runs.end(clock.now_ms())
        return await _report(orchestrator, delivery, reports, store, feed)


async def _with_paired_chat(config: Config, history: StoreReader) -> Config:
    """Return the settings with the chat of an earlier pairing where they name none."""
    if config.telegram.chat_ids or not config.telegram.bot_token:
        return config
    return replace(config, telegram=await paired(config.telegram, history) or config.telegram)


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
        await orchestrator.start(delivery.wake)
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
    mirror = Mirror(config.data_dir / DATABASE, **asdict(config.mysql))
    mirror.start()
    resources.push_async_callback(mirror.close)
    return mirror


def _venues(config: Config, clock: Clock) -> list[ProbedVenue]:
    venues = config.venues
    return build_venues(venues.exchanges, venues.urls, clock.monotonic_ms, venues.headroom, venues.routes)


async def _report(orchestrator: Orchestrator, delivery: Delivery, reports: Reports, store: Store, feed: Feed) -> Run:
    signals = [signal for signal, _ in await store.signals.find(limit=10_000)]
    status, last = reports.status(), orchestrator.last_tick
    return Run(
        ticks=orchestrator.ticks,
        instruments=len(last.features.instruments) if last else 0,
        signals=orchestrator.signals,
        exits=orchestrator.exits,
        coins=tuple(signal.coin for signal in signals),
        venues=feed.status(),
        latency=delivery.latency(),
        tick_p50_ms=status.tick_p50_ms,
        tick_p95_ms=status.tick_p95_ms,
        first_alert_s=min(((signal.decided_ms - orchestrator.started_ms) / 1000 for signal in signals), default=None),
    )


def _summary(run: Run) -> str:
    lines = [
        f"{run.ticks} ticks (p50 {run.tick_p50_ms:.0f} ms, p95 {run.tick_p95_ms:.0f} ms)",
        f"{run.instruments} instruments scored, {run.signals} signals, {run.exits} exits",
        "first alert: " + ("none" if run.first_alert_s is None else f"{run.first_alert_s:.1f} s after the start"),
        "decision to delivery: "
        + (f"p50 {run.latency.p50_ms:.0f} ms, p95 {run.latency.p95_ms:.0f} ms" if run.latency else "nothing delivered"),
    ]
    for name, report in run.venues.items():
        shares = ", ".join(f"{pool} {share:.0%}" for pool, share in report.used_share.items())
        lines.append(f"{venue_title(name)}: {report.requests} requests, at most this share of each limit: {shares}")
    return "\n".join(lines)


def _say(text: str, *, to: TextIO | None = None) -> None:
    (to or sys.stdout).write(f"{text}\n")
    (to or sys.stdout).flush()


if __name__ == "__main__":
    raise SystemExit(main())
