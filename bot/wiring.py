"""The parts of the bot, put together, for `run`, `demo` and the tests alike.

It alone has to know all parts, so it imports more of the product than any other module.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
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
from fetchers.streams.build import build_streams
from fetchers.streams.venue_stream import VenueStream
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


class Bot:
    """The parts of one bot, each made with what it needs when it is first asked for; none begins to live by that.

    Messages leave by `sender`, commands come by `telegram`, none come where it is None. /logs reads `log_file`;
    `show` is given the lines for the terminal, `draw` the jitter of the back-offs [0…1],
    `subscribers` get the events beside the bot's own.
    """

    def __init__(
        self,
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
    ) -> None:
        self.config, self.clock, self.store, self.show = config, clock, store, show
        self._sender, self._telegram, self._log_file, self._draw = sender, telegram, log_file, draw
        self.feed: MarketFeed = feed
        self.taping: Taping | None = None  #: None: nothing is recorded
        if config.tape.is_on:
            self.feed = recording = RecordingFeed(feed)
            folder = TapeFolder(config.tape.folder, config.tape.max_gb)
            self.taping = Taping(config, recording, folder, hold=lambda: hold(self.orchestrator), now_ms=clock.now_ms())
            subscribers = (self.taping.note, *subscribers)
        self._subscribers = subscribers
        self.metrics, self.page_events = Metrics(), EventQueue("web page")
        self.recipients = Recipients.of(config.telegram)
        self.activity = Activity(clock.now_ms(), [one.name for one in chosen(config.strategies)])
        self.access = Access(config.http.token, clock.now_ms, config.http.page_url)  #: to the web app

    @cached_property
    def delivery(self) -> Delivery:
        """How messages leave."""
        telegram = self.config.telegram
        return Delivery(
            self.store,
            self._sender,
            self.clock,
            max_signal_age_s=telegram.max_signal_age_s,
            current_price=self.activity.current_price,
            modes=telegram.modes,
            quiet_hours=telegram.quiet_hours,
            timezone=self.config.scoring.timezone,
            recipients=self.recipients,
            draw=self._draw,
        )

    @cached_property
    def announcer(self) -> ChatAnnouncer:
        """The words for what happens."""
        return ChatAnnouncer(
            store=self.store,
            clock=self.clock,
            wake=self.delivery.wake,
            settings=self.config.scoring,
            modes=self.config.telegram.modes,
            recipients=self.recipients,
        )

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """The tick."""
        return Orchestrator(
            config=self.config,
            clock=self.clock,
            feed=self.feed,
            store=self.store,
            announcer=self.announcer,
            activity=self.activity,
            subscribers=(self.metrics.note, self.page_events.put, *self._subscribers),
        )

    @cached_property
    def mirror(self) -> Mirror | None:
        """The history in MySQL; None where there is none."""
        mysql = self.config.mysql
        return Mirror(self.config.database, self._draw, **asdict(mysql)) if mysql else None

    @cached_property
    def housekeeper(self) -> Housekeeper:
        """The work of each hour and each day."""
        return Housekeeper(
            store=self.store,
            feed=self.feed,
            mirror=self.mirror,
            clock=self.clock,
            announcer=self.announcer,
            retention_days=self.config.retention_days,
            scoring=self.config.scoring,
            strategies=self.config.strategies,
        )

    @cached_property
    def live_status(self) -> LiveStatus:
        """How the bot is."""
        return LiveStatus(
            config=self.config,
            clock=self.clock,
            feed=self.feed,
            orchestrator=self.orchestrator,
            housekeeper=self.housekeeper,
            faults=self._faults,
            notes=self._notes,
            incidents=self.delivery.record.incidents,
            alert_latency_ms=self.delivery.record.latency_ms,
        )

    @cached_property
    def live(self) -> Live:
        """The open pages."""
        return Live(self.live_status, self.page_events)

    @cached_property
    def heartbeat(self) -> Heartbeat | None:
        """The calls that say it is well; None where no address is set."""
        config = self.config
        if not config.heartbeat_url:
            return None
        return Heartbeat(config.heartbeat_url, config.route, self.clock, lambda: self.live_status.status().problems())

    @cached_property
    def context(self) -> CommandContext:
        """The running bot, as commands read and steer it."""
        return CommandContext(
            config=self.config,
            clock=self.clock,
            store=self.store,
            orchestrator=self.orchestrator,
            announcer=self.announcer,
            recipients=self.recipients,
            chat_states=self.delivery.chat_states,
            sounds=self.delivery.sounds,
            live_status=self.live_status,
            log_file=self._log_file,
            invite=self.access.invite,
        )

    @cached_property
    def handlers(self) -> Handlers | None:
        """Who answers what people write; None without Telegram."""
        if self._telegram is None:
            return None
        return Handlers(self.context, self.delivery, now_ms=self._telegram.clock.now_ms)

    @cached_property
    def polling(self) -> Polling | None:
        """How what people write comes in; None without Telegram."""
        if self._telegram is None or self.handlers is None:
            return None
        return Polling(
            self._telegram.application,
            handlers=self.handlers.all(),
            menus=self.handlers.access.menus,
            clock=self.clock,
            poll_s=self._telegram.poll_s,
            notify=self.announcer.notify,
            draw=self._draw,
        )

    @cached_property
    def pairing(self) -> Pairing | None:
        """How the first chat is found; None without Telegram, and where the settings name the chats."""
        if self._telegram is None or self.recipients.chats:
            return None
        return Pairing(self._telegram.application, self.store, self.clock, show=self.show)

    def _faults(self) -> Iterator[str]:
        parts = (self.pairing, self.orchestrator, self.delivery.record, self.polling)
        yield from (one.fault for one in parts if one is not None)
        yield from self.delivery.chat_states.faults()

    def _notes(self) -> Iterator[str]:
        telegram_clock = self._telegram.clock if self._telegram is not None else None
        for one in (self.taping, self.heartbeat, telegram_clock):
            if one is not None:
                yield from one.notes()


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
        quotes_interval_s=config.venues.quotes_interval_s,
        streams=configured_streams(config, draw) if config.venues.has_streams else {},
        candle_interval_s=0 if config.kept_candles is None else config.kept_candles.candle_interval_s,
    )


def configured_streams(config: Config, draw: Callable[[], float]) -> dict[str, VenueStream]:
    """Return the trade streams of the venues that the settings name, by venue, where they have one."""
    return build_streams(config.venues.exchanges, config.venues.stream_urls, draw, config.venues.routes)


def configured_venues(config: Config, clock: Clock) -> list[ProbedVenue]:
    """Return the venues that the settings name, asked as they say."""
    venues = config.venues
    return build_venues(venues.exchanges, venues.urls, clock.monotonic_ms, venues.headroom, venues.routes)
