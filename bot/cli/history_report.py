"""`bot report`: what the signals have made, from SQLite, in the figures of the views in MySQL.

Figures count from the price a person could reach, of the latest version of each strategy and side.

Days and hours are those of UTC, as in the views.
"""

import asyncio
import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from bot.chat.texts.phrases import comparison_text
from scoring.statistics import (
    Record,
    Row,
    band_of,
    by_coin,
    by_day,
    by_exit_reason,
    by_hour,
    by_kind,
    by_score_band,
    by_venue,
    compare,
    of_kinds,
)
from storage.store import StoreReader
from storage.symbols import symbol_key

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which signals count; None is all of them."""

    since_ms: int = 0  #: by the time of the exit, near misses by that of the decision
    band: int | None = None  #: lower end of five points of score
    coin: str | None = None
    venue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReport:
    """Every figure, by what the signals are grouped by."""

    total: Record
    groups: Mapping[str, Mapping[Any, Record]]
    refusals: Mapping[str, int]  #: near misses by gate


async def make_report(history: StoreReader, filters: Filters) -> HistoryReport:
    """Count the signals that have ended, the controls that were drawn with them, and the near misses."""
    coin = symbol_key(filters.coin) if filters.coin else None

    def wanted(found: Iterable[Row]) -> list[Row]:
        return [
            (signal, outcome)
            for signal, outcome in found
            if coin in (None, symbol_key(signal.coin))
            and filters.venue in (None, signal.venue)
            and filters.band in (None, band_of(signal.score))
        ]

    kinds = await history.signals.current_kinds()
    rows, left_out = of_kinds(wanted(await history.signals.closed(filters.since_ms)), kinds)
    controls, _ = of_kinds(wanted(await history.controls.closed(filters.since_ms)), kinds)
    return HistoryReport(
        total=await asyncio.to_thread(compare, rows, controls, left_out),
        groups=await asyncio.to_thread(group, rows, controls),
        refusals=await history.near_misses.refusals(
            filters.since_ms, coin=coin, venue=filters.venue, band=filters.band
        ),
    )


def group(rows: Sequence[Row], controls: Sequence[Row]) -> dict[str, dict[Any, Record]]:
    """Return the records of the rows by kind, day, score band, coin, venue, hour and reason; no group is empty."""
    bands = by_score_band(rows, 100, controls)
    return {
        "kind": {**by_kind(rows, controls)},
        "day": {**by_day(rows, "UTC", controls)},
        "score_band": {band: record for band, record in bands.items() if record.alerts.n},
        "coin": {**by_coin(rows, controls)},
        "venue": {**by_venue(rows, controls)},
        "hour_utc": {**by_hour(rows, "UTC", controls)},
        "reason": {**by_exit_reason(rows)},
    }


def figures(record: Record) -> dict[str, Any]:
    """Return every figure of a record by its name in the views of MySQL, and the word on chance."""
    chance = {f"chance_{name}": figure for name, figure in asdict(record.chance).items()}
    rest = {name: figure for name, figure in asdict(record).items() if name not in ("alerts", "chance", "left_out")}
    return {**asdict(record.alerts), **chance, **rest, "verdict": record.verdict}


def as_plain(report: HistoryReport) -> dict[str, Any]:
    """Return everything as JSON has it."""
    return {
        "total": figures(report.total),
        **{
            name: {str(key): figures(record) for key, record in groups.items()}
            for name, groups in report.groups.items()
        },
        "refusals": report.refusals,
        "left_out": report.total.left_out,
    }


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
