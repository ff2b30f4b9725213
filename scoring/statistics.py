"""What signals have made: running sums of what has ended, so that no figure has another source.

Every figure is net of both taker fees and settled funding; fills at bid and ask have paid the spread. Figures count
from the price a person could reach unless another entry is asked for.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from scoring.signals import Outcome, Result, Signal

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
    """What alerts of one kind have made, beside what chance made at the same time."""

    alerts: Summary
    chance: Summary  #: of the control group
    left_out: int  #: rows of other strategies, sides or versions


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


def bootstrap_interval(days: Iterable[tuple[int, float]]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean R from the (count, sum of R) of each day; NaN if they are few.

    Whole days are drawn, since signals of one day share its market. The same days always give the same interval.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap methods and their application, sections 2.4, 5.3 and 8.2.
    """
    sums = np.array(list(days), float).reshape(-1, 2)
    if len(sums) < FEWEST_DAYS:
        return math.nan, math.nan
    random = np.random.default_rng(0)
    drawn = random.integers(len(sums), size=(_RESAMPLES, len(sums)), dtype=np.uint16)
    counts, made = sums.T
    low, high = np.quantile(made[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)


class Tally:
    """Running sums from which a summary follows, so that what has ended need not be kept."""

    def __init__(self) -> None:
        self._n = self._wins = self._not_known = self._not_reached = 0
        self._won_r = self._lost_r = self._net_percent = 0.0
        self._days: dict[int, tuple[int, float]] = {}  # by the UTC day of the decision: one for every reader
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
        count, total = self._days.get(day, (0, 0.0))
        self._days[day] = (count + 1, total + r)

    def summary(self) -> Summary:
        """Return the figures; they are computed once after each change."""
        if self._summary is None:
            self._summary = self._compute()
        return self._summary

    def _compute(self) -> Summary:
        n, wins = self._n, self._wins
        low, high = wilson_interval(wins, n)
        expectancy_low, expectancy_high = bootstrap_interval(self._days.values())
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


class Records:
    """The record of every band of every kind, in memory that grows with days and not with signals."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[Kind, int], Tally] = {}
        self._counts: Counter[tuple[Kind, int]] = Counter()
        self._in_band: Counter[int] = Counter()

    def add(self, closed: Closed) -> None:
        """Count a signal that has ended."""
        band = band_of(closed.score)
        key = (closed.kind, band)
        self._tallies.setdefault(key, Tally()).add(
            closed.decided_ms, is_known=closed.is_known, net_percent=closed.net_percent, r=closed.r
        )
        self._counts[key] += 1
        self._in_band[band] += 1

    def prepare(self) -> None:
        """Compute every summary that has changed, so that no alert waits for one."""
        for tally in self._tallies.values():
            tally.summary()

    def like(self, signal: Signal) -> Record:
        """Return the record of the signals of the same kind and band."""
        band = band_of(signal.score)
        key = (kind_of(signal), band)
        tally = self._tallies.get(key)
        return Record(
            alerts=tally.summary() if tally else summarise(()),
            chance=summarise(()),
            left_out=self._in_band[band] - self._counts[key],
        )


def kind_of(signal: Signal) -> Kind:
    """Return what the signal may be added up with."""
    return Kind(signal.strategy, signal.side.value, signal.version)


def closed_of(signal: Signal, outcome: Outcome) -> Closed:
    """Return what the records need of a signal that has ended."""
    made: Result | None = outcome.reachable
    is_known = outcome.ideal is not None
    net_percent, r = (made.net_percent, made.r) if made else (None, None)
    return Closed(kind_of(signal), signal.score, signal.decided_ms, is_known, net_percent, r)


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


def by_kind(rows: Iterable[Row]) -> dict[str, Summary]:
    """Summarise by strategy and side, such as "ups short"."""
    return _summaries(rows, lambda signal, _: f"{signal.strategy} {signal.side.value}", "reachable")


def band_of(score: float) -> int:
    """Return the lower end of the band of five points that holds `score`; 100 is in the last."""
    return min(100 - BAND_POINTS, BAND_POINTS * int(score // BAND_POINTS))


def by_score_band(rows: Iterable[Row], lowest: float, entry: Entry = "reachable") -> dict[int, Summary]:
    """Summarise by bands of five points, by their lower end, from the one of `lowest` to 95…100, empty ones too."""
    bands = range(band_of(lowest), 100, BAND_POINTS)
    grouped = _grouped(rows, lambda signal, _: band_of(signal.score))
    return {band: summarise(grouped.get(band, ()), entry) for band in sorted({*bands, *grouped})}


def by_venue(rows: Iterable[Row], entry: Entry = "reachable") -> dict[str, Summary]:
    """Summarise by venue."""
    return _summaries(rows, lambda signal, _: signal.venue, entry)


def by_coin(rows: Iterable[Row], entry: Entry = "reachable") -> dict[str, Summary]:
    """Summarise by coin."""
    return _summaries(rows, lambda signal, _: signal.coin, entry)


def by_hour(rows: Iterable[Row], timezone: str, entry: Entry = "reachable") -> dict[int, Summary]:
    """Summarise by the hour of the decision in `timezone`."""
    zone = ZoneInfo(timezone)
    return _summaries(rows, lambda signal, _: datetime.fromtimestamp(signal.decided_ms / 1000, zone).hour, entry)


def by_day(rows: Iterable[Row], timezone: str, entry: Entry = "reachable") -> dict[str, Summary]:
    """Summarise by the day of the exit in `timezone`, such as "2026-01-31"."""
    zone = ZoneInfo(timezone)
    return _summaries(
        rows, lambda _, outcome: datetime.fromtimestamp(outcome.exit_ms / 1000, zone).date().isoformat(), entry
    )


def by_exit_reason(rows: Iterable[Row], entry: Entry = "reachable") -> dict[str, Summary]:
    """Summarise by why the signals ended."""
    return _summaries(rows, lambda _, outcome: outcome.reason.value, entry)


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


def _grouped(rows: Iterable[Row], key: Callable[[Signal, Outcome], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(*row), []).append(row)
    return groups


def _summaries(rows: Iterable[Row], key: Callable[[Signal, Outcome], Key], entry: Entry) -> dict[Key, Summary]:
    return {group: summarise(members, entry) for group, members in sorted(_grouped(rows, key).items())}
