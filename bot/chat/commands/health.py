"""/health: whether all is well, and all that has gone wrong."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.funnels import funnel_lines
from bot.chat.texts.markup import Markup, bold
from bot.chat.texts.phrases import (
    age_text,
    fit,
    local_time,
    venue_name,
    words,
)
from bot.core.status import BotStatus


async def answer(context: CommandContext, _argument: str) -> Said:
    """/health."""
    return Content(text=render_health(context.live_status.status(), context.timezone))


def render_health(status: BotStatus, timezone: str) -> Markup:
    """Return whether all is well, and all that has gone wrong with messages since the start."""
    problems = [*status.problems()]
    waiting = ", ".join(f"{count} {state}" for state, count in status.outbox.items() if state != "sent" and count)
    return fit(
        bold("Not well" if problems else "All is well"),
        *problems,
        *(f"Note: {note}" for note in status.notes),
        *(f"{venue_name(venue.venue)} {venue.state}" for venue in status.venues),
        "No tick has ended yet"
        if status.last_tick_ms is None
        else f"Last tick {age_text(status.now_ms - status.last_tick_ms)} ago, p95 {status.tick_p95_ms:.0f} ms",
        f"Messages: {waiting}" if waiting else "Messages: all sent",
        *(
            f"{words(incident.what)} {'once' if incident.count == 1 else f'{incident.count:,} times'}, last "
            f"{local_time(incident.last_ms, timezone):%d %b %H:%M} ({incident.words})"
            for incident in status.incidents
        ),
        *(line for strategy, means in status.funnels.items() for line in funnel_lines(strategy, means)),
    )


COMMAND = Command(
    name="health",
    help="whether all is well",
    answer=answer,
)
