"""The judgement on tables whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scoring.evidence.judge import Trial, judge, judge_sample, trial
from scoring.evidence.ordering import BAND_EDGES, judge_order
from scoring.evidence.rows import Rows
from tests.scoring.evidence.planted import table

DRAWS = 400


@pytest.mark.parametrize("seed", range(3))
def test_a_score_that_predicts_is_called_ordered(seed: int) -> None:
    """Bands, AUC and every part say so."""
    made = judge_sample(table(seed=seed, truth=0.5), draws=DRAWS, seed=1)
    assert made.order_word == "ordered"
    assert made.order.auc > 0.55
    assert made.order_by_quintiles.p_value < 0.01
    assert all(part.p_holm < 0.05 and part.delta_without > 0 for part in made.parts)


def test_noise_is_not_called_ordered() -> None:
    """Twelve tables of noise, in which scores and results go together by day: hardly one is ordered."""
    words = [judge_order(table(seed=seed, truth=0.0), BAND_EDGES, draws=200, seed=1).verdict(0.1) for seed in range(12)]
    assert words.count("ordered") <= 2


def test_an_edge_is_called_one_only_if_it_lasts() -> None:
    """Alerts that beat their controls month by month are an edge; the same gain in one month of four is none."""
    good = _with_gain(lambda month: np.full(len(month), 0.5))
    assert judge(good, draws=DRAWS).verdict == "edge"
    once = _with_gain(lambda month: np.where(month == month[-1], 3.0, -0.2))
    assert judge(once, draws=DRAWS).verdict != "edge"


def test_no_edge() -> None:
    """Alerts that do worse than chance by more than the interval are no edge."""
    made = judge(_with_gain(lambda month: np.full(len(month), -0.4)), draws=DRAWS)
    assert made.verdict == "no edge"
    assert "against a random coin of the same minute" in made.reasons[0]


def test_many_trials_deflate() -> None:
    """The same alerts after 500 tried settings prove less than after one."""
    alerts = _with_gain(lambda month: np.full(len(month), 0.12))
    rng = np.random.default_rng(1)
    ledger = [
        Trial(config_hash=str(n), data_hash="d", sharpe_ratio=float(r)) for n, r in enumerate(rng.normal(0, 0.2, 500))
    ]
    alone, many = judge(alerts, draws=50), judge(alerts, ledger=ledger, draws=50)
    assert many.deflated < alone.deflated
    assert (alone.trials, many.trials) == (1, 500)


def test_what_is_too_little_says_how_much_it_wants() -> None:
    """Eight alerts prove nothing; the number that would is said."""
    few = table(seed=1, truth=0.5, days=4, coins=2, per_coin_day=1)
    made = judge(few, draws=50)
    assert made.verdict == "cannot tell"
    assert made.rows_needed > 1000
    assert "8 alerts with controls on 4 days: an interval wants at least 30 on 20" in made.reasons[0]


def test_nothing_is_judged_as_nothing() -> None:
    """No alert at all: every figure is missing, none is invented."""
    nobody = table(seed=1, truth=0.0, days=1, coins=2, per_coin_day=1).where(np.array([False, False]))
    made = judge(nobody, draws=10)
    assert (made.verdict, made.alerts.n, made.rows_needed) == ("cannot tell", 0, 0)
    assert math.isnan(made.alerts.expectancy.mean)
    assert math.isnan(made.alerts.order.p_value)


def test_the_same_seed_gives_the_same_figures() -> None:
    """To the bit."""
    alerts = table(seed=2, truth=0.2, days=25)
    assert repr(judge(alerts, alerts, draws=50)) == repr(judge(alerts, alerts, draws=50))
    assert repr(judge(alerts, draws=50)) != repr(judge(alerts, draws=50, seed=2))


def test_what_nobody_could_enter_counts_apart() -> None:
    """Rows without a result count nowhere but as such."""
    alerts = table(seed=2, truth=0.2, days=25)
    net = np.where(np.arange(len(alerts)) % 3 == 0, np.nan, alerts.net_r)
    made = judge_sample(replace(alerts, net_r=net), draws=50, seed=1)
    assert (made.n, made.not_reached) == (600, 300)
    assert sum(band.n for band in made.order.bands) == 600


def test_tables_of_gates_and_gaps_add_up() -> None:
    """Inside and outside of each gate and gap are all rows; strict rows lack no part and have none that is rough."""
    alerts = table(seed=2, truth=0.2, days=25)
    made = judge_sample(alerts, draws=50, seed=1)
    assert {split.inside.n + split.outside.n for split in (*made.gates, *made.missing)} == {900}
    strict = [
        r
        for r, parts, rough in zip(alerts.net_r, alerts.parts, alerts.is_approximate, strict=True)
        if not any(map(math.isnan, parts)) and not rough.any()
    ]
    assert made.strict.n == len(strict)
    assert made.strict.mean == pytest.approx(sum(strict) / len(strict))


def test_the_ledger_keeps_the_ratio_by_day() -> None:
    """One row a configuration and data."""
    made = trial(_with_gain(lambda month: np.full(len(month), 0.5)), config_hash="c", data_hash="d")
    assert made.sharpe_ratio > 0.2


def _with_gain(gain: object) -> Rows:
    """Return noise of four months whose alerts make so much more than their controls, by month."""
    noise = table(seed=3, truth=0.0, days=110, coins=4, per_coin_day=2, market=0.0)
    net = noise.net_r + gain(noise.month)  # type: ignore[operator]
    return replace(noise, net_r=net, gross_r=net + 0.1)
