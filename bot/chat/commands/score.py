"""/score: a coin's score and what refuses it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.chat.commands.arguments import split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import Markup, bold
from bot.chat.texts.phrases import (
    fit,
    venue_name,
    words,
)
from bot.chat.texts.tables import table, verdict_lines


async def answer(context: CommandContext, argument: str) -> Said:
    """/score COIN."""
    coin, _ = split_coin(argument)
    found = [
        market for one in context.find_instruments(coin) if (market := context.live_status.market(*one.key)) is not None
    ]
    return Content(text=render_score(found[0], [other_venue_line(other) for other in found[1:]]))


def render_score(market: Mapping[str, Any], others: Sequence[str]) -> Markup:
    """Return the score of one pair now and why it is no alert; `others` are the coin's other venues, a line each."""
    instrument = market["instrument"]
    contributions, sub_scores = market["contributions"], market["sub_scores"]
    refused = [verdict for verdict in market["verdicts"] if not verdict.passed]
    missing = ", ".join(f"{words(part).lower()} ({why})" for part, why in market["missing"].items())
    return fit(
        bold(f"{instrument.base} {venue_name(instrument.venue)} {market['score']:.1f}"),
        table((words(name), points, f"{sub_scores[name]:.0f} %") for name, points in contributions.items()),
        f"Missing: {missing}" if missing else None,
        f"Refused by {len(refused)} of {len(market['verdicts'])} gates:" if refused else "Every gate passes",
        *verdict_lines(refused),
        *others,
    )


def other_venue_line(market: Mapping[str, Any]) -> str:
    """Return another venue's score of the same coin."""
    refused = sum(not verdict.passed for verdict in market["verdicts"])
    return f"{venue_name(market['venue'])} {market['score']:.1f}, refused by {refused}"


COMMAND = Command(
    name="score",
    help="a coin's score and what refuses it: /score PEPE",
    answer=answer,
)
