"""Many settings on the same tapes: what each made, and what having tried so many makes of the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray
from scoring.evidence.judge import by_day
from scoring.evidence.resampling import Estimate, estimate
from scoring.evidence.rows import DAY_MS, Rows
from scoring.evidence.selection import deflated_sharpe_ratio, overfitting_probability, sharpe_ratio

LATER_PART = 3  #: one in so many days is kept back from the choice, the last ones
BLOCKS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The result of one combination: the earlier days may choose it, the later ones judge it."""

    values: Mapping[str, str]  #: NAME -> value
    earlier: Estimate
    later: Estimate
    drawdown_r: float  #: [R] the deepest fall of the running sum over all days, >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All combinations, the best of the earlier days first."""

    settings: tuple[Setting, ...]
    splits_ms: int  #: the later days begin here
    overfitting: (
        float  #: [0…1] how often the best of one half of the days is below the median in the other; NaN: too few
    )
    deflated: float  #: [0…1] the deflated Sharpe ratio of the best of all days; NaN: too few

    @property
    def word(self) -> str:
        """The words for the best: it needs days kept back that agree, and little sign of overfitting."""
        best = self.settings[0]
        if not best.later.is_proven or math.isnan(self.overfitting):
            return "cannot tell"
        return "holds" if best.later.low > 0 and self.overfitting < 0.2 and self.deflated >= 0.95 else "does not hold"


def judge_sweep(
    made: Sequence[tuple[Mapping[str, str], Rows]], *, purge_ms: int, draws: int = 2000, seed: int = 1
) -> Sweep:
    """Return the table of the combinations.

    The days of all are split in time, and rows decided less than `purge_ms` before the split count in neither part.
    """
    known = [(values, rows.where(rows.has_result)) for values, rows in made]
    days = np.unique(np.concatenate([rows.day for _, rows in known]))
    first, last = (int(days[0]), int(days[-1])) if len(days) else (0, 0)
    splits_ms = (last + 1 - (last + 1 - first) // LATER_PART) * DAY_MS
    settings = []
    for values, rows in known:
        is_earlier, is_later = rows.decided_ms < splits_ms - purge_ms, rows.decided_ms >= splits_ms
        earlier, later = (
            estimate(rows, np.where(part, rows.net_r, math.nan), draws=draws, seed=seed)
            for part in (is_earlier, is_later)
        )
        settings.append(Setting(values=values, earlier=earlier, later=later, drawdown_r=drawdown(rows.net_r)))
    settings.sort(key=lambda one: -math.inf if math.isnan(one.earlier.mean) else one.earlier.mean, reverse=True)
    returns = np.array([_days(rows, first, last) for _, rows in known]).T
    ratios = np.array([sharpe_ratio(by_day(rows)) for _, rows in known])
    usable = ratios[~np.isnan(ratios)]
    best = int(np.nanargmax(ratios)) if len(usable) else None
    return Sweep(
        settings=tuple(settings),
        splits_ms=splits_ms,
        overfitting=overfitting_probability(returns, BLOCKS),
        deflated=math.nan
        if best is None
        else deflated_sharpe_ratio(
            returns[:, best], trials=len(made), variance=float(np.var(usable, ddof=1)) if len(usable) > 1 else 0.0
        ),
    )


def drawdown(net_r: FloatArray) -> float:
    """Return the deepest fall of the running sum from an earlier height [R], 0 for none."""
    running = np.append(0.0, np.cumsum(net_r))
    return float((np.maximum.accumulate(running) - running).max())


def _days(rows: Rows, first: int, last: int) -> FloatArray:
    return np.asarray(np.bincount(rows.day - first, rows.net_r, last - first + 1), float)
