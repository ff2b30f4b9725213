"""The monotone map, beside the best of all monotone maps; and what it foretells."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.calibration import FEWEST_FITTED, fit, judge_calibration
from tests.scoring.evidence.planted import table


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=9))
def test_the_map_is_the_best_that_never_falls(rows: list[tuple[int, float]]) -> None:
    """No cut of the scores into blocks with rising means fits better."""
    score, value = (np.array(one, float) for one in zip(*rows, strict=True))
    made = fit(score, value)
    assert (np.diff(made.value) > 0).all()
    error = float(((made.at(score) - value) ** 2).sum())
    distinct = np.unique(score)
    best = math.inf
    for cuts in itertools.product((False, True), repeat=len(distinct) - 1):
        block = np.cumsum([False, *cuts])[np.searchsorted(distinct, score)]
        means = np.array([value[block == one].mean() for one in np.unique(block)])
        if (np.diff(means) >= -1e-12).all():
            best = min(best, float(((means[block] - value) ** 2).sum()))
    assert abs(error - best) < 1e-9


def test_scores_below_and_above_what_was_seen() -> None:
    """The ends go on."""
    made = fit(np.array([50.0, 60.0]), np.array([0.2, 0.8]))
    assert made.at(np.array([10.0, 50.0, 59.0, 60.0, 99.0])).tolist() == [0.2, 0.2, 0.2, 0.8, 0.8]


def test_what_predicts_is_foretold_and_noise_is_not() -> None:
    """A score that predicts takes error away in months it was not fitted on; noise takes none."""
    good = judge_calibration(table(seed=1, truth=0.8, days=100, market=0.0), 3600)
    noise = judge_calibration(table(seed=1, truth=0.0, days=100, market=0.0), 3600)
    assert good.n == noise.n > 1000
    assert good.skill > 0.08
    assert noise.skill < 0.02


def test_too_few_rows_are_no_map() -> None:
    """Below FEWEST_FITTED in the past nothing is foretold."""
    few = table(seed=1, truth=0.8, days=50, coins=2, per_coin_day=1)
    assert len(few) < FEWEST_FITTED
    made = judge_calibration(few, 3600)
    assert made.n == 0
    assert math.isnan(made.skill)
