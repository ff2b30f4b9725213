"""Results of signals as running sums, the one source of every figure.

Every figure is net of both taker fees and settled funding; fills at bid and ask have paid the spread. Figures count
from the price a person could reach unless another entry is asked for.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from features.facts.market import FloatArray

PROVEN_FROM = 30
#: 95 % of a normal distribution lie within as many standard deviations
Z_95 = 1.959964
FEWEST_DAYS = 10  #: an interval from fewer days is too narrow
_RESAMPLES = 1000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of n signals; the floats are NaN where n is 0."""

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
    not_known: int  #: others, whose end is not known
    not_reached: int  #: others, which could not be entered

    @property
    def standing(self) -> str:
        """How far the figures can be relied on: "no data", "unproven" below 30 rows, or "" ."""
        return "no data" if self.n == 0 else "unproven" if self.n < PROVEN_FROM else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The result of alerts of one kind, beside that of chance: the controls that were drawn with them."""

    alerts: Summary
    chance: Summary
    difference_r: float  #: [R] mean of the alerts less that of the controls; NaN without both
    difference_r_low: float  #: its interval of 95 % by bootstrap over days; NaN where there are too few of either
    difference_r_high: float
    left_out: int = 0  #: rows of other strategies, sides or versions

    @property
    def verdict(self) -> Literal["too few", "no difference", "better", "worse"]:
        """The alerts against chance; while the two intervals overlap there is no difference."""
        alerts, chance = self.alerts, self.chance
        if math.isnan(self.difference_r_low):
            return "too few"
        if alerts.expectancy_r_low > chance.expectancy_r_high:
            return "better"
        return "worse" if alerts.expectancy_r_high < chance.expectancy_r_low else "no difference"


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


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
