"""How many rows it takes to see a difference, so that silence is not taken for an answer."""

import math
from statistics import NormalDist

import numpy as np

from features.facts.market import FloatArray, IntArray

_NORMAL = NormalDist()
ALPHA = 0.05  #: two-sided
POWER = 0.80


def rows_for_rates(p1: float, p2: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Return the rows in each of two groups that show win rates `p1` and `p2` [0…1] apart.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical methods for rates and proportions, equation 4.14.
    """
    z_alpha, z_power = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    middle = (p1 + p2) / 2
    spread = z_alpha * math.sqrt(2 * middle * (1 - middle)) + z_power * math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    return math.ceil(spread**2 / (p2 - p1) ** 2)


def rows_for_mean(deviation: float, difference: float, *, groups: int = 2) -> int:
    """Return the rows in each of two groups, or in one against a known value, that show means so far apart [R]."""
    z = _NORMAL.inv_cdf(1 - ALPHA / 2) + _NORMAL.inv_cdf(POWER)
    return math.ceil(groups * (z * deviation / difference) ** 2)


def design_effect(values: FloatArray, block: IntArray) -> tuple[float, float]:
    """Return (rho, effect): how much the rows of a block go together, and by what that multiplies the rows needed.

    rho is the intraclass correlation by one-way analysis of variance, at least 0; the effect is 1 + (m - 1) rho with
    the mean m of the blocks' sizes weighted by size. (NaN, NaN) without two blocks, or two rows in one.

    References
    ----------
    Kish (1965), Survey sampling, section 5.4; Donner and Klar (2000), Cluster randomization trials, section 1.3.
    """
    _, code, sizes = np.unique(block, return_inverse=True, return_counts=True)
    n, blocks = len(values), len(sizes)
    if blocks < 2 or n == blocks:
        return math.nan, math.nan
    means = np.bincount(code, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (blocks - 1)
    within = float(((values - means[code]) ** 2).sum()) / (n - blocks)
    size = (n - float((sizes**2).sum()) / n) / (blocks - 1)
    spread = between + (size - 1) * within
    rho = max(0.0, (between - within) / spread) if spread > 0 else 0.0
    return rho, 1 + (float((sizes**2).sum()) / n - 1) * rho
