"""Intervals, beside a bootstrap written as loops."""

import math
from statistics import fmean

import numpy as np
import pytest

from scoring.evidence.resampling import draw_days, estimate, run_length
from scoring.evidence.rows import DAY_MS, Rows
from tests.scoring.evidence.planted import START_MS


def rows(days: list[int], values: list[float], coins: list[str] | None = None) -> Rows:
    """Return rows of these days and R."""
    return Rows(
        decided_ms=START_MS + DAY_MS * np.array(days),
        coin=np.array(coins or ["A"] * len(days)),
        score=np.zeros(len(days)),
        gross_r=np.array(values, float),
        net_r=np.array(values, float),
    )


def test_interval_is_the_block_bootstraps() -> None:
    """By days of different sizes and shared values: the interval of a bootstrap written as loops."""
    rng = np.random.default_rng(2)
    days = [day for day in range(25) for _ in range(int(rng.integers(1, 6)))]
    shift = rng.normal(size=25)
    values = [float(shift[day] + rng.normal()) for day in days]
    made = estimate(rows(days, values), np.array(values), draws=4000, seed=1)
    by_day = [[v for d, v in zip(days, values, strict=True) if d == day] for day in range(25)]
    means = []
    for _ in range(4000):
        drawn = [v for day in rng.integers(0, 25, 25) for v in by_day[day]]
        means.append(fmean(drawn))
    assert (made.day_low, made.day_high) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=0.05)
    assert made.mean == pytest.approx(fmean(values))
    assert math.isnan(made.coin_low)  # one coin
    assert (made.low, made.high) == (made.day_low, made.day_high)


def test_the_wider_interval_is_reported() -> None:
    """Where coins differ and days do not, the interval by coin is the wider, and it is the one that is shown."""
    rng = np.random.default_rng(4)
    nature = rng.normal(size=6)
    days, coin = np.repeat(np.arange(30), 6).tolist(), [0, 1, 2, 3, 4, 5] * 30
    values = [float(nature[c] + 0.1 * rng.normal()) for c in coin]
    made = estimate(rows(days, values, [f"C{c}" for c in coin]), np.array(values), draws=2000, seed=1)
    assert made.coin_high - made.coin_low > 5 * (made.day_high - made.day_low)
    assert (made.low, made.high) == (made.coin_low, made.coin_high)
    half = (made.clustered_high - made.clustered_low) / 2
    assert half == pytest.approx((made.coin_high - made.coin_low) / 2, rel=0.25)


@pytest.mark.parametrize(("days", "each"), [(19, 3), (25, 1)])
def test_no_interval_from_too_little(days: int, each: int) -> None:
    """Fewer than 20 days or 30 rows: no interval is sold as one."""
    many = np.repeat(np.arange(days), each).tolist()
    made = estimate(rows(many, [1.0, *[0.0] * (len(many) - 1)]), np.array([1.0] * len(many)), draws=100, seed=1)
    assert not made.is_proven
    assert made.mean == 1.0


def test_runs_of_days_are_drawn_where_days_hang_together() -> None:
    """Independent days are drawn alone; days that go with the last one as runs, and then the interval is wider."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=400)
    walk = np.zeros(400)
    for day in range(1, 400):
        walk[day] = 0.8 * walk[day - 1] + noise[day]
    assert run_length(noise) == 1.0
    assert run_length(walk) > 5
    drawn = draw_days(walk, 500, rng)
    assert (drawn.sum(axis=1) == 400).all()
    alone = rng.multinomial(400, np.full(400, 1 / 400), 500)
    assert (drawn @ walk).std() > 1.8 * (alone @ walk).std()
