"""Parts, gates and gaps, on tables whose truth is known and beside scalars."""

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from scoring.evidence.parts import judge_gates, judge_missing, judge_parts, split
from tests.scoring.evidence.planted import table


def test_a_part_that_is_noise_adds_nothing() -> None:
    """Two parts predict, the third is exchanged among all rows: Holm's p tells them apart."""
    alerts = table(seed=7, truth=0.6, market=0.0)
    alerts.parts[:, 2] = np.random.default_rng(1).permutation(alerts.parts[:, 2])
    alerts = replace(alerts, score=np.nansum(alerts.parts, axis=1))
    sweep, wall, noise = judge_parts(alerts, draws=300, seed=1)
    assert max(sweep.p_holm, wall.p_holm) < 0.02 < noise.p_holm
    assert min(sweep.delta_without, wall.delta_without) > 0.005 > noise.delta_without
    assert noise.n == int((~np.isnan(alerts.parts[:, 2])).sum())


def test_a_constant_part_has_no_p() -> None:
    """What is the same in every row cannot be exchanged."""
    alerts = table(seed=7, truth=0.6, days=25)
    alerts.parts[:, 1] = 10.0
    part = judge_parts(alerts, draws=20, seed=1)[1]
    assert (part.auc_alone, part.delta_without) == (0.5, 0.0)
    assert math.isnan(part.p_value)


def test_a_split_is_two_means() -> None:
    """Inside, outside and their difference, added up by hand."""
    alerts = table(seed=7, truth=0.6, days=25)
    is_high = alerts.score > 60
    made = split(alerts, "high", is_high, draws=100, seed=1)
    inside, outside = fmean(alerts.net_r[is_high]), fmean(alerts.net_r[~is_high])
    assert (made.inside.mean, made.outside.mean) == pytest.approx((inside, outside))
    assert made.difference.mean == pytest.approx(inside - outside)
    assert made.difference.low > 0


def test_gates_and_gaps_are_named() -> None:
    """One table each."""
    alerts = table(seed=7, truth=0.6, days=25)
    assert [one.name for one in judge_gates(alerts, draws=10, seed=1)] == ["spread"]
    assert [one.name for one in judge_missing(alerts, draws=10, seed=1)] == ["sweep", "wall", "oi"]
