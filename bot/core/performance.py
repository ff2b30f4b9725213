"""Results of the signals, from SQLite, in the figures of the views in MySQL.

Figures count from the price a person could reach, of the latest version of each strategy and side.

Days and hours are those of UTC, as in the views.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scoring.records import (
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
from scoring.statistics import Record
from storage.store import StoreReader
from storage.symbols import symbol_key


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

    rows, controls, left_out = await ended_since(history, filters.since_ms, wanted)
    return HistoryReport(
        total=await asyncio.to_thread(compare, rows, controls, left_out),
        groups=await asyncio.to_thread(group, rows, controls),
        refusals=await history.near_misses.refusals(
            filters.since_ms, coin=coin, venue=filters.venue, band=filters.band
        ),
    )


async def ended_since(
    history: StoreReader, since_ms: int, wanted: Callable[[Iterable[Row]], list[Row]] = list
) -> tuple[list[Row], list[Row], int]:
    """Return what has ended of the kinds of today: signals, controls, and how many signals of other kinds.

    Only the rows that `wanted` returns count, also among those of other kinds.
    """
    kinds = await history.signals.current_kinds()
    rows, left_out = of_kinds(wanted(await history.signals.closed(since_ms)), kinds)
    controls, _ = of_kinds(wanted(await history.controls.closed(since_ms)), kinds)
    return rows, controls, left_out


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
