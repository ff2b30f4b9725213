"""/levels: a coin's leg, the plan on it, and the zones on its way back."""

from collections.abc import Mapping
from typing import Any

from bot.chat.commands.arguments import UsageError, split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import Markup, bold
from bot.chat.texts.phrases import fit, venue_name, words
from bot.chat.texts.tables import table
from scoring.prices import format_price
from scoring.strategies.levels.score import WEIGHTS

NOT_KEPT = "No candles are kept; STRATEGIES=ups,levels in .env turns them and the strategy on"


async def answer(context: CommandContext, argument: str) -> Said:
    """/levels COIN."""
    coin, _ = split_coin(argument)
    found = [context.live_status.levels(*one.key) for one in context.find_instruments(coin)]
    known = [one for one in found if one is not None]
    if not known:
        raise UsageError(NOT_KEPT)
    with_leg = [one for one in known if one["side"] is not None]
    return Content(text=render_levels((with_leg or known)[0]))


def render_levels(found: Mapping[str, Any]) -> Markup:
    """Return one pair's leg, plan and zones."""
    instrument = found["instrument"]

    def price(value: float) -> str:
        return format_price(value, instrument.tick_size)

    title = bold(
        f"{instrument.base} {venue_name(instrument.venue)}{', candles borrowed' if found['is_borrowed'] else ''}"
    )
    if found["side"] is None:
        return fit(title, f"No leg yet: {found['candles_since_hole']} candles since the last hole")
    if found["phase"] == "none":
        return fit(title, f"The leg {price(found['start'])} to {price(found['end'])} is over or too small")
    targets = " / ".join(map(price, found["take_profits"]))
    zones = [f"{price(one['level'])} ({one['touches']} touches)" for one in found["levels"]]
    blocks = [f"{price(one['block_bottom'])} to {price(one['block_top'])}" for one in found["blocks"]]
    return fit(
        title,
        f"Leg {price(found['start'])} to {price(found['end'])}, {found['height_percent']:.1f} %, for a"
        f" {found['side'].upper()}: {found['phase']}, {found['retraced']:.1%} back".replace("%", " %").replace(
            "  %", " %"
        ),
        f"Entry {price(found['entry1'])} to {price(found['entry2'])}, SL {price(found['stop'])}, TP {targets}",
        bold(f"Score {found['score']:.1f}"),
        table((words(name), WEIGHTS[name] * part / 100, f"{part:.0f} %") for name, part in found["sub_scores"].items()),
        f"RSI {found['rsi']:.0f}, ATR {price(found['atr'])}, near is {price(found['tolerance'])}",
        f"Levels: {', '.join(zones)}" if zones else None,
        f"Order blocks: {', '.join(blocks)}" if blocks else None,
        "Unproven: only its own record can say what it is worth",
    )


COMMAND = Command(
    name="levels",
    help="a coin's leg, plan and zones: /levels PEPE",
    answer=answer,
)
