"""/unmute: alerts of a coin or a venue again."""

from bot.chat.commands.arguments import UsageError, split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from scoring.limits import unmute_coin, unmute_venue
from storage.symbols import symbol_key


async def answer(context: CommandContext, argument: str) -> Said:
    """/unmute COIN."""
    name, _ = split_coin(argument)
    now_ms, limits = context.clock.now_ms(), context.orchestrator.ledger.limits
    names = {symbol_key(name)} | {symbol_key(other) for one in context.live_status.find(name) for other in one.names}
    muted = [coin for coin in limits.muted_coins if name.lower() == "all" or symbol_key(coin) in names]
    venues = [venue for venue in limits.muted_venues if name.lower() in {"all", venue}]
    if not muted and not venues:
        raise UsageError(f"{name} is not muted; /mutes lists what is")
    for coin in muted:
        await context.orchestrator.ledger.change_limits(lambda limits, coin=coin: unmute_coin(limits, coin, now_ms))  # type: ignore[misc]
    for venue in venues:
        await context.orchestrator.ledger.change_limits(lambda limits, venue=venue: unmute_venue(limits, venue, now_ms))  # type: ignore[misc]
    return Content(text=f"No longer muted: {', '.join([*muted, *venues])}.")


COMMAND = Command(
    name="unmute",
    help="alerts of it again: /unmute PEPE, or all",
    answer=answer,
    is_steering=True,
)
