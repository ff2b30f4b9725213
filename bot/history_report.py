"""`bot report`: what the signals have made, from SQLite, in the figures of the views in MySQL.

Figures count from the price a person could reach, of the latest version of each strategy and side.

Days and hours are those of UTC, as in the views.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from scoring.statistics import (
    Row,
    Summary,
    band_of,
    by_coin,
    by_day,
    by_exit_reason,
    by_hour,
    by_kind,
    by_score_band,
    by_venue,
    of_kinds,
    summarise,
)
from storage.history import History, symbol_key

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

    total: Summary
    groups: Mapping[str, Mapping[Any, Summary]]
    refusals: Mapping[str, int]  #: near misses by gate
    left_out: int = 0  #: signals of other versions than the latest of their strategy and side


async def make_report(history: History, filters: Filters) -> HistoryReport:
    """Count the signals that have ended, and the near misses."""
    coin = symbol_key(filters.coin) if filters.coin else None
    rows = [
        (signal, outcome)
        for signal, outcome in await history.closed_signals(filters.since_ms)
        if coin in (None, symbol_key(signal.coin))
        and filters.venue in (None, signal.venue)
        and filters.band in (None, band_of(signal.score))
    ]
    rows, left_out = of_kinds(rows, await history.current_kinds())
    return HistoryReport(
        left_out=left_out,
        total=summarise(rows),
        groups=group(rows),
        refusals=await history.refusals(filters.since_ms, coin=coin, venue=filters.venue, band=filters.band),
    )


def group(rows: Sequence[Row]) -> dict[str, dict[Any, Summary]]:
    """Return the summaries of the rows by kind, day, score band, coin, venue, hour and reason; no group is empty."""
    return {
        "kind": {**by_kind(rows)},
        "day": {**by_day(rows, "UTC")},
        "score_band": {band: summary for band, summary in by_score_band(rows, 100).items() if summary.n},
        "coin": {**by_coin(rows)},
        "venue": {**by_venue(rows)},
        "hour_utc": {**by_hour(rows, "UTC")},
        "reason": {**by_exit_reason(rows)},
    }


def as_json(report: HistoryReport) -> str:
    """Return everything as JSON; what has no value (no data, an infinite ratio) is null."""
    plain = {
        "total": report.total,
        **{name: {str(key): summary for key, summary in groups.items()} for name, groups in report.groups.items()},
        "refusals": report.refusals,
        "left_out": report.left_out,
    }
    return orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode()


def as_csv(report: HistoryReport) -> str:
    """Return one row for each group; what has no value is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("group", "key", *(field.name for field in fields(Summary)), "refused"))
    for name, key, summary in _all(report):
        figures = asdict(summary).values()
        writer.writerow((name, key, *(figure if math.isfinite(figure) else "" for figure in figures), ""))
    for gate, count in report.refusals.items():
        writer.writerow(("refusals", gate, *[""] * len(fields(Summary)), count))
    return out.getvalue().rstrip("\n")


def as_table(report: HistoryReport) -> str:
    """Return it for people."""
    if not report.groups.get("kind") and not report.refusals and not report.left_out:
        return "no signal has ended and nothing nearly was one, as far as this asks"
    lines, shown = [], ""
    for name, key, summary in _all(report):
        if name != shown:
            lines += ["", _line(name.replace("_", " "), [title for title, _, _ in _COLUMNS])]
            shown = name
        cells = [text.format(**asdict(summary)) if summary.n else "-" for _, _, text in _COLUMNS]
        lines.append(f"{_line(str(key), cells)}  {summary.standing}".rstrip())
    if report.left_out:
        lines += ["", f"{report.left_out} of other settings left out"]
    if report.refusals:
        lines += ["", "near misses refused by gate"]
        lines += [f"  {gate:22} {count:>5}" for gate, count in report.refusals.items()]
    return "\n".join(lines[1:])


def _all(report: HistoryReport) -> Iterable[tuple[str, Any, Summary]]:
    yield "total", "all", report.total
    for name, groups in report.groups.items():
        for key, summary in groups.items():
            yield name, key, summary


def _line(name: str, cells: Sequence[str]) -> str:
    widths = (width for _, width, _ in _COLUMNS)
    return f"  {name:14}" + "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
