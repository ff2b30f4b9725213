"""/why: everything an alert rested on."""

from collections.abc import Mapping
from html import escape
from math import isfinite

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.alerts import ended_text
from bot.chat.texts.phrases import (
    fit,
    headline,
    local_time,
    words,
)
from bot.chat.texts.tables import table, verdict_lines
from bot.core.recompute import explain_signal, repetition
from features.frame import FEATURES
from scoring.signals import Outcome, Signal


async def answer(context: CommandContext, argument: str) -> Said:
    """/why ID."""
    signal, outcome = await context.find_signal(argument)
    explained = await explain_signal(context.store, signal.id)
    again = repetition(explained) if explained is not None else ""
    return Content(html=render_why(signal, outcome, context.timezone, again))


def render_why(signal: Signal, outcome: Outcome | None, timezone: str, again: str) -> str:
    """Return everything a decision rested on; `again` says what comes of deciding it again."""
    ended = "still open" if outcome is None else ended_text(signal.side, outcome)
    return fit(
        f"<b>#{signal.id} {headline(signal)}</b>",
        f"{local_time(signal.decided_ms, timezone):%d %b %H:%M:%S %Z}, {ended}",
        "",
        f"<b>Score {signal.score:.2f}</b>: points, and how full each part is",
        table(
            (words(name), points, f"{signal.sub_scores[name]:.0f} %") for name, points in signal.contributions.items()
        ),
        *(f"• {escape(reason)}" for reason in signal.reasons),
        escape(signal.borrowed) or None,
        escape(signal.caution) or None,
        "",
        "<b>Gates</b>",
        *verdict_lines(signal.verdicts),
        "",
        "<b>Features</b>",
        _features(signal.features),
        f"code {escape(signal.code_hash)}, settings {escape(signal.config_hash)}",
        escape(again),
    )


def _features(features: Mapping[str, float]) -> str:
    units = {feature.name: feature.unit for feature in FEATURES}
    rows = (
        f"{words(name)[:21]:<21}{_figure(figure):>11}"
        for name, figure in features.items()
        if name in units or name == "btc_return"
    )
    return f"<pre>{escape(chr(10).join(rows))}</pre>"


def _figure(value: float) -> str:
    """Four digits or nine decimals, never an exponent."""
    if not isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.9f}"


COMMAND = Command(
    name="why",
    help="what an alert rested on: /why 42",
    answer=answer,
)
