"""/performance: what alerts made, by venue and coin."""

from bot.chat.commands.arguments import parse_days
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.commands.stats import render_stats
from bot.chat.delivery.sender import Content
from bot.chat.texts.phrases import (
    counted,
)
from features.facts.venues import venue_title
from scoring.records import by_coin, by_venue, compare, summarise


async def answer(context: CommandContext, argument: str) -> Said:
    """/performance [days]."""
    rows, controls, left_out = await context.ended_in(argument, 30)
    coins = sorted(by_coin(rows, controls).items(), key=lambda item: -item[1].alerts.net_percent)[:20]
    groups = {venue_title(venue): one for venue, one in by_venue(rows, controls).items()} | dict(coins)
    title = f"By venue and coin in {counted(parse_days(argument, 30), 'day')}"
    total = compare(rows, controls, left_out)
    return Content(text=render_stats(title, total, groups, summarise(rows, "ideal")))


COMMAND = Command(
    name="performance",
    help="the same by venue and coin",
    answer=answer,
)
