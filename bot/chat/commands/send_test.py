"""/test: a test message to every chat."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import html, lines
from bot.chat.texts.phrases import (
    counted,
)


async def answer(context: CommandContext, _argument: str) -> Said:
    """/test."""
    context.chat_states.try_again()
    text = html("<b>Test</b>: this chat gets the messages of SGNL. No alert, nothing to trade.")
    await context.announcer.notify_all(text)
    refused = [f"Before that {fault}" for fault in context.chat_states.faults()]
    on_its_way = f"A test is on its way to {counted(len(context.recipients.chats), 'chat')}."
    return Content(text=lines([on_its_way, *refused]))


COMMAND = Command(
    name="test",
    help="a test message to every chat",
    answer=answer,
    is_steering=True,
)
