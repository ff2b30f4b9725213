"""/mute: no alerts of a coin or a venue, and the button that mutes for an hour."""

from collections.abc import Awaitable, Callable

from bot.chat.commands.arguments import parse_duration_ms, split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.phrases import (
    until_text,
    venue_name,
)
from features.facts.venues import VENUES
from scoring.limits import mute_coin, mute_venue, unmute_coin
from scoring.signals import FOREVER_MS, Signal

HOUR_MS = 3_600_000


async def answer(context: CommandContext, argument: str) -> Said:
    """/mute COIN [1h]."""
    name, length = split_coin(argument)
    now_ms = context.clock.now_ms()
    until_ms = now_ms + parse_duration_ms(length) if length else FOREVER_MS
    until = until_text(until_ms, context.timezone, ended_by="/unmute")
    if (venue := name.lower()) in VENUES:
        await context.orchestrator.ledger.change_limits(lambda limits: mute_venue(limits, venue, now_ms, until_ms))
        return Content(text=f"{venue_name(venue)} is muted {until}.")
    coin = context.find_instruments(name)[0].coin
    await context.orchestrator.ledger.change_limits(lambda limits: mute_coin(limits, coin, now_ms, until_ms))
    return Content(text=f"{coin} is muted {until}.")


async def mute_for_an_hour(context: CommandContext, signal: Signal) -> tuple[Callable[[], Awaitable[None]], str]:
    """Mute the coin of an alert, as its button says; return what undoes it, and how it is now muted.

    A mute that lasts longer stays as it is.
    """
    coin, now_ms = signal.coin, context.clock.now_ms()
    before_ms = context.orchestrator.ledger.limits.muted_coins.get(coin, 0)
    if before_ms >= now_ms + HOUR_MS:

        async def leave() -> None:
            """Change nothing, as nothing was changed."""

        return leave, f"{coin} stays muted {until_text(before_ms, context.timezone, ended_by='/unmute')}."
    await context.orchestrator.ledger.change_limits(lambda limits: mute_coin(limits, coin, now_ms, now_ms + HOUR_MS))

    async def undo() -> None:
        await context.orchestrator.ledger.change_limits(
            lambda limits: (
                mute_coin(limits, coin, now_ms, before_ms) if before_ms > now_ms else unmute_coin(limits, coin, now_ms)
            )
        )

    return undo, f"{coin} is muted for 1 h."


COMMAND = Command(
    name="mute",
    help="a coin or a venue: /mute PEPE 1h",
    answer=answer,
    is_steering=True,
)
