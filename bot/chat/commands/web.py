"""/web: a link to the page that logs an admin in, once and within five minutes."""

from bot.chat.commands.arguments import UsageError
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content


async def answer(context: CommandContext, _argument: str) -> Said:
    """/web."""
    if not (link := context.invite()):
        raise UsageError("The page is not up yet")
    return Content(text=f"{link}\nGood once, for five minutes. Do not pass it on.")


COMMAND = Command(
    name="web",
    help="a link to the page, in private",
    answer=answer,
    is_steering=True,
    is_confidential=True,
)
