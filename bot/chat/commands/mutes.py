"""/mutes: what is muted."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import bold
from bot.chat.texts.phrases import (
    fit,
    until_text,
    venue_name,
)
from scoring.signals import Limits


async def answer(context: CommandContext, _argument: str) -> Said:
    """/mutes."""
    return Content(text=render_mutes(context.orchestrator.ledger.limits, context.clock.now_ms(), context.timezone))


def render_mutes(limits: Limits, now_ms: int, timezone: str) -> str:
    """Return what is muted and until when."""
    lines = [
        f"{name} {until_text(until_ms, timezone, ended_by='/unmute')}"
        for names in (
            limits.muted_coins,
            {venue_name(venue): until_ms for venue, until_ms in limits.muted_venues.items()},
        )
        for name, until_ms in sorted(names.items())
        if until_ms > now_ms
    ]
    return fit(bold("Muted"), *lines) if lines else "Nothing is muted. /mute PEPE 1h mutes a coin, /mute LBank a venue."


COMMAND = Command(
    name="mutes",
    help="what is muted",
    answer=answer,
)
