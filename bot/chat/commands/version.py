"""/version: which code and settings."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.phrases import (
    duration_text,
)
from bot.version import VERSION, code_hash


async def answer(context: CommandContext, _argument: str) -> Said:
    """/version."""
    up = duration_text((context.clock.now_ms() - context.orchestrator.activity.started_ms) / 1000)
    scoring = context.config.scoring
    return Content(text=f"SGNL {VERSION}, code {code_hash()}, settings {scoring.config_hash}, up {up}")


COMMAND = Command(
    name="version",
    help="which code and settings",
    answer=answer,
)
