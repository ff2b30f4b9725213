"""/config: the settings, secrets hidden."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import html
from bot.config.settings import GROUPS


async def answer(context: CommandContext, _argument: str) -> Said:
    """/config."""
    texts = context.config.texts
    names = (setting.name for group in GROUPS.values() for setting in group)
    lines = [f"{name}={texts[name] or 'not set'}" if name in texts else f"{name}: hidden" for name in names]
    return Listing(title=html("<b>Settings</b>, secrets hidden"), lines=lines)


COMMAND = Command(
    name="config",
    help="the settings, secrets hidden",
    answer=answer,
    is_steering=True,
)
