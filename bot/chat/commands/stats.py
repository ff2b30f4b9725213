"""/stats: what alerts made, by score and exit."""

from collections.abc import Mapping
from math import isinf

from bot.chat.commands.arguments import parse_days
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import Markup, html
from bot.chat.texts.phrases import (
    comparison_text,
    counted,
    expectancy_text,
    fit,
    record_text,
    signed,
)
from scoring.records import by_exit_reason, by_kind, by_score_band, compare, summarise
from scoring.statistics import Record, Summary
from scoring.strategies import lowest_score


async def answer(context: CommandContext, argument: str) -> Said:
    """/stats [days]."""
    rows, controls, left_out = await context.ended_in(argument, 30)
    kinds, lowest = by_kind(rows, controls), lowest_score(context.config.strategies, context.config.scoring)
    groups: dict[str, Record] = kinds if len(kinds) > 1 else {}
    groups |= {f"score {band}+": one for band, one in by_score_band(rows, lowest, controls).items()}
    groups |= {reason.replace("_", " "): one for reason, one in by_exit_reason(rows).items()}
    title = f"What alerts made in {counted(parse_days(argument, 30), 'day')}"
    total = compare(rows, controls, left_out)
    return Content(text=render_stats(title, total, groups, summarise(rows, "ideal")))


def render_stats(title: str, total: Record, groups: Mapping[str, Record], at_alert: Summary) -> Markup:
    """Return what signals have made, group by group, and all of them as if entered at the alert's own price."""
    return fit(
        html("<b>{}</b>, from the price a person could reach, net of fees, spread and funding", title),
        _record_line("all", total),
        comparison_text(total),
        *(_record_line(name, record) for name, record in groups.items()),
        f"from the alert's own price, which nobody gets: {expectancy_text(at_alert)}" if at_alert.n else None,
    )


def _record_line(name: str, record: Record) -> str:
    text, made = record_text(record), record.alerts
    if made.n:
        factor = "∞" if isinf(made.profit_factor) else f"{made.profit_factor:.2f}"
        text += f", {signed(made.net_percent)} %, profit factor {factor}"
    return f"{name}: {text}"


COMMAND = Command(
    name="stats",
    help="win rates by score and exit: /stats 7",
    answer=answer,
)
