"""/profit: the curve of what alerts made."""

import numpy as np

from bot.chat.charts import draw_equity
from bot.chat.commands.arguments import UsageError, parse_days
from bot.chat.commands.base import DAY_MS, Command, CommandContext, Said
from bot.chat.commands.stats import render_stats
from bot.chat.texts.phrases import (
    counted,
)
from scoring.records import compare, equity_curve, summarise


async def answer(context: CommandContext, argument: str) -> Said:
    """/profit [days]."""
    days = parse_days(argument, 30)
    rows, controls, left_out = await context.ended_in(argument, 30)
    curve = np.array(equity_curve(rows))
    if not len(curve):
        left = f" ({left_out} of other settings left out)" if left_out else ""
        raise UsageError(f"No alert that anyone could enter has ended in {counted(days, 'day')}{left}: nothing to draw")
    title = f"{counted(len(curve), 'alert')} in {counted(days, 'day')}, net of costs"
    text = render_stats(title, compare(rows, controls, left_out), {}, summarise(rows, "ideal"))
    now_ms = context.clock.now_ms()
    span = {"from_ms": now_ms - days * DAY_MS, "to_ms": now_ms}
    return await context.picture(
        lambda: draw_equity(curve[:, 0].astype(np.int64), curve[:, 1], title, context.timezone, **span), text
    )


COMMAND = Command(
    name="profit",
    help="the curve of what alerts made: /profit 7",
    answer=answer,
    cost=3,
)
