"""What many trials do, beside published figures and loops."""

import itertools
import math
from statistics import NormalDist, fmean, pstdev, variance

import numpy as np
import pytest

from scoring.evidence.selection import (
    best_of_worthless,
    deflated_sharpe_ratio,
    holm,
    overfitting_probability,
    sharpe_ratio,
)


def test_holm_is_the_published_example() -> None:
    """Holm's steps: 0.01 x 4, 0.013 x 3 raised to it, 0.03 x 2, 0.04; a NaN is no test."""
    assert holm([0.03, 0.01, math.nan, 0.04, 0.013]) == pytest.approx((0.06, 0.04, math.nan, 0.06, 0.04), nan_ok=True)
    assert holm([0.9, 0.8]) == (1.0, 1.0)


@pytest.mark.parametrize(("trials", "wanted"), [(1, 0.0), (7, 1.39), (20, 1.90), (100, 2.53), (1000, 3.26)])
def test_best_of_worthless(trials: int, wanted: float) -> None:
    """The expected best of N standard normal draws, by the published approximation."""
    assert best_of_worthless(trials) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(("length", "wanted"), [(500, 0.43), (1000, 0.71), (2000, 0.94), (4000, 1.0)])
def test_deflated_sharpe_ratio(length: int, wanted: float) -> None:
    """0.1 R with a deviation of 1.3 over 20 trials with a variance of 1/T, near-normal."""
    middle = (np.arange(length) + 0.5) / length
    returns = np.array([NormalDist().inv_cdf(one) for one in middle])
    returns = 0.1 + 1.3 * returns / returns.std(ddof=1)
    assert deflated_sharpe_ratio(returns, trials=20, variance=1 / length) == pytest.approx(wanted, abs=0.012)


def test_deflated_sharpe_ratio_of_skewed_returns() -> None:
    """Skewness and kurtosis count as in the paper's formula, and nothing is deflated for one trial."""
    returns = [1.7, 1.7, -1.1, -0.9, 0.2, -1.0, 1.6, 0.4]
    mean, deviation = fmean(returns), pstdev(returns)
    skew = fmean(((r - mean) / deviation) ** 3 for r in returns)
    kurtosis = fmean(((r - mean) / deviation) ** 4 for r in returns)
    ratio = mean / math.sqrt(variance(returns))
    wanted = NormalDist().cdf(ratio * math.sqrt(7) / math.sqrt(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2))
    assert deflated_sharpe_ratio(np.array(returns), trials=1, variance=0.1) == pytest.approx(wanted)
    assert math.isnan(deflated_sharpe_ratio(np.array([1.0, 1.0]), trials=1, variance=0.0))
    assert math.isnan(sharpe_ratio(np.empty(0)))


def test_overfitting_probability() -> None:
    """Noise is overfitted about half the time; one setting that is better everywhere never is."""
    rng = np.random.default_rng(3)
    noise = [overfitting_probability(rng.normal(size=(160, 10)), blocks=8) for _ in range(30)]
    assert fmean(noise) == pytest.approx(0.5, abs=0.12)
    good = rng.normal(size=(160, 10))
    good[:, 4] += 1.5
    assert overfitting_probability(good, blocks=8) == 0.0
    assert math.isnan(overfitting_probability(good[:5], blocks=8))


def test_overfitting_probability_beside_a_scalar() -> None:
    """The same by loops over every choice of half of the blocks."""
    returns = np.random.default_rng(5).normal(size=(12, 3))
    blocks = [returns[start : start + 3] for start in range(0, 12, 3)]
    below = []
    for half in itertools.combinations(range(4), 2):
        inside = np.concatenate([blocks[b] for b in half])
        outside = np.concatenate([blocks[b] for b in range(4) if b not in half])
        best = max(range(3), key=lambda s: fmean(inside[:, s]) / pstdev(inside[:, s]))
        ratios = [fmean(outside[:, s]) / pstdev(outside[:, s]) for s in range(3)]
        rank = sum(r < ratios[best] for r in ratios) + 1
        below.append((rank < 2) + (rank == 2) / 2)
    assert overfitting_probability(returns, blocks=4) == pytest.approx(fmean(below))
