"""A sweep over tables whose truth is known."""

import math
from dataclasses import replace

import numpy as np

from scoring.evidence.rows import DAY_MS, Rows
from scoring.evidence.sweep import drawdown, judge_sweep
from tests.scoring.evidence.planted import START_MS, table


def with_gain(seed: int, gain: float, days: int = 90) -> Rows:
    """Return noise that makes so much each."""
    rows = table(seed=seed, truth=0.0, days=days, coins=4, per_coin_day=1, market=0.0)
    return replace(rows, net_r=rows.net_r + gain)


def test_the_best_of_noise_does_not_hold() -> None:
    """Twelve worthless settings: the best of the earlier days is not believed."""
    made = judge_sweep([({"X": str(n)}, with_gain(n, -0.05)) for n in range(12)], purge_ms=DAY_MS, draws=200)
    assert made.word == "does not hold"
    means = [one.earlier.mean for one in made.settings]
    assert means == sorted(means, reverse=True)


def test_one_that_is_better_holds() -> None:
    """It is first, in the days kept back too, and hardly ever overfitted."""
    made = judge_sweep([({"X": str(n)}, with_gain(n, 0.6 * (n == 7))) for n in range(12)], purge_ms=DAY_MS, draws=200)
    assert made.settings[0].values == {"X": "7"}
    assert made.overfitting < 0.05
    assert made.word == "holds"


def test_the_split_is_in_time_with_a_purge() -> None:
    """Sixty earlier days less one, thirty later ones, and no row in both."""
    rows = with_gain(1, 0.0)
    made = judge_sweep([({}, rows)], purge_ms=DAY_MS, draws=50)
    assert made.splits_ms == START_MS + 60 * DAY_MS
    (one,) = made.settings
    assert (one.earlier.days, one.later.days) == (59, 30)
    assert one.earlier.n + one.later.n == len(rows) - 4
    assert math.isnan(made.overfitting)  # one setting


def test_drawdown() -> None:
    """The deepest fall of the running sum, beside loops."""
    values = np.random.default_rng(1).normal(size=60)
    sums = [0.0, *np.cumsum(values).tolist()]
    wanted = max(max(sums[: n + 1]) - one for n, one in enumerate(sums))
    assert drawdown(values) == wanted
    assert drawdown(np.empty(0)) == 0.0


def test_settings_that_signal_nothing() -> None:
    """They are listed last, and nothing is said of them."""
    some = with_gain(1, 0.0, days=30)
    none = some.where(np.zeros(len(some), bool))
    made = judge_sweep([({"X": "1"}, none), ({"X": "2"}, some)], purge_ms=0, draws=50)
    assert [one.values["X"] for one in made.settings] == ["2", "1"]
    assert math.isnan(made.settings[1].later.mean)
    assert judge_sweep([({}, none)], purge_ms=0, draws=50).word == "cannot tell"
