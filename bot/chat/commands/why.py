"""/why: everything an alert rested on."""

from collections.abc import Mapping, Sequence
from math import isfinite

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.alerts import ended_text
from bot.chat.texts.markup import Markup, bold, html, monospaced
from bot.chat.texts.phrases import (
    fit,
    headline,
    local_time,
    words,
)
from bot.chat.texts.tables import table, verdict_lines
from bot.core.recompute import explain_signal, nearest_gates, repetition
from features.frame import FEATURES
from scoring.signals import Outcome, Signal, Verdict


async def answer(context: CommandContext, argument: str) -> Said:
    """/why ID."""
    signal, outcome = await context.find_signal(argument)
    explained = await explain_signal(context.store, signal.id)
    again = repetition(explained) if explained is not None else ""
    return Content(text=render_why(signal, outcome, context.timezone, again))


def render_why(signal: Signal, outcome: Outcome | None, timezone: str, again: str) -> Markup:
    """Return everything a decision rested on; `again` says what comes of deciding it again."""
    ended = "still open" if outcome is None else ended_text(signal.side, outcome)
    return fit(
        bold(f"#{signal.id} {headline(signal)}"),
        f"{local_time(signal.decided_ms, timezone):%d %b %H:%M:%S %Z}, {ended}",
        "",
        html("<b>Score {:.2f}</b>: points, and how full each part is", signal.score),
        table(
            (words(name), points, f"{signal.sub_scores[name]:.0f} %") for name, points in signal.contributions.items()
        ),
        *(f"• {reason}" for reason in signal.reasons),
        signal.borrowed or None,
        signal.caution or None,
        "",
        bold("Gates"),
        *verdict_lines(signal.verdicts),
        _least_to_spare(signal.verdicts),
        "",
        bold("Features"),
        _features(signal.features),
        f"code {signal.code_hash}, settings {signal.config_hash}",
        again,
    )


def _least_to_spare(verdicts: Sequence[Verdict]) -> str | None:
    nearest = nearest_gates(verdicts)
    return f"Least to spare: {'; '.join(verdict.reason for verdict in nearest)}" if nearest else None


def _features(features: Mapping[str, float]) -> Markup:
    units = {feature.name: feature.unit for feature in FEATURES}
    rows = (
        f"{words(name)[:21]:<21}{_figure(figure):>11}"
        for name, figure in features.items()
        if name in units or name == "btc_return"
    )
    return monospaced("\n".join(rows))


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
