"""/top: the best scores now."""

from collections.abc import Mapping
from typing import Any

from bot.chat.commands.arguments import UsageError, parse_count
from bot.chat.commands.base import NOTHING_SCORED, Command, CommandContext, Said
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import bold
from bot.chat.texts.phrases import (
    venue_name,
)
from bot.core.live_status import LEADERS


async def answer(context: CommandContext, argument: str) -> Said:
    """/top [n]."""
    rows = list(context.live_status.markets())[: parse_count(argument, 10, LEADERS)]
    if not rows:
        raise UsageError(NOTHING_SCORED)
    return Listing(title=bold("Best scores now"), lines=[top_line(row) for row in rows], is_table=True)


def top_line(row: Mapping[str, Any]) -> str:
    """Return a line of the leaderboard, 32 columns at most."""
    return f"{row['score']:5.1f} {row['pair'].partition('/')[0][:14]:<14} {venue_name(row['venue'])}"


COMMAND = Command(
    name="top",
    help="the best scores now: /top 20",
    answer=answer,
)
