"""`bot report`: what the signals have made, for people, for programs and for spreadsheets."""

import argparse
import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from bot.chat.texts.phrases import comparison_text
from bot.cli.shared import DONE, Subparsers, read_config, say
from bot.clock import SystemClock
from bot.core.performance import Filters, HistoryReport, as_plain, figures, make_report
from bot.lifecycle import Interrupt
from features.facts.venues import VENUES
from scoring.records import BAND_POINTS
from scoring.statistics import Record
from storage.store import StoreReader

_DAY_MS = 86_400_000
#: column of the table, its width, and how a figure is shown
_COLUMNS = (
    ("n", 5, "{n}"),
    ("R each", 7, "{expectancy_r:+.2f}"),
    ("95 % interval", 14, "{expectancy_r_low:+.2f}…{expectancy_r_high:+.2f}"),
    ("wins", 5, "{wins}"),
    ("win rate", 9, "{win_rate:.1%}"),
    ("95 % of it", 11, "{win_rate_low:.0%}…{win_rate_high:.0%}"),
    ("break-even", 10, "{break_even_win_rate:.0%}"),
    ("factor", 7, "{profit_factor:.2f}"),
    ("net %", 8, "{net_percent:+.2f}"),
    ("not known", 9, "{not_known}"),
    ("by chance", 9, "{chance_expectancy_r:+.2f}"),
    ("95 % interval", 14, "{chance_expectancy_r_low:+.2f}…{chance_expectancy_r_high:+.2f}"),
    ("n", 5, "{chance_n}"),
)


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("report", help="what the signals have made, in figures net of costs")
    command.add_argument("--days", type=_days, help="of the last so many days (default: ever)")
    command.add_argument("--band", type=_band, help="of the five points of score from here on, such as 75")
    command.add_argument("--coin", help="of this coin")
    command.add_argument("--venue", choices=VENUES, help="of this venue")
    form = command.add_mutually_exclusive_group()
    for name, render in (("json", as_json), ("csv", as_csv)):
        form.add_argument(f"--{name}", dest="render", action="store_const", const=render, help=f"print {name.upper()}")
    command.set_defaults(run=run, render=as_table)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Print it."""
    since_ms = SystemClock().now_ms() - round(_DAY_MS * options.days) if options.days else 0
    filters = Filters(since_ms=since_ms, band=options.band, coin=options.coin, venue=options.venue)
    async with await StoreReader.open(read_config().database) as reader:
        say(options.render(await make_report(reader, filters)))
    return DONE


def as_json(report: HistoryReport) -> str:
    """Return everything as JSON; what has no value (no data, an infinite ratio) is null."""
    return orjson.dumps(as_plain(report), option=orjson.OPT_INDENT_2).decode()


def as_csv(report: HistoryReport) -> str:
    """Return one row for each group; what has no value is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(figures(report.total))
    writer.writerow(("group", "key", *names, "refused"))
    for name, key, record in _all(report):
        row = figures(record).values()
        writer.writerow((name, key, *(one if isinstance(one, str) or math.isfinite(one) else "" for one in row), ""))
    for gate, count in report.refusals.items():
        writer.writerow(("refusals", gate, *[""] * len(names), count))
    return out.getvalue().rstrip("\n")


def as_table(report: HistoryReport) -> str:
    """Return it for people."""
    left_out = report.total.left_out
    if not report.groups.get("kind") and not report.refusals and not left_out:
        return "no signal has ended and nothing nearly was one, as far as this asks"
    lines, shown = [], ""
    for name, key, record in _all(report):
        if name != shown:
            lines += ["", _line(name.replace("_", " "), [title for title, _, _ in _COLUMNS])]
            shown = name
        made = figures(record)
        cells = [text.format(**made).replace("+nan", "-") if record.alerts.n else "-" for _, _, text in _COLUMNS]
        lines.append(f"{_line(str(key), cells)}  {record.alerts.standing}".rstrip())
    if (comparison := comparison_text(report.total)) is not None:
        lines += ["", comparison]
    if left_out:
        lines += ["", f"{left_out} of other settings left out"]
    if report.refusals:
        lines += ["", "near misses refused by gate"]
        lines += [f"  {gate:22} {count:>5}" for gate, count in report.refusals.items()]
    return "\n".join(lines[1:])


def _all(report: HistoryReport) -> Iterable[tuple[str, Any, Record]]:
    yield "total", "all", report.total
    for name, groups in report.groups.items():
        for key, record in groups.items():
            yield name, key, record


def _line(name: str, cells: Sequence[str]) -> str:
    widths = (width for _, width, _ in _COLUMNS)
    return f"  {name:14}" + "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36_500:
        raise argparse.ArgumentTypeError(f"was {text}, expected more than 0 and at most 36500")
    return days


def _band(text: str) -> int:
    if text not in map(str, range(0, 100, BAND_POINTS)):
        raise argparse.ArgumentTypeError(f"was {text}, expected 0, 5, 10 … 95")
    return int(text)
