"""The README's picture of an alert, drawn from the bot's own text: `python -m tests.alert_picture > docs/alert.svg`."""

import re
import sys
from collections.abc import Sequence
from html import escape, unescape  # noqa: TID251 - of a picture's text

from bot.chat.texts import follow_ups
from bot.chat.texts.alerts import render_entry, render_exit, render_track_record
from bot.chat.texts.marks import add_follow_ups, mark_sent
from scoring.records import Records
from scoring.settings import ScoringSettings
from scoring.signals import DataTimes, ExitReason, Levels, Outcome, Result, Side, Signal
from tests.builders import NOW_MS

LEVELS = Levels(
    side=Side.SHORT,
    entry=0.0052593,
    take_profits=(0.0051699,),
    stop=0.0053171,
    take_profit_percent=1.70,
    stop_percent=1.10,
    cost_percent=0.1,
    net_take_profit_percent=1.60,
    net_stop_percent=1.20,
    break_even_win_rate=0.43,
)
PARTS = {
    "oi_divergence": (20.0, 100.0),
    "liquidity_pressure": (15.8, 79.0),
    "orderflow_imbalance": (15.0, 100.0),
    "sweep": (10.7, 71.0),
    "btc_microtrend": (9.8, 98.0),
    "short_momentum": (7.6, 76.0),
    "funding": (10.0, 100.0),
}
SIGNAL = Signal(
    id=17,
    side=Side.SHORT,
    venue="bybit",
    instrument_id="LUMEXUSDT",
    coin="LUMEX",
    pair="LUMEX/USDT",
    tick_size=1e-7,
    decided_ms=NOW_MS,
    levels=LEVELS,
    score=sum(points for points, _ in PARTS.values()),
    sub_scores={name: share for name, (_, share) in PARTS.items()},
    contributions={name: points for name, (points, _) in PARTS.items()},
    features={},
    verdicts=(),
    reasons=(
        "OI +3.7 % while price -1.3 % in 15 min",
        "a wall of 13 times the median ask level, bids 59 % thinner than their median",
        "asks 85 % of the book's depth, 94 % of taker volume sold in 60 s",
        "sell sweep 19.9 times a usual second, 2 s ago",
        "funding +0.120 % per 8 h",
    ),
    missing={},
    borrowed="",
    sellable_usdt=2_958.0,
    data_times=DataTimes(
        price_ms=NOW_MS - 120, book_ms=NOW_MS - 85, trades_ms=NOW_MS - 60, open_interest_ms=NOW_MS, funding_ms=NOW_MS
    ),
    code_hash="",
    config_hash="",
)
OUTCOME = Outcome(
    signal_id=17,
    reason=ExitReason.TAKE_PROFIT,
    exit_ms=NOW_MS + 840_000,
    fill=0.0051699,
    ideal=Result(entry=0.0052593, gross_percent=1.70, net_percent=1.60, r=1.45),
    reachable=Result(entry=0.0052561, gross_percent=1.64, net_percent=1.54, r=1.33),
    mae_percent=0.21,
    mfe_percent=1.70,
    held_s=840.0,
    is_ambiguous=False,
    note="",
)
WIDTH, LINE, PAD, WRAP = 560, 19, 14, 62
BUBBLE, QUOTE, KEY = "#223140", "#6ab3f3", 34  #: the last is a button's height


def alert_svg() -> str:
    """Return an alert with its buttons, edited at its end, and the exit that replies to it, as two chat bubbles."""
    entry = render_entry(
        SIGNAL, track_record=render_track_record(Records().like(SIGNAL), SIGNAL.score), decided_after_ms=12
    )
    ended = follow_ups.of_exit(SIGNAL, OUTCOME, ScoringSettings())
    alert = _lines(add_follow_ups(mark_sent(entry, 340), f"\n{ended.html}"))
    shapes, top = _bubble(alert, PAD)
    keys, top = _keys([button.text for button in ended.buttons or ()], top)
    quoted = [(f"\u258e {alert[0][0][:44]}…", False, False)]
    reply, top = _bubble([*quoted, *_lines(render_exit(SIGNAL, OUTCOME, reach_s=15))], top + PAD)
    reply[1] = reply[1].replace("<text ", f'<text fill="{QUOTE}" ')
    shapes += [*keys, *reply]
    top += PAD
    size = f'width="{WIDTH + 2 * PAD}" height="{top}"'
    ground = '<rect width="100%" height="100%" fill="#0e1621"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="14" fill="#eef3f7">'
    return "\n".join([head, ground, *shapes, "</svg>"]) + "\n"


def _bubble(lines: Sequence[tuple[str, bool, bool]], top: int) -> tuple[list[str], int]:
    """Return the shapes of a message, and where the next one may begin."""
    height = LINE * len(lines) + 2 * PAD
    shapes = [f'<rect x="{PAD}" y="{top}" width="{WIDTH}" height="{height}" rx="12" fill="{BUBBLE}"/>']
    for number, (text, is_bold, is_table) in enumerate(lines):
        style = 'font-weight="bold" ' if is_bold else ""
        family = "monospace" if is_table else "sans-serif"
        shapes.append(
            f'<text x="{2 * PAD}" y="{top + PAD + LINE * (number + 0.75):.0f}" {style}font-family="{family}" '
            f'xml:space="preserve">{escape(text)}</text>'
        )
    return shapes, top + height


def _keys(texts: Sequence[str], top: int) -> tuple[list[str], int]:
    """Return the buttons, two in a row and the last one as wide as what is left."""
    shapes, half = [], (WIDTH - 4) / 2
    for number, text in enumerate(texts):
        is_alone = number % 2 == 0 and number == len(texts) - 1
        width = WIDTH if is_alone else half
        x, y = PAD + (number % 2) * (half + 4), top + 4 + (number // 2) * (KEY + 4)
        shapes.append(f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{KEY}" rx="8" fill="{BUBBLE}"/>')
        shapes.append(
            f'<text x="{x + width / 2:.0f}" y="{y + 22}" text-anchor="middle" font-family="sans-serif">{text}</text>'
        )
    return shapes, top + -(-len(texts) // 2) * (KEY + 4)


def _lines(html: str) -> list[tuple[str, bool, bool]]:
    """Split a message into (text, is bold, is of a table) as a phone would wrap it."""
    lines: list[tuple[str, bool, bool]] = []
    is_table = False
    for line in html.split("\n"):
        is_table |= "<pre>" in line
        text, is_bold = unescape(re.sub(r"<[^<>]*>", "", line)), "<b>" in line
        while len(text) > WRAP and not is_table:
            cut = text.rindex(" ", 0, WRAP)
            lines.append((text[:cut], is_bold, is_table))
            text = text[cut + 1 :]
        lines.append((text, is_bold, is_table))
        is_table &= "</pre>" not in line
    return lines


if __name__ == "__main__":
    sys.stdout.write(alert_svg())
