"""Two histories of the same days, beside counts by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scoring.evidence.ladder import compare_histories, spearman
from scoring.signals import Signal
from tests.storage.builders import DECIDED_MS, make_signal


def moment(hour: int, score: float, *, late_ms: int = 0, passed: bool = True, coin: str = "XLM") -> Signal:
    """Return a moment of a coin and hour."""
    one = make_signal(hour + 1, decided_ms=DECIDED_MS + 3_600_000 * hour + late_ms, score=score, coin=coin)
    return replace(one, verdicts=(replace(one.verdicts[0], passed=passed),))


def test_the_same_moments_are_compared() -> None:
    """Only of one coin and hour, within a minute; gates by name; alerts found again nearby."""
    full = [moment(0, 10), moment(1, 20), moment(2, 30, passed=False), moment(3, 40), moment(4, 5, coin="PEPE")]
    poorer = [moment(0, 11), moment(1, 19, passed=False), moment(2, 33, passed=False), moment(3, 1, late_ms=61_000)]
    made = compare_histories(full, poorer, full[:2], [poorer[0], moment(1, 80, late_ms=70_000)])
    assert (made.moments, made.alerts, made.found) == (3, 2, 1)
    assert made.rank_correlation == pytest.approx(1.0)
    assert made.gate_agreement == {"score": pytest.approx(2 / 3)}
    assert not made.is_enough
    assert replace(made, found=2).is_enough
    assert not replace(made, found=2, rank_correlation=0.69).is_enough


def test_spearman() -> None:
    """Against the formula with squared differences of ranks; ties share theirs."""
    first, second = np.array([1.0, 5, 3, 9, 7]), np.array([2.0, 4, 8, 10, 6])
    ranks = [np.argsort(np.argsort(one)) for one in (first, second)]
    wanted = 1 - 6 * float(((ranks[0] - ranks[1]) ** 2).sum()) / (5 * 24)
    assert spearman(first, second) == pytest.approx(wanted)
    assert spearman(np.array([1.0, 1, 2]), np.array([1.0, 1, 3])) == pytest.approx(1.0)
    assert math.isnan(spearman(first[:2], second[:2]))
    assert math.isnan(spearman(np.ones(4), np.arange(4.0)))
