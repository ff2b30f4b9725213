"""Pictures for a phone: drawn by matplotlib without a display, on a thread of their own, as PNG bytes.

Colours are chosen to be read on Telegram's dark and light themes alike: the picture brings its own ground.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bot.core.market import PriceHistory
from features.facts.market import FloatArray, IntArray, OrderBook
from scoring.prices import format_price

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUND, INK, _GRID = "#17212b", "#e8eef4", "#2e3b48"
PRICE, RED, GREEN, AMBER = "#6ab3f3", "#ff6b6b", "#5ddb8f", "#ffc857"
_STYLE: dict[Any, Any] = {
    "figure.facecolor": _GROUND,
    "axes.facecolor": _GROUND,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": _GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 110,
    "font.size": 11,
    "date.autoformatter.minute": "%H:%M",
    "date.autoformatter.hour": "%d %b %H:%M",
    "date.autoformatter.day": "%d %b",
    "date.autoformatter.month": "%b %Y",
    "text.parse_math": False,  # a coin may be called $$
}
_WIDTH = 7.2  #: [inches], at the 110 pixels each of _STYLE
_BEHIND_TEXT = {"facecolor": _GROUND, "edgecolor": "none", "alpha": 0.7, "pad": 1}  #: keeps it off the lines
_DEPTH_PERCENT = 1.0  #: how far from the mid the book is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChart:
    """The data of one instrument's chart."""

    title: str
    history: PriceHistory
    tick_size: float
    timezone: str
    levels: dict[str, float]  #: e.g. {"entry": ..., "TP": ..., "SL": ...}
    marks: dict[str, tuple[int, float]]  #: e.g. {"exit": (time [epoch ms], price)}
    book: OrderBook | None


def draw_price(chart: PriceChart) -> bytes:
    """Return price with its levels, open interest, and the order book's depth around the mid."""
    with new_figure(height=8.4) as figure:
        price_axes, interest_axes, depth_axes = figure.subplots(3, 1, height_ratios=(5, 2, 3))
        when = times(chart.history.time_ms)
        _draw_prices(price_axes, chart, when)
        _draw_interest(interest_axes, chart, when)
        _draw_depth(depth_axes, chart.book)
        figure.suptitle(drawable(chart.title), fontsize=13)
        return png(figure)


def draw_equity(
    time_ms: IntArray, total_r: FloatArray, title: str, timezone: str, *, from_ms: int, to_ms: int
) -> bytes:
    """Return the curve of what signals made together, in R, over the time asked for."""
    with new_figure(height=4.6) as figure:
        axes = figure.subplots()
        when, made = times(np.array([from_ms, *time_ms, to_ms])), np.array([0.0, *total_r, total_r[-1]])
        axes.step(when, made, where="post", color=GREEN if made[-1] >= 0 else RED, linewidth=2)
        axes.fill_between(when, made, 0, step="post", color=PRICE, alpha=0.15)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_ylabel("R, net")
        show_times(axes, timezone)
        figure.suptitle(title, fontsize=13)
        return png(figure)


def drawable(text: str) -> str:
    """Return a text as the font can draw it; a name in another script is in the caption only."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - see new_figure

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    signs = (sign if ord(sign) in known else "\0" for sign in text)
    return re.sub("\0+", "(name below)", "".join(signs))


@contextmanager
def new_figure(height: float) -> Iterator["Figure"]:
    """Yield an empty picture of a phone's width, `height` in inches."""
    # Imported by the first drawing, on its thread: half a second, and 30 MiB that few bots ever need.
    import matplotlib as mpl  # noqa: PLC0415 - see above
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above

    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(_WIDTH, height), layout="constrained")


def _draw_prices(axes: "Axes", chart: PriceChart, when: NDArray[np.datetime64]) -> None:
    axes.plot(when, chart.history.price, color=PRICE, linewidth=1.8)
    colours = {"TP": GREEN, "SL": RED}
    for name, level in chart.levels.items():
        draw_level(axes, name, level, tick_size=chart.tick_size, colour=colours.get(name[:2], INK))
    for name, (time_ms, price) in chart.marks.items():
        (at,) = times(np.array([time_ms]))
        axes.plot([at], [price], marker="o", markersize=8, color=AMBER)
        axes.annotate(name, (at, price), textcoords="offset points", xytext=(8, 8), color=AMBER, bbox=_BEHIND_TEXT)
    axes.yaxis.set_major_formatter(lambda price, _: format_price(price, chart.tick_size))
    axes.margins(y=0.12)
    show_times(axes, chart.timezone)


def draw_level(axes: "Axes", name: str, price: float, *, tick_size: float, colour: str) -> None:
    """Draw a line at a price, with its name."""
    axes.axhline(price, color=colour, linewidth=1.2, linestyle="--")
    axes.annotate(
        f"{name} {format_price(price, tick_size)}",
        (0.01, price),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        xytext=(0, 3),
        color=colour,
        fontsize=10,
        bbox=_BEHIND_TEXT,
    )


def _draw_interest(axes: "Axes", chart: PriceChart, when: NDArray[np.datetime64]) -> None:
    axes.set_title("Open interest, coins", loc="left", fontsize=10)
    if not np.isfinite(chart.history.open_interest).any():
        _say(axes, "no open interest")
        return
    axes.plot(when, chart.history.open_interest, color=AMBER, linewidth=1.6)
    axes.yaxis.set_major_formatter("{x:,.15g}")
    show_times(axes, chart.timezone)


def _draw_depth(axes: "Axes", book: OrderBook | None) -> None:
    axes.set_title(f"Order book within {_DEPTH_PERCENT:g} % of the mid, thousand USDT", loc="left", fontsize=10)
    if book is None or not len(book.bid_price) or not len(book.ask_price):
        _say(axes, "no order book")
        return
    mid = (book.bid_price[0] + book.ask_price[0]) / 2
    for price, quantity, colour in (
        (book.bid_price, book.bid_quantity, GREEN),
        (book.ask_price, book.ask_quantity, RED),
    ):
        away = 100 * (price / mid - 1)
        near = np.abs(away) <= _DEPTH_PERCENT
        depth = np.cumsum(price * quantity)[near] / 1000
        axes.fill_between(away[near], depth, step="post" if colour == RED else "pre", color=colour, alpha=0.6)
    axes.set_xlim(-_DEPTH_PERCENT, _DEPTH_PERCENT)
    axes.set_xlabel("% from the mid")


def _say(axes: "Axes", words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def show_times(axes: "Axes", timezone: str) -> None:
    """Label the time axis."""
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator  # noqa: PLC0415 - as in new_figure

    zone = ZoneInfo(timezone)
    locator = AutoDateLocator(zone, minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(AutoDateFormatter(locator, zone))  # type: ignore[no-untyped-call]


def times(time_ms: IntArray) -> NDArray[np.datetime64]:
    """Return times as matplotlib takes them."""
    return time_ms.astype("datetime64[ms]")


def png(figure: "Figure") -> bytes:
    """Return the picture's file."""
    picture = BytesIO()
    # at its usual level the encoder alone keeps every other thread, an alert too, waiting for a tenth of a second
    figure.savefig(picture, format="png", pil_kwargs={"compress_level": 1})
    return picture.getvalue()
