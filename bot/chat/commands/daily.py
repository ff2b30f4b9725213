"""/daily: the daily report so far, and its sending."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.daily_report import render_report
from bot.chat.texts.markup import Markup
from bot.core.performance import ended_since
from scoring.records import compare
from storage.messages import Kind


async def answer(context: CommandContext, _argument: str) -> Said:
    """/daily."""
    return Content(text=await report(context))


async def report(context: CommandContext) -> Markup:
    """Return the report on the time since the last one."""
    log = context.orchestrator.activity.day
    given = await context.store.signals.find(since_ms=log.since_ms, limit=10_000)
    rows, controls, left_out = await ended_since(context.store, log.since_ms)
    ended = compare(rows, controls, left_out) if rows or left_out else None
    return render_report(log, given, ended, context.clock.now_ms(), context.timezone)


async def send_daily_report(context: CommandContext) -> None:
    """Send it to every chat, and count anew."""
    text = await report(context)
    context.orchestrator.activity.begin_day(context.clock.now_ms())
    await context.announcer.notify(text, Kind.REPORT)


COMMAND = Command(
    name="daily",
    help="the daily report so far",
    answer=answer,
)
