"""/status: what the bot is doing and how it fares."""

from collections.abc import Iterator

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.funnels import funnel_lines, thresholds_text
from bot.chat.texts.markup import Markup, html
from bot.chat.texts.notices import CLOCK_IS_BEHIND, open_lines
from bot.chat.texts.phrases import (
    age_text,
    duration_text,
    fit,
    until_text,
    venue_name,
)
from bot.core.status import BotStatus, VenueStatus


async def answer(context: CommandContext, _argument: str) -> Said:
    """/status."""
    return Content(text=render_status(context.live_status.status(), context.timezone))


def render_status(status: BotStatus, timezone: str) -> Markup:
    """Return the answer to /status, times in `timezone`."""
    unsent = ", ".join(f"{count} {state}" for state, count in status.outbox.items() if state != "sent" and count)
    return fit(
        html("<b>SGNL {}</b>, up {}", status.version, duration_text((status.now_ms - status.started_ms) / 1000)),
        _activity(status, timezone),
        _ticks(status),
        f"Best now: {status.best or 'nothing scored yet'}",
        f"Signals today: {status.signals_today} of {status.max_daily_signals}"
        if status.signals_today is not None
        else CLOCK_IS_BEHIND,
        *open_lines(status.open_signals, status.now_ms),
        "",
        *(_venue_line(venue, timezone) for venue in status.venues),
        "" if status.funnels else None,
        *(line for strategy in status.funnels for line in _strategy_lines(strategy, status)),
        f"Messages: {unsent}" if unsent else None,
        *(f"Problem: {problem}" for problem in status.problems()),
        *(f"Note: {note}" for note in status.notes),
    )


def _strategy_lines(strategy: str, status: BotStatus) -> Iterator[str]:
    yield from funnel_lines(strategy, status.funnels[strategy])
    if (rates := status.thresholds.get(strategy)) is not None:
        yield thresholds_text(rates)


def _activity(status: BotStatus, timezone: str) -> str:
    if status.paused_until_ms is not None and status.paused_until_ms > status.now_ms:
        return f"Paused {until_text(status.paused_until_ms, timezone)}: no new alerts, open signals are followed"
    if status.guard_until_ms > status.now_ms:
        return (
            f"Stop-loss guard {until_text(status.guard_until_ms, timezone)}: no new alerts, open signals are followed"
        )
    return "Watching"


def _ticks(status: BotStatus) -> str:
    if status.last_tick_ms is None:
        return "No tick has ended yet"
    age = age_text(status.now_ms - status.last_tick_ms)
    return f"{status.ticks:,} ticks, p50 {status.tick_p50_ms:.0f} ms, p95 {status.tick_p95_ms:.0f} ms, last {age} ago"


def _venue_line(venue: VenueStatus, timezone: str) -> str:
    used = f"{venue.budget_used_percent:.0f} % of its limit used"
    until = f" {until_text(venue.warm_by_ms, timezone)}" if venue.warm_by_ms else ""
    notes = "; ".join(filter(None, [venue.note, f"{venue.warming} warming up{until}" if venue.warming else ""]))
    note = f": {notes}" if notes else ""
    return f"{venue_name(venue.venue)} {venue.state}, {venue.instruments:,} pairs, {used}{note}"


COMMAND = Command(
    name="status",
    help="what the bot is doing and how it fares",
    answer=answer,
)
