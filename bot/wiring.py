"""The parts of the bot, put together, for `run`, `demo` and the tests alike.

Only here may a module import more than a dozen others of the product: it alone has to know all parts.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from bot.chat.announcer import ChatAnnouncer
from bot.chat.asking.handlers import Handlers
from bot.chat.bot_api.application import AnyApplication, Timeouts, build_application
from bot.chat.bot_api.pairing import Pairing
from bot.chat.bot_api.polling import Polling
from bot.chat.bot_api.request import TelegramClock
from bot.chat.bot_api.sending import TelegramSender
from bot.chat.commands.base import CommandContext
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Sender, TerminalSender
from bot.chat.recipients import Recipients
from bot.clock import Clock
from bot.config.settings import Config
from bot.core.activity import Activity
from bot.core.event_queue import EventQueue
from bot.core.events import Event
from bot.core.housekeeping import Housekeeper
from bot.core.live_status import LiveStatus
from bot.core.orchestrator import Orchestrator
from bot.core.taping import Taping, hold
from bot.logs import LogFile
from bot.publish.metrics import Metrics
from bot.tasks import spawn
from bot.watchdogs.heartbeat import Heartbeat
from bot.web.access import Access
from bot.web.live import Live
from fetchers.base import MarketFeed, ProbedVenue
from fetchers.feed import Feed
from fetchers.tape.folder import TapeFolder
from fetchers.tape.recording import RecordingFeed
from fetchers.venues import build_venues
from scoring.strategies import chosen
from storage.mysql.mirror import Mirror
from storage.store import Store

_TIMEOUTS = Timeouts()


def no_jitter() -> float:
    """Return no jitter: waits that a test can predict."""
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telegram:
    """The way to Telegram."""

    application: AnyApplication
    clock: TelegramClock
    poll_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """The parts of one bot, none of which has begun to live."""

    config: Config
    clock: Clock
    store: Store
    feed: MarketFeed
    mirror: Mirror | None  #: None: no history in MySQL
    orchestrator: Orchestrator
    housekeeper: Housekeeper
    metrics: Metrics
    taping: Taping | None  #: None: nothing is recorded
    live_status: LiveStatus
    access: Access  #: to the web app
    live: Live
    heartbeat: Heartbeat | None
    recipients: Recipients
    announcer: ChatAnnouncer
    delivery: Delivery
    context: CommandContext  #: what commands read and steer
    handlers: Handlers | None  #: None as polling and pairing: no Telegram
    polling: Polling | None
    show: Callable[[str], None]  #: gives a line to whoever sits at the terminal
    pairing: Pairing | None  #: None also where the settings name the chats


def build_bot(
    config: Config,
    *,
    clock: Clock,
    feed: MarketFeed,
    store: Store,
    sender: Sender,
    telegram: Telegram | None = None,
    log_file: LogFile | None = None,
    show: Callable[[str], None] = print,
    draw: Callable[[], float] = no_jitter,
    subscribers: Sequence[Callable[[Event], None]] = (),
) -> Bot:
    """Put the bot together.

    Messages leave by `sender`, commands come by `telegram`, none come where it is None. /logs reads `log_file`;
    `show` is given the lines for the terminal, `draw` the jitter of the back-offs [0…1],
    `subscribers` get the events beside the bot's own.
    """
    activity = Activity(clock.now_ms(), [one.name for one in chosen(config.strategies)])
    recipients = Recipients.of(config.telegram)
    delivery = Delivery(
        store,
        sender,
        clock,
        max_signal_age_s=config.telegram.max_signal_age_s,
        current_price=activity.current_price,
        modes=config.telegram.modes,
        quiet_hours=config.telegram.quiet_hours,
        timezone=config.scoring.timezone,
        recipients=recipients,
        draw=draw,
    )
    announcer = ChatAnnouncer(
        store=store,
        clock=clock,
        wake=delivery.wake,
        settings=config.scoring,
        modes=config.telegram.modes,
        recipients=recipients,
    )
    metrics, page_events = Metrics(), EventQueue("web page")
    taping, now_ms = None, clock.now_ms()
    if config.tape.is_on:
        feed = recording = RecordingFeed(feed)
        folder = TapeFolder(config.tape.folder, config.tape.max_gb)
        taping = Taping(config, recording, folder, hold=lambda: hold(orchestrator), now_ms=now_ms)
    orchestrator = Orchestrator(
        config=config,
        clock=clock,
        feed=feed,
        store=store,
        announcer=announcer,
        activity=activity,
        subscribers=[metrics.note, page_events.put, *([taping.note] if taping is not None else []), *subscribers],
    )
    mirror = Mirror(config.database, draw, **asdict(config.mysql)) if config.mysql else None
    housekeeper = Housekeeper(
        store=store,
        feed=feed,
        mirror=mirror,
        clock=clock,
        announcer=announcer,
        retention_days=config.retention_days,
        scoring=config.scoring,
        strategies=config.strategies,
    )

    def faults() -> Iterator[str]:
        yield from (one.fault for one in (pairing, orchestrator, delivery.record, polling) if one is not None)
        yield from delivery.chat_states.faults()

    def notes() -> Iterator[str]:
        if taping is not None:
            yield from taping.notes()
        if heartbeat is not None:
            yield from heartbeat.notes()
        if telegram is not None:
            yield from telegram.clock.notes()

    live_status = LiveStatus(
        config=config,
        clock=clock,
        feed=feed,
        orchestrator=orchestrator,
        housekeeper=housekeeper,
        faults=faults,
        notes=notes,
        incidents=delivery.record.incidents,
        alert_latency_ms=delivery.record.latency_ms,
    )
    access, live = Access(config.http.token, clock.now_ms, config.http.page_url), Live(live_status, page_events)
    heartbeat = None
    if config.heartbeat_url:
        heartbeat = Heartbeat(config.heartbeat_url, config.route, clock, lambda: live_status.status().problems())
    context = CommandContext(
        config=config,
        clock=clock,
        store=store,
        orchestrator=orchestrator,
        announcer=announcer,
        recipients=recipients,
        delivery=delivery,
        live_status=live_status,
        log_file=log_file,
        invite=access.invite,
    )
    handlers, polling, pairing = None, None, None
    if telegram is not None:
        handlers = Handlers(context, now_ms=telegram.clock.now_ms)
        polling = Polling(
            telegram.application,
            handlers=handlers.all(),
            menus=handlers.access.menus,
            clock=clock,
            poll_s=telegram.poll_s,
            notify=announcer.notify,
            draw=draw,
        )
        if not recipients.chats:
            pairing = Pairing(telegram.application, store, clock, show=show)
    return Bot(
        config=config,
        clock=clock,
        store=store,
        feed=feed,
        mirror=mirror,
        orchestrator=orchestrator,
        housekeeper=housekeeper,
        metrics=metrics,
        taping=taping,
        live_status=live_status,
        access=access,
        live=live,
        heartbeat=heartbeat,
        recipients=recipients,
        announcer=announcer,
        delivery=delivery,
        context=context,
        handlers=handlers,
        polling=polling,
        show=show,
        pairing=pairing,
    )


def build_telegram(config: Config, clock: Clock, timeouts: Timeouts = _TIMEOUTS) -> Telegram | None:
    """Return the way to Telegram, None where there is no token."""
    if not config.telegram.bot_token:
        return None
    telegram_clock = TelegramClock(clock)
    application = build_application(
        config.telegram.bot_token,
        config.telegram.api_url,
        timeouts,
        telegram_clock=telegram_clock,
        route=config.route,
    )
    return Telegram(application=application, clock=telegram_clock, poll_s=timeouts.poll_s)


def build_sender(telegram: Telegram | None, terminal: TextIO) -> Sender:
    """Return the way by which messages leave."""
    return TerminalSender(terminal) if telegram is None else TelegramSender(telegram.application.bot)


def build_feed(
    config: Config, clock: Clock, keep: set[asyncio.Task[None]], draw: Callable[[], float] = no_jitter
) -> Feed:
    """Return the venues behind one object; `keep` holds its tasks."""
    return Feed(
        configured_venues(config, clock),
        settings=config.universe,
        now_ms=clock.now_ms,
        monotonic_ms=clock.monotonic_ms,
        sleep=clock.sleep,
        spawn=lambda work, name: spawn(work, name=name, keep=keep),
        refresh_interval_s=config.features.refresh_interval_s,
        reload_s=config.venues.universe_reload_s,
        window_s=config.features.history_s,
        draw=draw,
        candle_interval_s=0 if config.kept_candles is None else config.kept_candles.candle_interval_s,
    )


def configured_venues(config: Config, clock: Clock) -> list[ProbedVenue]:
    """Return the venues that the settings name, asked as they say."""
    venues = config.venues
    return build_venues(venues.exchanges, venues.urls, clock.monotonic_ms, venues.headroom, venues.routes)
