"""/audit: who steered the bot, and when."""

from bot.chat.commands.arguments import parse_count
from bot.chat.commands.base import MOST_LISTED, Command, CommandContext, Said
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import html
from bot.chat.texts.phrases import (
    local_time,
)


async def answer(context: CommandContext, argument: str) -> Said:
    """/audit [n]."""
    found = await context.store.steering.latest(parse_count(argument, 20, MOST_LISTED))
    lines = [
        f"{local_time(one.done_ms, context.timezone):%d %b %H:%M:%S} user {one.user_id} in {one.chat_id}: "
        f"{one.command} → {one.answer}"
        for one in found
    ]
    return Listing(title=html("<b>Who steered the bot</b>, the latest first"), lines=lines)


COMMAND = Command(
    name="audit",
    help="who steered the bot, and when: /audit 50",
    answer=answer,
    is_steering=True,
)
