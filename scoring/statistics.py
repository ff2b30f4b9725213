"""What signals have made: pure functions of (signal, outcome) rows, so that no figure has another source.

Every figure is net of both taker fees and settled funding; fills at bid and ask have paid the spread.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from scoring.signals import Outcome, Signal

Row: TypeAlias = tuple[Signal, Outcome]
#: which entry to count from: the alert's, or the price a person could reach (rows nobody could enter drop out)
Entry: TypeAlias = Literal["ideal", "reachable"]
Key = TypeVar("Key", bound=Hashable)

PROVEN_FROM = 30
BAND_POINTS = 5
#: 95 % of a normal distribution lie within as many standard deviations
Z_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What n signals made together; the floats are NaN where n is 0."""

    n: int
    wins: int  #: net above 0
    win_rate: float  #: [0…1]
    win_rate_low: float  #: its Wilson interval of 95 %
    win_rate_high: float
    break_even_win_rate: float  #: [0…1] mean of what their levels needed
    expectancy_r: float  #: [R] mean
    profit_factor: float  #: R won over R lost; infinite where nothing was lost
    net_percent: float  #: [%] sum

    @property
    def standing(self) -> str:
        """What the figures are worth: "no data", "unproven" below 30 rows, or "" ."""
        return "no data" if self.n == 0 else "unproven" if self.n < PROVEN_FROM else ""


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


def summarise(rows: Iterable[Row], entry: Entry = "ideal") -> Summary:
    """Return what the rows made, counted from `entry`."""
    counted = [(signal, result) for signal, outcome in rows if (result := getattr(outcome, entry)) is not None]
    n = len(counted)
    wins = sum(result.net_percent > 0 for _, result in counted)
    low, high = wilson_interval(wins, n)
    won = math.fsum(max(0.0, result.r) for _, result in counted)
    lost = math.fsum(max(0.0, -result.r) for _, result in counted)
    return Summary(
        n=n,
        wins=wins,
        win_rate=_over(wins, n),
        win_rate_low=low,
        win_rate_high=high,
        break_even_win_rate=_over(math.fsum(signal.levels.break_even_win_rate for signal, _ in counted), n),
        expectancy_r=_over(won - lost, n),
        profit_factor=math.inf if won and not lost else _over(won, lost),
        net_percent=math.fsum(result.net_percent for _, result in counted) if n else math.nan,
    )


def band_of(score: float) -> int:
    """Return the lower end of the band of five points that holds `score`; 100 is in the last."""
    return min(100 - BAND_POINTS, BAND_POINTS * int(score // BAND_POINTS))


def by_score_band(rows: Iterable[Row], lowest: float, entry: Entry = "ideal") -> dict[int, Summary]:
    """Summarise by bands of five points, by their lower end, from the one of `lowest` to 95…100, empty ones too."""
    bands = range(band_of(lowest), 100, BAND_POINTS)
    grouped = _grouped(rows, lambda signal, _: band_of(signal.score))
    return {band: summarise(grouped.get(band, ()), entry) for band in sorted({*bands, *grouped})}


def by_venue(rows: Iterable[Row], entry: Entry = "ideal") -> dict[str, Summary]:
    """Summarise by venue."""
    return _summaries(rows, lambda signal, _: signal.venue, entry)


def by_coin(rows: Iterable[Row], entry: Entry = "ideal") -> dict[str, Summary]:
    """Summarise by coin."""
    return _summaries(rows, lambda signal, _: signal.coin, entry)


def by_hour(rows: Iterable[Row], timezone: str, entry: Entry = "ideal") -> dict[int, Summary]:
    """Summarise by the hour of the decision in `timezone`."""
    zone = ZoneInfo(timezone)
    return _summaries(rows, lambda signal, _: datetime.fromtimestamp(signal.decided_ms / 1000, zone).hour, entry)


def by_day(rows: Iterable[Row], timezone: str, entry: Entry = "ideal") -> dict[str, Summary]:
    """Summarise by the day of the exit in `timezone`, such as "2026-01-31"."""
    zone = ZoneInfo(timezone)
    return _summaries(
        rows, lambda _, outcome: datetime.fromtimestamp(outcome.exit_ms / 1000, zone).date().isoformat(), entry
    )


def by_exit_reason(rows: Iterable[Row], entry: Entry = "ideal") -> dict[str, Summary]:
    """Summarise by why the signals ended."""
    return _summaries(rows, lambda _, outcome: outcome.reason.value, entry)


def equity_curve(rows: Iterable[Row], entry: Entry = "ideal") -> tuple[tuple[int, float], ...]:
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
