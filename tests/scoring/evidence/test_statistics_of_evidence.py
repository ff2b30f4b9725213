"""Each statistic beside a scalar reference written apart, or beside a published figure."""

import itertools
import math
from statistics import NormalDist, fmean, pstdev, variance

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.ordering import BAND_EDGES, Exchange, auc, band_of, judge_order
from scoring.evidence.power import design_effect, rows_for_mean, rows_for_rates
from scoring.evidence.resampling import draw_days, estimate, run_length
from scoring.evidence.rows import DAY_MS, Rows, codes
from scoring.evidence.selection import (
    best_of_worthless,
    deflated_sharpe_ratio,
    holm,
    overfitting_probability,
    sharpe_ratio,
)
from scoring.evidence.walk_forward import is_open, walk_forward
from tests.scoring.evidence.planted import START_MS

SOME = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=25)


def rows(days: list[int], values: list[float], coins: list[str] | None = None) -> Rows:
    """Return rows of these days and R."""
    return Rows(
        decided_ms=START_MS + DAY_MS * np.array(days),
        coin=np.array(coins or ["A"] * len(days)),
        score=np.zeros(len(days)),
        gross_r=np.array(values, float),
        net_r=np.array(values, float),
    )


@given(SOME)
def test_jonckheere_counts_pairs(some: list[tuple[int, int, int]]) -> None:
    """J is the number of pairs of two bands whose higher one ended higher, ties half."""
    band, value, stratum = map(np.array, zip(*some, strict=True))
    wanted = sum(
        (two[1] > one[1]) + (two[1] == one[1]) / 2 for one, two in itertools.permutations(some, 2) if one[0] < two[0]
    )
    assert Exchange(value.astype(float), stratum).jonckheere(band) == wanted


def test_exchanges_stay_within_their_stratum() -> None:
    """The p value is the share of all exchanges within each stratum that are as high, as listing them all shows."""
    band, stratum = np.array([0, 1, 2, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    value = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 9.0])
    exchange = Exchange(value, stratum)
    observed = exchange.jonckheere(band)
    every = [
        exchange.jonckheere(np.array([*one, *two])) >= observed
        for one in itertools.permutations(band[:3])
        for two in itertools.permutations(band[3:])
    ]
    assert exchange.p_value(band, observed, 20_000, 1) == pytest.approx(fmean(every), abs=0.015)


def test_order_between_days_is_no_order_of_the_score() -> None:
    """Where only whole days differ there is nothing to exchange, so there is no p."""
    score = np.array([30.0, 30, 80, 80])
    one = rows([0, 0, 1, 1], [-1.0, -1.0, 1.0, 1.0])
    made = judge_order(
        Rows(decided_ms=one.decided_ms, coin=one.coin, score=score, gross_r=one.net_r, net_r=one.net_r),
        BAND_EDGES,
        draws=100,
        seed=1,
    )
    assert (made.jonckheere, made.exchangeable) == (made.pairs, 0)
    assert math.isnan(made.p_value)
    assert made.verdict(0.1) == "cannot tell"


@given(SOME)
def test_auc_counts_pairs(some: list[tuple[int, int, int]]) -> None:
    """The AUC is the share of pairs of a winner and a loser whose winner scored higher, ties half."""
    wins, losses = [v for _, v, w in some if w == 1], [v for _, v, w in some if w != 1]
    made = auc(np.array([v for _, v, _ in some], float), np.array([w == 1 for _, _, w in some]))
    if not wins or not losses:
        assert math.isnan(made)
    else:
        pairs = [(w > loss) + (w == loss) / 2 for w in wins for loss in losses]
        assert made == pytest.approx(fmean(pairs))


def test_bands_take_a_hair_below_their_edge() -> None:
    """72 as a float's sum is 72; 71.9 is below."""
    assert band_of(np.array([0, 39.9, 40, 54.9, 55, 65, 71.9, 72 - 1e-12, 100]), BAND_EDGES).tolist() == [
        *(0, 0, 1, 1, 2, 3, 3, 4, 4)
    ]


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


@given(SOME)
def test_codes_number_combinations(some: list[tuple[int, int, int]]) -> None:
    """Rows have the same number exactly where all keys are the same."""
    first, second, third = map(np.array, zip(*some, strict=True))
    code = codes(first, second, third)
    for one, two in itertools.combinations(range(len(some)), 2):
        assert (code[one] == code[two]) == (some[one] == some[two])


def test_walk_forward_leaves_a_gap() -> None:
    """The past ends a time-out, a day of VWAP and a day of embargo before the month that is judged."""
    hours = START_MS + 3_600_000 * np.arange(24 * 100)
    folds = list(walk_forward(hours, signal_timeout_s=3600))
    assert [fold.month for fold in folds] == ["2026-03", "2026-04", "2026-05"]
    for fold in folds:
        begins = hours[fold.is_judged].min()
        assert begins - hours[fold.is_past].max() > 2 * DAY_MS + 3_600_000
        assert not (fold.is_past & fold.is_judged).any()
    assert is_open(hours).sum() == 24 * 70


def test_rows_of_another_shape_are_refused() -> None:
    """Columns that do not fit are named."""
    with pytest.raises(ValueError, match="score"):
        Rows(
            decided_ms=np.array([1, 2]),
            coin=np.array(["A", "B"]),
            score=np.array([1.0]),
            gross_r=np.zeros(2),
            net_r=np.zeros(2),
        )
