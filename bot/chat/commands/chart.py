"""/chart: a coin's candles with leg and zones, or price, open interest and book; of an alert, its levels."""

from collections.abc import Sequence
from functools import partial

from bot.chat.candle_charts import CANDLES, draw_candles
from bot.chat.charts import PriceChart, draw_price
from bot.chat.commands.arguments import UsageError, is_id, split_coin
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content
from bot.chat.texts.alerts import exit_words
from bot.chat.texts.phrases import (
    headline,
    net_text,
)
from bot.core.live_levels import interval_name
from bot.core.market import PriceHistory
from features.facts.market import Instrument, OrderBook
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
    instruments = context.find_instruments(coin)
    if (candles := await _chart_of_candles(context, instruments)) is not None:
        return candles
    instrument = instruments[0]
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


async def _chart_of_candles(context: CommandContext, instruments: Sequence[Instrument]) -> Content | None:
    """Return the closed candles of the first of these of which some are kept, None where none are."""
    if (store := context.orchestrator.market.state.candles) is None:
        return None
    interval = interval_name(store.settings.candle_interval_s)
    for one in instruments:
        found = context.live_status.levels(*one.key)
        candles = context.live_status.candles(*one.key, interval, CANDLES)
        if found is None or not candles:
            continue
        name = f"{one.base} {venue_title(one.venue)}, candles of {interval}"
        drawn = partial(draw_candles, name, candles, found, tick_size=one.tick_size, timezone=context.timezone)
        side = found["side"]
        leg = (
            f"{found['phase']} of a leg for a {side.upper()}"
            if side and found["phase"] != "none"
            else "no leg that counts"
        )
        return await context.picture(drawn, f"{name}, {one.pair}: {leg}")
    return None


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
