"""Rows needed, beside published figures."""

import math

import numpy as np
import pytest

from scoring.evidence.power import design_effect, rows_for_mean, rows_for_rates


@pytest.mark.parametrize(
    ("p1", "p2", "wanted"),
    [(0.30, 0.35, 1377), (0.35, 0.40, 1471), (0.40, 0.45, 1534), (0.50, 0.55, 1565), (0.40, 0.50, 388)],
)
def test_rows_for_rates(p1: float, p2: float, wanted: int) -> None:
    """The published numbers for 80 % power at 5 %, two-sided."""
    assert rows_for_rates(p1, p2) == wanted


def test_rows_for_mean() -> None:
    """0.1 R apart with a deviation of 1.3: 2,653 in each arm, half of that against a known value."""
    assert rows_for_mean(1.3, 0.1) == 2653
    assert rows_for_mean(1.3, 0.1, groups=1) == 1327


def test_design_effect() -> None:
    """Rows that repeat their block's value count once; independent ones as they are."""
    repeated = np.repeat([1.0, 2.0, 4.0], 5)
    assert design_effect(repeated, np.repeat([0, 1, 2], 5)) == pytest.approx((1.0, 5.0))
    rng = np.random.default_rng(1)
    shared = np.repeat(rng.normal(size=2000), 8) * math.sqrt(0.1) + rng.normal(size=16000) * math.sqrt(0.9)
    rho, effect = design_effect(shared, np.repeat(np.arange(2000), 8))
    assert rho == pytest.approx(0.1, abs=0.02)
    assert effect == pytest.approx(1 + 7 * rho)
    assert all(map(math.isnan, design_effect(np.array([1.0, 2.0]), np.array([0, 1]))))
