"""/signals: the latest alerts and their ends."""

from bot.chat.commands.arguments import parse_count
from bot.chat.commands.base import MOST_LISTED, Command, CommandContext, Said
from bot.chat.texts.alerts import ended_text
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import html
from bot.chat.texts.phrases import (
    headline,
    local_time,
)
from scoring.signals import Outcome, Signal


async def answer(context: CommandContext, argument: str) -> Said:
    """/signals [n]."""
    found = await context.store.signals.find(limit=parse_count(argument, 10, MOST_LISTED))
    return Listing(
        title=html("<b>Alerts</b>, the latest first"), lines=[signal_line(row, context.timezone) for row in found]
    )


Row = tuple[Signal, Outcome | None]


def signal_line(row: Row, timezone: str) -> str:
    """Return one alert and its end on a line."""
    signal, outcome = row
    end = "open" if outcome is None else ended_text(signal.side, outcome)
    return f"#{signal.id} {local_time(signal.decided_ms, timezone):%d %b %H:%M} {headline(signal)}: {end}"


COMMAND = Command(
    name="signals",
    help="the latest alerts: /signals 30",
    answer=answer,
    aliases=("trades",),
)
