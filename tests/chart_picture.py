"""The README's picture of a chart, drawn by the bot's own code: `python -m tests.chart_picture` writes docs/chart.png.

The alert is the one of docs/alert.svg; price, open interest and order book are made up to go with it.
"""

from pathlib import Path

import numpy as np

from bot.chat.charts import draw_price
from bot.chat.commands.chart import CHART_LEAD_MS, CHART_TRAIL_MS, chart_of_signal
from bot.core.market import PriceHistory
from features.facts.market import FloatArray, OrderBook, read_only
from tests.alert_picture import LEVELS, OUTCOME, SIGNAL

PICTURE = Path(__file__).parents[1] / "docs" / "chart.png"
TICK_MS = 5_000


def chart_png() -> bytes:
    """Return what /chart 17 would answer."""
    return draw_price(chart_of_signal(SIGNAL, OUTCOME, history(), book(), "UTC"))


def history() -> PriceHistory:
    """Return a price that slips to the alert, goes to its target and turns, while open interest rises into the fall."""
    dice = np.random.default_rng(17)
    time_ms = np.arange(SIGNAL.decided_ms - CHART_LEAD_MS, OUTCOME.exit_ms + CHART_TRAIL_MS, TICK_MS)
    at_ms = [time_ms[0], SIGNAL.decided_ms, OUTCOME.exit_ms, time_ms[-1]]
    entry, target = LEVELS.entry, LEVELS.take_profits[0]
    trend = np.interp(time_ms, at_ms, [1.013 * entry, entry, target, 1.004 * target])
    wander = np.cumsum(dice.normal(0, 4e-4, len(time_ms)))
    wander -= np.interp(time_ms, at_ms, np.interp(at_ms, time_ms, wander))  # none where the story wants a price
    interest = np.interp(time_ms, at_ms, [8.1e6, 8.4e6, 8.55e6, 8.3e6]) * (1 + dice.normal(0, 8e-4, len(time_ms)))
    return PriceHistory(time_ms=time_ms, price=trend * (1 + wander), open_interest=interest)


def book() -> OrderBook:
    """Return a book with a wall of asks over thin bids."""
    dice, tick, steps = np.random.default_rng(3), SIGNAL.tick_size, np.arange(50)
    best = OUTCOME.fill * 1.004

    def levels(direction: int, notional: float) -> FloatArray:
        price = best + direction * tick * (1 + 11 * steps)
        return np.stack([price, notional * dice.lognormal(0, 0.5, len(price)) / price])

    bids, asks = levels(-1, 180), levels(1, 420)
    asks[1, 14] *= 13
    return OrderBook(
        venue=SIGNAL.venue,
        id=SIGNAL.instrument_id,
        bids=read_only(bids, np.float64),
        asks=read_only(asks, np.float64),
        levels_asked=50,
        exchange_ms=OUTCOME.exit_ms,
        received_ms=OUTCOME.exit_ms,
    )


if __name__ == "__main__":
    PICTURE.write_bytes(chart_png())
