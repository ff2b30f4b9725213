"""The order of bands, beside pairs that are counted one by one."""

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.ordering import BAND_EDGES, Exchange, auc, band_of, judge_order
from scoring.evidence.rows import DAY_MS, Rows
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
