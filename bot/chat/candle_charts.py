"""The closed candles of a pair as a picture: swings, the leg, the plan on it, and the zones on its way back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.chat.charts import AMBER, GREEN, INK, PRICE, RED, draw_level, drawable, new_figure, png, show_times, times
from scoring.prices import format_price

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CANDLES = 140  #: so many fit a phone
_DAY_MS = 86_400_000
_WIDTH = 0.7  #: of a candle's time that its body fills


def draw_candles(
    title: str, candles: Sequence[Sequence[float]], found: Mapping[str, Any], *, tick_size: float, timezone: str
) -> bytes:
    """Return candles, [open_ms, open, high, low, close, volume] each, and what `levels` makes of them, as PNG."""
    with new_figure(height=7.0) as figure:
        axes = figure.subplots()
        rows = np.array(candles[-CANDLES:])
        _draw_candles(axes, rows)
        _draw_swings(axes, rows, found["swing_points"])
        if found["side"] is not None:
            ends = np.array([found["start_ms"], found["end_ms"]])
            axes.plot(times(ends), [found["start"], found["end"]], color=AMBER, linewidth=1.6)
        if found["phase"] != "none":
            _draw_plan(axes, found, tick_size)
        around_ms = rows[[0, -1], 0] + _apart_ms(rows) * np.array([-1, 1])
        axes.set_xlim(*times(around_ms.astype(np.int64)))
        axes.yaxis.set_major_formatter(lambda price, _: format_price(price, tick_size))
        axes.margins(y=0.1)
        show_times(axes, timezone)
        figure.suptitle(drawable(title), fontsize=13)
        return png(figure)


def _apart_ms(rows: Any) -> float:
    return float(np.min(np.diff(rows[:, 0]), initial=_DAY_MS))


def _draw_candles(axes: "Axes", rows: Any) -> None:
    open_ms, opened, high, low, close, _ = rows.T
    when = times(open_ms.astype(np.int64))
    width = _WIDTH * _apart_ms(rows) / _DAY_MS  # in days, as the axis counts
    for is_its, colour in ((close >= opened, GREEN), (close < opened, RED)):
        axes.vlines(when[is_its], low[is_its], high[is_its], color=colour, linewidth=0.9)
        bottom, height = np.minimum(opened, close)[is_its], np.abs(close - opened)[is_its]
        axes.bar(when[is_its], height, width, bottom=bottom, color=colour)


def _draw_swings(axes: "Axes", rows: Any, points: Sequence[Mapping[str, Any]]) -> None:
    for kind, marker in (("high", "v"), ("low", "^")):
        its = [one for one in points if one["kind"] == kind and one["open_ms"] >= rows[0, 0]]
        when = times(np.array([one["open_ms"] for one in its], np.int64))
        axes.plot(when, [one["price"] for one in its], marker, color=AMBER, markersize=6)


def _draw_plan(axes: "Axes", found: Mapping[str, Any], tick_size: float) -> None:
    axes.axhspan(found["entry1"], found["entry2"], color=PRICE, alpha=0.25)
    for zone in found["blocks"]:
        axes.axhspan(zone["block_bottom"], zone["block_top"], color=AMBER, alpha=0.12)
    for one in found["levels"]:
        axes.axhline(one["level"], color=INK, linewidth=0.8, linestyle=":")
    named = {"entry": (found["entry1"], PRICE), "SL": (found["stop"], RED)}
    named |= {f"TP {place}": (price, GREEN) for place, price in enumerate(found["take_profits"], start=1)}
    for name, (price, colour) in named.items():
        draw_level(axes, name, price, tick_size=tick_size, colour=colour)
