"""/pause: no new alerts, for a while or until /resume."""

from bot.chat.commands.arguments import parse_duration_ms
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.phrases import (
    until_text,
)


async def answer(context: CommandContext, argument: str) -> Said:
    """/pause [2h]."""
    if not argument:
        await context.orchestrator.ledger.pause(None)
        return Content(text="Paused until /resume. Open signals are followed to their exit.")
    until_ms = context.clock.now_ms() + parse_duration_ms(argument)
    await context.orchestrator.ledger.pause(until_ms)
    until = until_text(until_ms, context.timezone)
    return Content(text=f"Paused {until}. Open signals are followed to their exit; /resume ends the pause.")


COMMAND = Command(
    name="pause",
    help="no new alerts, for a while (/pause 2h) or until /resume",
    answer=answer,
    is_steering=True,
    aliases=("stop", "stopentry"),
)
