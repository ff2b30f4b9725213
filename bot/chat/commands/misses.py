"""/misses: what almost became an alert."""

from collections.abc import Mapping

from bot.chat.commands.arguments import parse_count
from bot.chat.commands.base import DAY_MS, MOST_LISTED, Command, CommandContext, Said
from bot.chat.texts.alerts import ended_text
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import Markup, bold, lines
from bot.chat.texts.phrases import (
    local_time,
    venue_name,
    words,
)
from scoring.signals import NearMiss, Outcome


async def answer(context: CommandContext, argument: str) -> Said:
    """/misses [n]."""
    since_ms = context.clock.now_ms() - DAY_MS
    found = await context.store.near_misses.find(since_ms, parse_count(argument, 20, MOST_LISTED))
    title = near_miss_title(await context.store.near_misses.refusals(since_ms))
    return Listing(title=title, lines=[near_miss_line(*row, context.timezone) for row in found])


def near_miss_line(near_miss: NearMiss, outcome: Outcome | None, timezone: str) -> str:
    """Return one near miss on a line, and what it would have made where that is known."""
    when = f"{local_time(near_miss.decided_ms, timezone):%H:%M}"
    failed = ", ".join(words(name).lower() for name in near_miss.failed)
    made, levels = "", near_miss.levels
    if outcome is not None and levels is not None:
        by_quotes = " (by quotes only)" if outcome.is_by_quotes else ""
        made = f", would be {ended_text(levels.side, outcome)}{by_quotes}"
    name = f"{near_miss.coin} {venue_name(near_miss.venue)}"
    return f"{when} {name} {near_miss.score:.1f}: {failed}{made}"


def near_miss_title(refusals: Mapping[str, int]) -> Markup:
    """Return what stopped how many."""
    counts = ", ".join(f"{words(gate).lower()} {count}" for gate, count in list(refusals.items())[:6])
    return lines([bold("Near misses of the last day"), counts or "none"])


COMMAND = Command(
    name="misses",
    help="what almost became an alert",
    answer=answer,
)
