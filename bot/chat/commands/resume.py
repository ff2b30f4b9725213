"""/resume: alerts again."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content


async def answer(context: CommandContext, _argument: str) -> Said:
    """/resume."""
    await context.orchestrator.ledger.resume()
    return Content(text="Alerting again.")


COMMAND = Command(
    name="resume",
    help="alert again",
    answer=answer,
    is_steering=True,
)
