"""/logs: the latest of the log."""

import asyncio

from bot.chat.commands.arguments import (
    UsageError,
    parse_count,
)
from bot.chat.commands.base import MOST_LISTED, Command, CommandContext, Said
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import html


async def answer(context: CommandContext, argument: str) -> Said:
    """/logs [n]."""
    count = parse_count(argument, 20, MOST_LISTED)
    if context.log_file is None:
        raise UsageError("The log is not kept in a file")
    events = await asyncio.to_thread(context.log_file.latest, count)
    return Listing(title=html("<b>Log</b>, the latest first"), lines=events)


COMMAND = Command(
    name="logs",
    help="the latest of the log, in private: /logs 50",
    answer=answer,
    is_steering=True,
    is_confidential=True,
)
