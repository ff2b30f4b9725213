"""Records of signals that have ended, by kind and band, and of any group of rows."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from scoring.signals import Outcome, Result, Signal
from scoring.statistics import Comparison, Record, Summary, Tally

#: a signal and its end; of a control the signal it was drawn for, and its own end
Row: TypeAlias = tuple[Signal, Outcome]
#: which entry to count from: the alert's, or the price a person could reach (rows that could not be entered drop out)
Entry: TypeAlias = Literal["ideal", "reachable"]
Key = TypeVar("Key", bound=Hashable)

BAND_POINTS = 5


class Kind(NamedTuple):
    """The key of signals whose results may be added up: one strategy, side and version."""

    strategy: str
    side: str
    version: str  #: of formulas, levels and exits; "" is not known, as in rows older than the version


class Closed(NamedTuple):
    """As much of a signal that has ended as its record needs."""

    kind: Kind
    score: float
    decided_ms: int
    is_known: bool  #: how it ended
    net_percent: float | None  #: from the price a person could reach; None: none could be
    r: float | None
    is_control: bool = False  #: drawn by chance with an alert, whose kind, score and time these are


class Records:
    """The record of every band of every kind, in memory that grows with days and not with signals."""

    def __init__(self) -> None:
        self._comparisons: dict[tuple[Kind, int], Comparison] = {}
        self._counts: Counter[tuple[Kind, int]] = Counter()
        self._in_band: Counter[int] = Counter()

    def add(self, closed: Closed) -> None:
        """Count what has ended."""
        band = band_of(closed.score)
        key = (closed.kind, band)
        self._comparisons.setdefault(key, Comparison()).add(
            closed.decided_ms,
            is_control=closed.is_control,
            is_known=closed.is_known,
            net_percent=closed.net_percent,
            r=closed.r,
        )
        if not closed.is_control:
            self._counts[key] += 1
            self._in_band[band] += 1

    def prepare(self) -> None:
        """Compute every record that has changed, so that no alert waits for one."""
        for comparison in self._comparisons.values():
            comparison.record()

    def like(self, signal: Signal) -> Record:
        """Return the record of the signals of the same kind and band."""
        band = band_of(signal.score)
        key = (kind_of(signal), band)
        comparison = self._comparisons.get(key) or Comparison()
        return replace(comparison.record(), left_out=self._in_band[band] - self._counts[key])


def kind_of(signal: Signal) -> Kind:
    """Return what the signal may be added up with."""
    return Kind(signal.strategy, signal.side.value, signal.version)


def closed_of(signal: Signal, outcome: Outcome, *, is_control: bool = False) -> Closed:
    """Return what the records need of a signal that has ended, or of a control that was drawn with it."""
    made: Result | None = outcome.reachable
    is_known = outcome.ideal is not None
    net_percent, r = (made.net_percent, made.r) if made else (None, None)
    return Closed(kind_of(signal), signal.score, signal.decided_ms, is_known, net_percent, r, is_control)


def of_kinds(rows: Iterable[Row], kinds: Iterable[Kind]) -> tuple[list[Row], int]:
    """Return the rows of these kinds, and how many others there are."""
    wanted, every = set(kinds), list(rows)
    kept = [row for row in every if kind_of(row[0]) in wanted]
    return kept, len(every) - len(kept)


def summarise(rows: Iterable[Row], entry: Entry = "reachable") -> Summary:
    """Return what the rows made, counted from `entry`."""
    tally = Tally()
    for signal, outcome in rows:
        made: Result | None = getattr(outcome, entry)
        net_percent, r = (made.net_percent, made.r) if made else (None, None)
        tally.add(signal.decided_ms, is_known=outcome.ideal is not None, net_percent=net_percent, r=r)
    return tally.summary()


def compare(rows: Iterable[Row], controls: Iterable[Row] = (), left_out: int = 0) -> Record:
    """Return what the rows made from the price a person could reach, beside what the controls made."""
    comparison = Comparison()
    for is_control, group in ((False, rows), (True, controls)):
        for row in group:
            _, _, decided_ms, is_known, net_percent, r, _ = closed_of(*row)
            comparison.add(decided_ms, is_control=is_control, is_known=is_known, net_percent=net_percent, r=r)
    return replace(comparison.record(), left_out=left_out)


def by_kind(rows: Iterable[Row], controls: Iterable[Row] = ()) -> dict[str, Record]:
    """Return the records by strategy and side, such as "ups short"."""
    return _records(rows, controls, lambda signal, _: f"{signal.strategy} {signal.side.value}")


def band_of(score: float) -> int:
    """Return the lower end of the band of five points that holds `score`; 100 is in the last."""
    return min(100 - BAND_POINTS, BAND_POINTS * int(score // BAND_POINTS))


def by_score_band(rows: Iterable[Row], lowest: float, controls: Iterable[Row] = ()) -> dict[int, Record]:
    """Return the records of bands of five points, by their lower end, from that of `lowest` to 95…100, empty ones too.

    A control is in the band of its alert.
    """
    found = _records(rows, controls, lambda signal, _: band_of(signal.score))
    bands = range(band_of(lowest), 100, BAND_POINTS)
    return {band: found[band] if band in found else compare(()) for band in sorted({*bands, *found})}


def by_venue(rows: Iterable[Row], controls: Iterable[Row] = ()) -> dict[str, Record]:
    """Return the records by venue."""
    return _records(rows, controls, lambda signal, _: signal.venue)


def by_coin(rows: Iterable[Row], controls: Iterable[Row] = ()) -> dict[str, Record]:
    """Return the records by coin; a control is under its alert's."""
    return _records(rows, controls, lambda signal, _: signal.coin)


def by_hour(rows: Iterable[Row], timezone: str, controls: Iterable[Row] = ()) -> dict[int, Record]:
    """Return the records by the hour of the alert's decision in `timezone`."""
    zone = ZoneInfo(timezone)
    return _records(rows, controls, lambda signal, _: datetime.fromtimestamp(signal.decided_ms / 1000, zone).hour)


def by_day(rows: Iterable[Row], timezone: str, controls: Iterable[Row] = ()) -> dict[str, Record]:
    """Return the records by the day of the exit in `timezone`, such as "2026-01-31"."""
    zone = ZoneInfo(timezone)
    return _records(
        rows,
        controls,
        lambda _, outcome: datetime.fromtimestamp(outcome.exit_ms / 1000, zone).date().isoformat(),
    )


def by_exit_reason(rows: Iterable[Row]) -> dict[str, Record]:
    """Return the records by why the signals ended; there chance is nothing to compare with."""
    return _records(rows, (), lambda _, outcome: outcome.reason.value)


def equity_curve(rows: Iterable[Row], entry: Entry = "reachable") -> tuple[tuple[int, float], ...]:
    """Return (exit time [epoch ms], R made up to and with it), in the order of the exits."""
    total, curve = 0.0, []
    for _, outcome in sorted(rows, key=lambda row: (row[1].exit_ms, row[1].signal_id)):
        if (result := getattr(outcome, entry)) is not None:
            total += result.r
            curve.append((outcome.exit_ms, total))
    return tuple(curve)


def thinned(curve: Sequence[tuple[int, float]], most: int) -> tuple[tuple[int, float], ...]:
    """Return at most `most` points of a curve, with its ends, and the lowest and highest of each stretch between.

    So a drawdown is as deep as it was. `most` is at least 4.
    """
    if len(curve) <= most:
        return tuple(curve)
    stretches, inner = (most - 2) // 2, len(curve) - 2
    edges = [1 + inner * i // stretches for i in range(stretches + 1)]
    kept = {0, len(curve) - 1}
    for first, last in pairwise(edges):
        kept |= {pick(range(first, last), key=lambda i: curve[i][1]) for pick in (min, max)}
    return tuple(curve[i] for i in sorted(kept))


def _records(rows: Iterable[Row], controls: Iterable[Row], key: Callable[[Signal, Outcome], Key]) -> dict[Key, Record]:
    # of the groups that have alerts
    groups: dict[Key, tuple[list[Row], list[Row]]] = {}
    for row in rows:
        groups.setdefault(key(*row), ([], []))[0].append(row)
    for row in controls:
        if (group := groups.get(key(*row))) is not None:
            group[1].append(row)
    return {name: compare(*members) for name, members in sorted(groups.items())}
