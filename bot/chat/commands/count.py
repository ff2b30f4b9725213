"""/count: how many of today's alerts are used."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.notices import CLOCK_IS_BEHIND
from bot.core.status import BotStatus
from scoring.signals import Limits


async def answer(context: CommandContext, _argument: str) -> Said:
    """/count."""
    return Content(
        text=render_count(context.live_status.status(), context.orchestrator.ledger.limits, context.timezone)
    )


def render_count(status: BotStatus, limits: Limits, timezone: str) -> str:
    """Return how much of today's alerts is used."""
    if status.signals_today is None:
        return CLOCK_IS_BEHIND
    left = max(0, status.max_daily_signals - status.signals_today)
    stops = len([time_ms for time_ms in limits.stop_times_ms if time_ms > status.now_ms - 3_600_000])
    return (
        f"{status.signals_today} of {status.max_daily_signals} alerts used today, {left} left until midnight in "
        f"{timezone}; open now: {len(status.open_signals)}, stops in the last hour: {stops}"
    )


COMMAND = Command(
    name="count",
    help="how many of today's alerts are used",
    answer=answer,
)
