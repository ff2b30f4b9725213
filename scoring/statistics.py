"""What signals have made: running sums of what has ended, so that no figure has another source.

Every figure is net of both taker fees and settled funding; fills at bid and ask have paid the spread. Figures count
from the price a person could reach unless another entry is asked for.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Literal, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from features.facts.market import FloatArray
from scoring.signals import Outcome, Result, Signal

#: a signal and its end; of a control the signal it was drawn for, and its own end
Row: TypeAlias = tuple[Signal, Outcome]
#: which entry to count from: the alert's, or the price a person could reach (rows nobody could enter drop out)
Entry: TypeAlias = Literal["ideal", "reachable"]
Key = TypeVar("Key", bound=Hashable)

PROVEN_FROM = 30
BAND_POINTS = 5
#: 95 % of a normal distribution lie within as many standard deviations
Z_95 = 1.959964
FEWEST_DAYS = 10  #: an interval from fewer days is too narrow
_RESAMPLES = 1000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What n signals made together; the floats are NaN where n is 0."""

    n: int
    wins: int  #: net above 0
    win_rate: float  #: [0…1]
    win_rate_low: float  #: its Wilson interval of 95 %
    win_rate_high: float
    break_even_win_rate: float  #: [0…1] mean loss / (mean win + mean loss) in R of these n; NaN without both
    expectancy_r: float  #: [R] mean
    expectancy_r_low: float  #: its interval of 95 % by bootstrap over days; NaN from fewer than FEWEST_DAYS
    expectancy_r_high: float
    profit_factor: float  #: R won over R lost; infinite where nothing was lost
    net_percent: float  #: [%] sum
    not_known: int  #: others, of which nobody can say how they ended
    not_reached: int  #: others, which nobody could enter

    @property
    def standing(self) -> str:
        """What the figures are worth: "no data", "unproven" below 30 rows, or "" ."""
        return "no data" if self.n == 0 else "unproven" if self.n < PROVEN_FROM else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What alerts of one kind have made, beside what chance made: the controls that were drawn with them."""

    alerts: Summary
    chance: Summary
    difference_r: float  #: [R] mean of the alerts less that of the controls; NaN without both
    difference_r_low: float  #: its interval of 95 % by bootstrap over days; NaN where there are too few of either
    difference_r_high: float
    left_out: int = 0  #: rows of other strategies, sides or versions

    @property
    def verdict(self) -> Literal["too few", "no difference", "better", "worse"]:
        """What the alerts show against chance; as long as the two intervals overlap that is no difference."""
        alerts, chance = self.alerts, self.chance
        if math.isnan(self.difference_r_low):
            return "too few"
        if alerts.expectancy_r_low > chance.expectancy_r_high:
            return "better"
        return "worse" if alerts.expectancy_r_high < chance.expectancy_r_low else "no difference"


class Kind(NamedTuple):
    """What may be added up: signals of one strategy, side and version."""

    strategy: str
    side: str
    version: str  #: of formulas, levels and exits; "" is not known, as in rows older than the version


class Closed(NamedTuple):
    """As much of a signal that has ended as its record needs."""

    kind: Kind
    score: float
    decided_ms: int
    is_known: bool  #: how it ended
    net_percent: float | None  #: from the price a person could reach; None: nobody could
    r: float | None
    is_control: bool = False  #: drawn by chance with an alert, whose kind, score and time these are


def wilson_interval(wins: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a share [0…1]; NaN where `n` is 0.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if n == 0:
        return math.nan, math.nan
    share, shrink = wins / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


@cache
def _draws(day: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    # How often each resample draws a day. It follows from the day alone, so all records draw the same days.
    return np.random.default_rng(day).poisson(1.0, _RESAMPLES).astype(np.uint8)


class Tally:
    """Running sums from which a summary follows, so that what has ended need not be kept.

    The interval of the mean R is the 95 % percentile interval of a Poisson bootstrap over whole days, since signals of
    one day share its market: each resample draws each day a Poisson(1) number of times. So its resamples are running
    sums too, and what is added costs the same however much there is. The same days always give the same interval.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap methods and their application, sections 2.4, 5.3 and 8.2.
    Chamandy et al. (2012), Estimating uncertainty for massive data streams, section 2.
    """

    def __init__(self) -> None:
        self._n = self._wins = self._not_known = self._not_reached = 0
        self._won_r = self._lost_r = self._net_percent = 0.0
        self._days: set[int] = set()  # UTC days of the decision: the same for every reader
        self._new: dict[int, tuple[int, float]] = {}  # (count, sum of R) by day, not in the resamples yet
        self._resampled_n = np.zeros(_RESAMPLES)
        self._resampled_r = np.zeros(_RESAMPLES)
        self._summary: Summary | None = None

    def add(self, decided_ms: int, *, is_known: bool, net_percent: float | None, r: float | None) -> None:
        """Count one signal that has ended."""
        self._summary = None
        if not is_known:
            self._not_known += 1
            return
        if net_percent is None or r is None:
            self._not_reached += 1
            return
        self._n += 1
        self._wins += net_percent > 0
        self._won_r += max(0.0, r)
        self._lost_r += max(0.0, -r)
        self._net_percent += net_percent
        day = decided_ms // _DAY_MS
        count, total = self._new.get(day, (0, 0.0))
        self._new[day] = (count + 1, total + r)

    def summary(self) -> Summary:
        """Return the figures; they are computed once after each change."""
        if self._summary is None:
            self._summary = self._compute()
        return self._summary

    def resamples(self) -> FloatArray:
        """Return the mean R of every resample, NaN where that drew nothing; one by one two tallies drew the same days.

        They are all NaN from fewer than FEWEST_DAYS.
        """
        for day, (count, total) in self._new.items():
            self._resampled_n += _draws(day) * float(count)
            self._resampled_r += _draws(day) * total
        self._days |= self._new.keys()
        self._new.clear()
        is_drawn = (self._resampled_n > 0) & (len(self._days) >= FEWEST_DAYS)
        return np.where(is_drawn, self._resampled_r / np.where(is_drawn, self._resampled_n, 1.0), math.nan)

    def _compute(self) -> Summary:
        n, wins = self._n, self._wins
        low, high = wilson_interval(wins, n)
        expectancy_low, expectancy_high = _interval(self.resamples())
        mean_win, mean_loss = _over(self._won_r, wins), _over(self._lost_r, n - wins)
        return Summary(
            n=n,
            wins=wins,
            win_rate=_over(wins, n),
            win_rate_low=low,
            win_rate_high=high,
            break_even_win_rate=_over(mean_loss, mean_win + mean_loss),
            expectancy_r=_over(self._won_r - self._lost_r, n),
            expectancy_r_low=expectancy_low,
            expectancy_r_high=expectancy_high,
            profit_factor=math.inf if self._won_r and not self._lost_r else _over(self._won_r, self._lost_r),
            net_percent=self._net_percent if n else math.nan,
            not_known=self._not_known,
            not_reached=self._not_reached,
        )


class Comparison:
    """The running sums of alerts and of their controls."""

    def __init__(self) -> None:
        self._alerts, self._chance = Tally(), Tally()
        self._record: Record | None = None

    def add(
        self, decided_ms: int, *, is_control: bool, is_known: bool, net_percent: float | None, r: float | None
    ) -> None:
        """Count one that has ended; a control's day is that of its alert."""
        self._record = None
        tally = self._chance if is_control else self._alerts
        tally.add(decided_ms, is_known=is_known, net_percent=net_percent, r=r)

    def record(self) -> Record:
        """Return the figures; they are computed once after each change."""
        if self._record is None:
            self._record = self._compute()
        return self._record

    def _compute(self) -> Record:
        alerts, chance = self._alerts.summary(), self._chance.summary()
        low = high = math.nan
        if min(alerts.n, chance.n) >= PROVEN_FROM:
            low, high = _interval(self._alerts.resamples() - self._chance.resamples())
        return Record(
            alerts=alerts,
            chance=chance,
            difference_r=alerts.expectancy_r - chance.expectancy_r,
            difference_r_low=low,
            difference_r_high=high,
        )


def _interval(resamples: FloatArray) -> tuple[float, float]:
    known = resamples[~np.isnan(resamples)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


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


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _records(rows: Iterable[Row], controls: Iterable[Row], key: Callable[[Signal, Outcome], Key]) -> dict[Key, Record]:
    # of the groups that have alerts
    groups: dict[Key, tuple[list[Row], list[Row]]] = {}
    for row in rows:
        groups.setdefault(key(*row), ([], []))[0].append(row)
    for row in controls:
        if (group := groups.get(key(*row))) is not None:
            group[1].append(row)
    return {name: compare(*members) for name, members in sorted(groups.items())}
