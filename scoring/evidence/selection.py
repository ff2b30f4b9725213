"""Corrections for the best of many tries: Holm, the deflated Sharpe ratio, the probability of overfitting."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np

from features.facts.market import FloatArray

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values adjusted for their number; a NaN stays one and counts as no test.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for number, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - number) * p))
        adjusted[place] = highest
    return tuple(adjusted)


def sharpe_ratio(returns: FloatArray) -> float:
    """Return mean over standard deviation, not annualised; NaN from fewer than two, or from equal ones."""
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / deviation if deviation > 0 else math.nan


def best_of_worthless(trials: int) -> float:
    """Return the expected highest of so many draws of a standard normal, 0 for one.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, equation 1.
    """
    if trials <= 1:
        return 0.0
    upper, beyond = 1 - 1 / trials, 1 - 1 / (trials * math.e)
    return (1 - _EULER_GAMMA) * _NORMAL.inv_cdf(upper) + _EULER_GAMMA * _NORMAL.inv_cdf(beyond)


def deflated_sharpe_ratio(returns: FloatArray, *, trials: int, variance: float) -> float:
    """Return the chance that the true Sharpe ratio is above what the best of `trials` worthless ones would show.

    `returns` are of equal stretches, here the R of each day, (days,); `variance` is that of the Sharpe ratios of all
    trials. NaN where the ratio is.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, equation 2.
    """
    ratio, length = sharpe_ratio(returns), len(returns)
    if math.isnan(ratio):
        return math.nan
    benchmark = math.sqrt(max(0.0, variance)) * best_of_worthless(trials)
    standard = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    spread = math.sqrt(max(1e-12, 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2))
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(length - 1) / spread)


def overfitting_probability(returns: FloatArray, blocks: int = 16) -> float:
    """Return how often the best setting of one half of the time is below the median in the other half.

    `returns` is (days, settings). The days are cut into `blocks` stretches, and each choice of half of them is tried.
    NaN from fewer days than blocks or from one setting.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2015), The probability of backtest overfitting (CSCV).
    """
    days, settings = returns.shape
    if days < blocks or settings < 2:
        return math.nan
    edges = np.linspace(0, days, blocks + 1).astype(int)
    counts = np.diff(edges)[:, None]
    sums = np.add.reduceat(returns, edges[:-1], axis=0)
    squares = np.add.reduceat(returns**2, edges[:-1], axis=0)
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, list(half)] = 1.0

    def ratios(taken: FloatArray) -> FloatArray:
        n = taken @ counts
        mean = taken @ sums / n
        return np.asarray(mean / np.sqrt(np.maximum(taken @ squares / n - mean**2, 1e-18)))

    best = ratios(chosen).argmax(axis=1)
    outside = ratios(1 - chosen)
    of_best = outside[np.arange(len(best)), best][:, None]
    rank = ((outside < of_best).sum(axis=1) + (outside == of_best).sum(axis=1) / 2 + 0.5) / (settings + 1)
    return float((rank < 0.5).mean() + (rank == 0.5).mean() / 2)
