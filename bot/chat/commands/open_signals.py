"""/open: open signals and how they fare."""

from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import bold
from bot.chat.texts.phrases import (
    duration_text,
    headline,
    signed,
)
from scoring.prices import format_price
from scoring.signals import OpenSignal, Signal


async def answer(context: CommandContext, _argument: str) -> Said:
    """/open."""
    now_ms = context.clock.now_ms()
    lines = [
        open_line(open_signal, context.orchestrator.activity.entry_price(open_signal.signal), now_ms)
        for open_signal in context.orchestrator.ledger.open_signals.values()
    ]
    return Listing(title=bold(f"{len(lines)} open"), lines=lines)


def open_line(open_signal: OpenSignal, price: float | None, now_ms: int) -> str:
    """Return one open signal with what the move has been so far, before costs."""
    signal = open_signal.signal
    moved = "price unknown"
    if price is not None:
        moved = f"now {format_price(price, signal.tick_size)}, {signed(_move(signal, price))} %"
    best, worst = (signed(_move(signal, extreme)) for extreme in (open_signal.best_price, open_signal.worst_price))
    stop, target = (
        format_price(level, signal.tick_size) for level in (signal.levels.stop, signal.levels.take_profits[0])
    )
    age = duration_text((now_ms - signal.decided_ms) / 1000)
    return f"#{signal.id} {headline(signal)} SL {stop} TP {target}\n  {moved} (best {best}, worst {worst}), {age}"


def _move(signal: Signal, price: float) -> float:
    return signal.side.direction * 100 * (price / signal.levels.entry - 1)


COMMAND = Command(
    name="open",
    help="open signals and how they are doing",
    answer=answer,
)
