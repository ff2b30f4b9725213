"""Signals a day at other thresholds, from the scores of signals and of near misses."""

from collections.abc import Sequence
from dataclasses import dataclass

DAY_MS = 86_400_000
#: less than a day says nothing of a day
LEAST_DAYS = 1.0
#: a rate worth naming: about as many alerts as a person follows
WORTH_NAMING_A_DAY = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Signals a day at one threshold."""

    threshold: float
    a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRates:
    """The rate at the present threshold and at a lower one, over `days`."""

    days: float
    now: Rate
    lower: Rate


def threshold_rates(
    signals: Sequence[float], refused: Sequence[float], *, threshold: float, near_points: float, days: float
) -> ThresholdRates | None:
    """Return the rates at `threshold` and at the highest lower one worth naming; None where nothing can be said.

    Parameters
    ----------
    signals
        Scores of the signals given in that time.
    threshold, near_points
        The threshold of now, and how far below it near misses are kept: nothing is known of lower scores.
    refused
        The highest score of each episode that the threshold alone refused. Cooldown, burst and cap are as they were:
        more signals would have used up more of them, so the rates are upper bounds.
    days
        How long was watched.
    """
    if days < LEAST_DAYS:
        return None

    def rate(at: float) -> Rate:
        return Rate(threshold=at, a_day=sum(score >= at for score in (*signals, *refused)) / days)

    lower = [rate(threshold - points) for points in range(1, int(near_points) + 1)]
    if not lower:
        return None
    named = next((one for one in lower if one.a_day >= WORTH_NAMING_A_DAY), lower[-1])
    return ThresholdRates(days=days, now=rate(threshold), lower=named)
