"""/chart: price, open interest and book of a coin, or of an alert with its levels."""

from bot.chat.charts import PriceChart, draw_price
from bot.chat.commands.arguments import UsageError, is_id, split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.alerts import exit_words
from bot.chat.texts.phrases import (
    headline,
    net_text,
)
from bot.core.market import PriceHistory
from features.facts.market import OrderBook
from features.facts.venues import venue_title
from scoring.signals import Outcome, Signal

CHART_LEAD_MS = 15 * 60_000  #: how much before an alert its chart begins
CHART_TRAIL_MS = 5 * 60_000


async def answer(context: CommandContext, argument: str) -> Said:
    """/chart ID or COIN."""
    if is_id(argument):
        signal, outcome = await context.find_signal(argument)
        return await _chart_of_signal(context, signal, outcome)
    coin, _ = split_coin(argument)
    instrument = context.find_instruments(coin)[0]
    history = await context.orchestrator.market.price_history(instrument.key)
    if history is None:
        raise UsageError(f"No prices of {instrument.base} are kept yet")
    name = f"{instrument.base} {venue_title(instrument.venue)}"
    chart = PriceChart(
        title=name,
        history=history,
        tick_size=instrument.tick_size,
        timezone=context.timezone,
        levels={},
        marks={},
        book=context.orchestrator.market.books.get(instrument.key),
    )
    return await context.picture(lambda: draw_price(chart), f"{name}, {instrument.pair}")


async def _chart_of_signal(context: CommandContext, signal: Signal, outcome: Outcome | None) -> Content:
    key = signal.key
    from_ms = signal.decided_ms - CHART_LEAD_MS
    history = await context.orchestrator.market.price_history(key, signal.decided_ms, CHART_LEAD_MS)
    end_ms = context.clock.now_ms() if outcome is None else outcome.exit_ms + CHART_TRAIL_MS
    if history is not None:
        history = history.between(from_ms, end_ms)
    if history is None:
        raise UsageError(f"The prices around #{signal.id} are no longer kept, and the venue gives none")
    chart = chart_of_signal(signal, outcome, history, context.orchestrator.market.books.get(key), context.timezone)
    end = "open" if outcome is None else net_text(outcome.ideal)
    return await context.picture(lambda: draw_price(chart), f"#{signal.id} {headline(signal)}: {end}")


def chart_of_signal(
    signal: Signal, outcome: Outcome | None, history: PriceHistory, book: OrderBook | None, timezone: str
) -> PriceChart:
    """Return the chart of an alert: its levels, where it was given and how it ended."""
    levels = signal.levels
    marks = {"alert": (signal.decided_ms, levels.entry)}
    if outcome is not None and outcome.ideal is not None:
        marks[exit_words(outcome.reason, signal.side)] = (outcome.exit_ms, outcome.fill)
    names = ["TP"] if len(levels.take_profits) == 1 else [f"TP {n}" for n in range(1, len(levels.take_profits) + 1)]
    return PriceChart(
        title=f"#{signal.id} {headline(signal)}",
        history=history,
        tick_size=signal.tick_size,
        timezone=timezone,
        levels={"entry": levels.entry, "SL": levels.stop} | dict(zip(names, levels.take_profits, strict=True)),
        marks=marks,
        book=book,
    )


COMMAND = Command(
    name="chart",
    help="price, open interest and book: /chart PEPE or /chart 42",
    answer=answer,
    cost=3,
)
