"""/quiet: the hours in which nothing rings."""

from bot.chat.commands.arguments import parse_quiet
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content


async def answer(context: CommandContext, argument: str) -> Said:
    """/quiet [23:00-07:00 | off]."""
    if argument:
        await context.sounds.set_quiet_hours(parse_quiet(argument))
    quiet = context.sounds.quiet_hours
    if quiet is None:
        return Content(text="There are no quiet hours. /quiet 23:00-07:00 sets them.")
    return Content(text=f"Nothing rings from {quiet} ({context.timezone}); /quiet off ends that.")


COMMAND = Command(
    name="quiet",
    help="nothing rings: /quiet 23:00-07:00, or off",
    answer=answer,
    is_steering=True,
)
