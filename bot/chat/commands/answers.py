"""What each command does and answers; who may ask is decided in bot/chat/commands/handlers.py."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from typing import TypeAlias

import numpy as np

from bot.chat.announcer import ChatAnnouncer
from bot.chat.charts import PriceChart, draw_equity, draw_price
from bot.chat.commands.arguments import (
    UsageError,
    is_id,
    parse_count,
    parse_days,
    parse_duration_ms,
    parse_id,
    parse_quiet,
    split_coin,
)
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Content, plain_text
from bot.chat.recipients import Recipients
from bot.chat.texts.answers import (
    Listing,
    chat_line,
    near_miss_line,
    near_miss_title,
    open_line,
    other_venue_line,
    render_count,
    render_health,
    render_mutes,
    render_score,
    render_stats,
    render_why,
    signal_line,
    top_line,
)
from bot.chat.texts.daily_report import render_report
from bot.chat.texts.messages import exit_words, render_status
from bot.chat.texts.phrases import counted, duration_text, fit, headline, local_time, net_text, until_text, venue_name
from bot.clock import Clock
from bot.config.settings import GROUPS, Config
from bot.core.live_status import LEADERS, LiveStatus
from bot.core.market import PriceHistory
from bot.core.orchestrator import Orchestrator
from bot.core.performance import ended_since
from bot.core.recompute import explain_signal, repetition
from bot.logs import LogFile
from bot.version import VERSION, code_hash
from features.facts.market import Instrument, OrderBook
from features.facts.venues import VENUES, venue_title
from scoring.limits import mute_coin, mute_venue, unmute_coin, unmute_venue
from scoring.signals import FOREVER_MS, Outcome, Signal
from scoring.statistics import (
    Record,
    Row,
    by_coin,
    by_exit_reason,
    by_kind,
    by_score_band,
    by_venue,
    compare,
    equity_curve,
    summarise,
)
from scoring.strategies import lowest_score
from storage.messages import Button, Kind
from storage.store import Store
from storage.symbols import symbol_key

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
CHART_LEAD_MS = 15 * 60_000  #: how much before an alert its chart begins
CHART_TRAIL_MS = 5 * 60_000
_MOST_LISTED = 200
_NOTHING_SEEN = "Nothing has been scored yet, try again in a moment"

Said: TypeAlias = Content | Listing


class Answers:
    """Reads and steers the running bot for whoever may."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        store: Store,
        orchestrator: Orchestrator,
        announcer: ChatAnnouncer,
        recipients: Recipients,
        delivery: Delivery,
        live_status: LiveStatus,
        log_file: LogFile | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._bot = orchestrator
        self._announcer = announcer
        self._recipients = recipients
        self._delivery = delivery
        self._live_status = live_status
        self._log_file = log_file
        self._timezone = config.scoring.timezone
        self._drawing = asyncio.Lock()  # matplotlib's style is one for the whole process

    async def status(self, _argument: str) -> Said:
        """/status."""
        return Content(html=render_status(self._live_status.status(), self._timezone))

    async def health(self, _argument: str) -> Said:
        """/health."""
        return Content(html=render_health(self._live_status.status(), self._timezone))

    async def pause(self, argument: str) -> Said:
        """/pause [2h]."""
        if not argument:
            await self._bot.ledger.pause(None)
            return Content(html="Paused until /resume. Open signals are followed to their exit.")
        until_ms = self._clock.now_ms() + parse_duration_ms(argument)
        await self._bot.ledger.pause(until_ms)
        until = until_text(until_ms, self._timezone)
        return Content(html=f"Paused {until}. Open signals are followed to their exit; /resume ends the pause.")

    async def resume(self, _argument: str) -> Said:
        """/resume."""
        await self._bot.ledger.resume()
        return Content(html="Alerting again.")

    async def signals(self, argument: str) -> Said:
        """/signals [n]."""
        found = await self._store.signals.find(limit=parse_count(argument, 10, _MOST_LISTED))
        return Listing(
            title="<b>Alerts</b>, the latest first", lines=[signal_line(row, self._timezone) for row in found]
        )

    async def open(self, _argument: str) -> Said:
        """/open."""
        now_ms = self._clock.now_ms()
        lines = [
            open_line(open_signal, self._bot.activity.entry_price(open_signal.signal), now_ms)
            for open_signal in self._bot.ledger.open_signals.values()
        ]
        return Listing(title=f"<b>{len(lines)} open</b>", lines=lines)

    async def top(self, argument: str) -> Said:
        """/top [n]."""
        rows = list(self._live_status.markets())[: parse_count(argument, 10, LEADERS)]
        if not rows:
            raise UsageError(_NOTHING_SEEN)
        return Listing(title="<b>Best scores now</b>", lines=[top_line(row) for row in rows], is_table=True)

    async def score(self, argument: str) -> Said:
        """/score COIN."""
        coin, _ = split_coin(argument)
        found = [market for one in self._find(coin) if (market := self._live_status.market(*one.key)) is not None]
        return Content(html=render_score(found[0], [other_venue_line(other) for other in found[1:]]))

    async def why(self, argument: str) -> Said:
        """/why ID."""
        signal, outcome = await self._signal(argument)
        explained = await explain_signal(self._store, signal.id)
        again = repetition(explained) if explained is not None else ""
        return Content(html=render_why(signal, outcome, self._timezone, again))

    async def misses(self, argument: str) -> Said:
        """/misses [n]."""
        since_ms = self._clock.now_ms() - DAY_MS
        found = await self._store.near_misses.find(since_ms, parse_count(argument, 20, _MOST_LISTED))
        title = near_miss_title(await self._store.near_misses.refusals(since_ms))
        return Listing(title=title, lines=[near_miss_line(*row, self._timezone) for row in found])

    async def stats(self, argument: str) -> Said:
        """/stats [days]."""
        rows, controls, left_out = await self._closed(argument, 30)
        kinds, lowest = by_kind(rows, controls), lowest_score(self._config.strategies, self._config.scoring)
        groups: dict[str, Record] = kinds if len(kinds) > 1 else {}
        groups |= {f"score {band}+": one for band, one in by_score_band(rows, lowest, controls).items()}
        groups |= {reason.replace("_", " "): one for reason, one in by_exit_reason(rows).items()}
        title = f"What alerts made in {counted(parse_days(argument, 30), 'day')}"
        total = compare(rows, controls, left_out)
        return Content(html=render_stats(title, total, groups, summarise(rows, "ideal")))

    async def performance(self, argument: str) -> Said:
        """/performance [days]."""
        rows, controls, left_out = await self._closed(argument, 30)
        coins = sorted(by_coin(rows, controls).items(), key=lambda item: -item[1].alerts.net_percent)[:20]
        groups = {venue_title(venue): one for venue, one in by_venue(rows, controls).items()} | dict(coins)
        title = f"By venue and coin in {counted(parse_days(argument, 30), 'day')}"
        total = compare(rows, controls, left_out)
        return Content(html=render_stats(title, total, groups, summarise(rows, "ideal")))

    async def daily(self, _argument: str) -> Said:
        """/daily."""
        return Content(html=await self.report())

    async def report(self) -> str:
        """Return the report on the time since the last one."""
        log = self._bot.activity.day
        given = await self._store.signals.find(since_ms=log.since_ms, limit=10_000)
        rows, controls, left_out = await ended_since(self._store, log.since_ms)
        ended = compare(rows, controls, left_out) if rows or left_out else None
        return render_report(log, given, ended, self._clock.now_ms(), self._timezone)

    async def send_daily_report(self) -> None:
        """Send it to every chat, and count anew."""
        html = await self.report()
        self._bot.activity.begin_day(self._clock.now_ms())
        await self._announcer.notify(html, Kind.REPORT)

    async def count(self, _argument: str) -> Said:
        """/count."""
        return Content(html=render_count(self._live_status.status(), self._bot.ledger.limits, self._timezone))

    async def mutes(self, _argument: str) -> Said:
        """/mutes."""
        return Content(html=render_mutes(self._bot.ledger.limits, self._clock.now_ms(), self._timezone))

    async def mute(self, argument: str) -> Said:
        """/mute COIN [1h]."""
        name, length = split_coin(argument)
        now_ms = self._clock.now_ms()
        until_ms = now_ms + parse_duration_ms(length) if length else FOREVER_MS
        until = until_text(until_ms, self._timezone, ended_by="/unmute")
        if (venue := name.lower()) in VENUES:
            await self._bot.ledger.change_limits(lambda limits: mute_venue(limits, venue, now_ms, until_ms))
            return Content(html=f"{venue_name(venue)} is muted {until}.")
        coin = self._find(name)[0].coin
        await self._bot.ledger.change_limits(lambda limits: mute_coin(limits, coin, now_ms, until_ms))
        return Content(html=f"{escape(coin)} is muted {until}.")

    async def mute_for_an_hour(self, signal: Signal) -> tuple[Callable[[], Awaitable[None]], str]:
        """Mute the coin of an alert, as its button says; return what undoes it, and how it is now muted.

        A mute that lasts longer stays as it is.
        """
        coin, now_ms = signal.coin, self._clock.now_ms()
        before_ms = self._bot.ledger.limits.muted_coins.get(coin, 0)
        if before_ms >= now_ms + HOUR_MS:

            async def leave() -> None:
                """Change nothing, as nothing was changed."""

            return leave, f"{coin} stays muted {until_text(before_ms, self._timezone, ended_by='/unmute')}."
        await self._bot.ledger.change_limits(lambda limits: mute_coin(limits, coin, now_ms, now_ms + HOUR_MS))

        async def undo() -> None:
            await self._bot.ledger.change_limits(
                lambda limits: (
                    mute_coin(limits, coin, now_ms, before_ms)
                    if before_ms > now_ms
                    else unmute_coin(limits, coin, now_ms)
                )
            )

        return undo, f"{coin} is muted for 1 h."

    async def unmute(self, argument: str) -> Said:
        """/unmute COIN."""
        name, _ = split_coin(argument)
        now_ms, limits = self._clock.now_ms(), self._bot.ledger.limits
        names = {symbol_key(name)} | {symbol_key(other) for one in self._live_status.find(name) for other in one.names}
        muted = [coin for coin in limits.muted_coins if name.lower() == "all" or symbol_key(coin) in names]
        venues = [venue for venue in limits.muted_venues if name.lower() in {"all", venue}]
        if not muted and not venues:
            raise UsageError(f"{name} is not muted; /mutes lists what is")
        for coin in muted:
            await self._bot.ledger.change_limits(lambda limits, coin=coin: unmute_coin(limits, coin, now_ms))  # type: ignore[misc]
        for venue in venues:
            await self._bot.ledger.change_limits(lambda limits, venue=venue: unmute_venue(limits, venue, now_ms))  # type: ignore[misc]
        return Content(html=f"No longer muted: {escape(', '.join([*muted, *venues]))}.")

    async def quiet(self, argument: str) -> Said:
        """/quiet [23:00-07:00 | off]."""
        if argument:
            await self._delivery.set_quiet_hours(parse_quiet(argument))
        quiet = self._delivery.quiet_hours
        if quiet is None:
            return Content(html="There are no quiet hours. /quiet 23:00-07:00 sets them.")
        return Content(html=f"Nothing rings from {quiet} ({escape(self._timezone)}); /quiet off ends that.")

    async def config(self, _argument: str) -> Said:
        """/config."""
        texts = self._config.texts
        names = (setting.name for group in GROUPS.values() for setting in group)
        lines = [escape(f"{name}={texts[name] or 'not set'}" if name in texts else f"{name}: hidden") for name in names]
        return Listing(title="<b>Settings</b>, secrets hidden", lines=lines)

    async def test(self, _argument: str) -> Said:
        """/test."""
        self._delivery.chat_states.try_again()
        text = "<b>Test</b>: this chat gets the messages of SGNL. No alert, nothing to trade."
        await self._announcer.notify_all(text)
        refused = [f"Before that {escape(fault)}" for fault in self._delivery.chat_states.faults()]
        on_its_way = f"A test is on its way to {counted(len(self._recipients.chats), 'chat')}."
        return Content(html="\n".join([on_its_way, *refused]))

    async def chats(self, _argument: str) -> Said:
        """/chats."""
        sent_ms, waiting = await self._store.chats.last_sent_ms(), await self._store.chats.waiting_counts()
        states = self._delivery.chat_states
        names = self._recipients.everyone
        lines = [
            chat_line(
                name,
                states[name],
                last_sent_ms=sent_ms.get(name),
                waiting=waiting.get(name, 0),
                is_operator=name == self._recipients.operator,
                now_ms=self._clock.now_ms(),
                monotonic_ms=self._clock.monotonic_ms(),
                timezone=self._timezone,
            )
            for name in names
        ]
        return Content(html=fit("<b>Chats</b>", *lines), buttons=(Button(text="Try again", press="try:"),))

    async def audit(self, argument: str) -> Said:
        """/audit [n]."""
        found = await self._store.steering.latest(parse_count(argument, 20, _MOST_LISTED))
        lines = [
            f"{local_time(one.done_ms, self._timezone):%d %b %H:%M:%S} user {one.user_id} in {escape(one.chat_id)}: "
            f"{escape(one.command)} → {escape(one.answer)}"
            for one in found
        ]
        return Listing(title="<b>Who steered the bot</b>, the latest first", lines=lines)

    async def logs(self, argument: str) -> Said:
        """/logs [n]."""
        count = parse_count(argument, 20, _MOST_LISTED)
        if self._log_file is None:
            raise UsageError("The log is not kept in a file")
        events = await asyncio.to_thread(self._log_file.latest, count)
        return Listing(title="<b>Log</b>, the latest first", lines=[escape(event) for event in events])

    async def version(self, _argument: str) -> Said:
        """/version."""
        up = duration_text((self._clock.now_ms() - self._bot.activity.started_ms) / 1000)
        scoring = self._config.scoring
        return Content(html=f"SGNL {VERSION}, code {code_hash()}, settings {scoring.config_hash}, up {up}")

    async def chart(self, argument: str) -> Said:
        """/chart ID or COIN."""
        if is_id(argument):
            signal, outcome = await self._signal(argument)
            return await self._chart_of_signal(signal, outcome)
        coin, _ = split_coin(argument)
        instrument = self._find(coin)[0]
        history = await self._bot.market.price_history(instrument.key)
        if history is None:
            raise UsageError(f"No prices of {instrument.base} are kept yet")
        name = f"{instrument.base} {venue_title(instrument.venue)}"
        chart = PriceChart(
            title=name,
            history=history,
            tick_size=instrument.tick_size,
            timezone=self._timezone,
            levels={},
            marks={},
            book=self._bot.market.books.get(instrument.key),
        )
        return await self._picture(lambda: draw_price(chart), f"{escape(name)}, {escape(instrument.pair)}")

    async def profit(self, argument: str) -> Said:
        """/profit [days]."""
        days = parse_days(argument, 30)
        rows, controls, left_out = await self._closed(argument, 30)
        curve = np.array(equity_curve(rows))
        if not len(curve):
            left = f" ({left_out} of other settings left out)" if left_out else ""
            raise UsageError(
                f"No alert that anyone could enter has ended in {counted(days, 'day')}{left}: nothing to draw"
            )
        title = f"{counted(len(curve), 'alert')} in {counted(days, 'day')}, net of costs"
        text = render_stats(title, compare(rows, controls, left_out), {}, summarise(rows, "ideal"))
        now_ms = self._clock.now_ms()
        span = {"from_ms": now_ms - days * DAY_MS, "to_ms": now_ms}
        return await self._picture(
            lambda: draw_equity(curve[:, 0].astype(np.int64), curve[:, 1], title, self._timezone, **span), text
        )

    async def _chart_of_signal(self, signal: Signal, outcome: Outcome | None) -> Content:
        key = signal.key
        from_ms = signal.decided_ms - CHART_LEAD_MS
        history = await self._bot.market.price_history(key, signal.decided_ms, CHART_LEAD_MS)
        end_ms = self._clock.now_ms() if outcome is None else outcome.exit_ms + CHART_TRAIL_MS
        if history is not None:
            history = history.between(from_ms, end_ms)
        if history is None:
            raise UsageError(f"The prices around #{signal.id} are no longer kept, and the venue gives none")
        chart = chart_of_signal(signal, outcome, history, self._bot.market.books.get(key), self._timezone)
        end = "open" if outcome is None else net_text(outcome.ideal)
        return await self._picture(lambda: draw_price(chart), f"#{signal.id} {headline(signal)}: {end}")

    async def _picture(self, draw: Callable[[], bytes], caption: str) -> Content:
        async with self._drawing:
            return Content(html=caption, picture=await asyncio.to_thread(draw))

    async def _closed(self, argument: str, default_days: int) -> tuple[list[Row], list[Row], int]:
        return await ended_since(self._store, self._clock.now_ms() - parse_days(argument, default_days) * DAY_MS)

    async def _signal(self, text: str) -> tuple[Signal, Outcome | None]:
        signal_id = parse_id(text)
        if (found := await self._store.signals.get(signal_id)) is None:
            raise UsageError(f"There is no alert #{signal_id}; /signals lists them")
        return found

    def _find(self, coin: str) -> list[Instrument]:
        """Return the coin's pairs, the best score first, or raise UsageError with the nearest names."""
        if found := self._live_status.find(coin):
            return found
        if self._bot.activity.last_tick is None:
            raise UsageError(_NOTHING_SEEN)
        coins = {one.coin for one in self._bot.activity.last_tick.features.instruments}
        near = get_close_matches(symbol_key(coin), coins, n=3)
        raise UsageError(f"{coin} is not watched" + (f", did you mean {' or '.join(near)}?" if near else ""))


def chart_of_signal(
    signal: Signal, outcome: Outcome | None, history: PriceHistory, book: OrderBook | None, timezone: str
) -> PriceChart:
    """Return the chart of an alert: its levels, where it was given and how it ended."""
    levels = signal.levels
    marks = {"alert": (signal.decided_ms, levels.entry)}
    if outcome is not None and outcome.ideal is not None:
        marks[exit_words(outcome.reason, signal.side)] = (outcome.exit_ms, outcome.fill)
    names = ["TP"] if len(levels.take_profits) == 1 else [f"TP {n}" for n in range(1, len(levels.take_profits) + 1)]
    return PriceChart(
        title=f"#{signal.id} {plain_text(headline(signal))}",
        history=history,
        tick_size=signal.tick_size,
        timezone=timezone,
        levels={"entry": levels.entry, "SL": levels.stop} | dict(zip(names, levels.take_profits, strict=True)),
        marks=marks,
        book=book,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as people know it."""

    name: str
    help: str
    answer: Callable[[Answers, str], Awaitable[Said]]
    is_steering: bool = False  #: for admins only
    is_confidential: bool = False  #: and only where nobody else reads it: in private or in the operator's chat
    cost: int = 1  #: of what one user may wait for at a time
    aliases: tuple[str, ...] = ()


COMMANDS = (
    Command(name="status", help="what the bot is doing and how it fares", answer=Answers.status),
    Command(name="open", help="open signals and how they stand", answer=Answers.open),
    Command(name="signals", help="the latest alerts: /signals 30", answer=Answers.signals, aliases=("trades",)),
    Command(name="top", help="the best scores now: /top 20", answer=Answers.top),
    Command(name="score", help="a coin's score and what refuses it: /score PEPE", answer=Answers.score),
    Command(name="why", help="what an alert rested on: /why 42", answer=Answers.why),
    Command(name="chart", help="price, open interest and book: /chart PEPE or /chart 42", answer=Answers.chart, cost=3),
    Command(name="misses", help="what almost became an alert", answer=Answers.misses),
    Command(name="profit", help="the curve of what alerts made: /profit 7", answer=Answers.profit, cost=3),
    Command(name="stats", help="win rates by score and exit: /stats 7", answer=Answers.stats),
    Command(name="performance", help="the same by venue and coin", answer=Answers.performance),
    Command(name="daily", help="the daily report so far", answer=Answers.daily),
    Command(name="count", help="how many of today's alerts are used", answer=Answers.count),
    Command(name="mutes", help="what is muted", answer=Answers.mutes),
    Command(name="health", help="whether all is well", answer=Answers.health),
    Command(name="version", help="which code and settings", answer=Answers.version),
    Command(
        name="pause",
        help="no new alerts, for a while (/pause 2h) or until /resume",
        answer=Answers.pause,
        is_steering=True,
        aliases=("stop", "stopentry"),
    ),
    Command(name="resume", help="alert again", answer=Answers.resume, is_steering=True),
    Command(name="mute", help="a coin or a venue: /mute PEPE 1h", answer=Answers.mute, is_steering=True),
    Command(name="unmute", help="hear of it again: /unmute PEPE, or all", answer=Answers.unmute, is_steering=True),
    Command(name="quiet", help="nothing rings: /quiet 23:00-07:00, or off", answer=Answers.quiet, is_steering=True),
    Command(name="config", help="the settings, secrets hidden", answer=Answers.config, is_steering=True),
    Command(name="test", help="a test message to every chat", answer=Answers.test, is_steering=True),
    Command(name="chats", help="how each chat fares", answer=Answers.chats, is_steering=True),
    Command(
        name="logs",
        help="the latest of the log, in private: /logs 50",
        answer=Answers.logs,
        is_steering=True,
        is_confidential=True,
    ),
    Command(name="audit", help="who steered the bot, and when: /audit 50", answer=Answers.audit, is_steering=True),
)
BY_NAME: Mapping[str, Command] = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}
