"""Whether higher scores end better: bands fixed beforehand, tested by exchanging scores within each coin's day."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.facts.market import FloatArray, IntArray
from scoring.evidence.resampling import Estimate, estimate
from scoring.evidence.rows import Rows, codes
from scoring.statistics import wilson_interval

#: the bands' edges, fixed before anything was looked at: below 40, 40 to 55, 55 to 65, 65 to 72, from 72 on
BAND_EDGES = (40.0, 55.0, 65.0, 72.0)
_EDGES_AS_SUMS = 1e-9  #: a score is a float's sum: 72 in words may be a hair less


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The results of the rows of one band; NaN where it is empty."""

    low: float  #: [points] scores from here on
    high: float  #: below this one
    n: int
    mean_r: float
    win_rate: float
    win_rate_low: float  #: Wilson, 95 %
    win_rate_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """Whether the bands are ordered by what they made."""

    bands: tuple[Band, ...]
    jonckheere: float  #: pairs of rows of two bands of which the higher band ended better, ties half
    pairs: float  #: pairs of rows of two bands in all
    p_value: float  #: share of exchanges with at least as many, one-sided; NaN without anything to exchange
    exchangeable: int  #: rows that share their coin's day with another band's
    auc: float  #: chance that a winner's score is above a loser's
    top_minus_bottom: Estimate  #: of the highest and the lowest bands that are not empty

    def verdict(self, pays_r: float) -> Literal["ordered", "not ordered", "cannot tell"]:
        """Return the one word, where `pays_r` is the gain [R] of the top over the bottom that would pay the costs."""
        difference = self.top_minus_bottom
        if self.p_value < 0.05 and difference.low > 0:
            return "ordered"
        if difference.is_proven and (difference.high < pays_r or difference.high < 0):
            return "not ordered"
        return "cannot tell"


def band_of(score: FloatArray, edges: tuple[float, ...]) -> IntArray:
    """Return the number of each score's band, from 0 for those below the first edge, (n,)."""
    return np.searchsorted(np.array(edges) - _EDGES_AS_SUMS, score, side="right").astype(np.int64)


def quintiles(score: FloatArray) -> tuple[float, ...]:
    """Return the edges of five bands of equal numbers, fewer where scores are equal."""
    edges = np.unique(np.quantile(score, (0.2, 0.4, 0.6, 0.8))) if len(score) else np.empty(0)
    return tuple(float(edge) for edge in edges)


def judge_order(rows: Rows, edges: tuple[float, ...], *, draws: int, seed: int) -> Ordering:
    """Return how the bands between `edges` stand to each other; rows without a result are left out."""
    rows = rows.where(rows.has_result)
    band, stratum = band_of(rows.score, edges), codes(rows.coin, rows.day)
    exchange = Exchange(rows.net_r, stratum)
    used = np.unique(band)
    is_top, is_bottom = (band == used[-1], band == used[0]) if len(used) > 1 else (band < 0, band < 0)
    observed, pairs = exchange.jonckheere(band), _pairs(band)
    is_mixed = _is_mixed(band, stratum)
    p_value = exchange.p_value(band, observed, draws, seed) if is_mixed.any() else math.nan
    return Ordering(
        bands=tuple(_band(rows.net_r[band == number], number, edges) for number in range(len(edges) + 1)),
        jonckheere=observed,
        pairs=pairs,
        p_value=p_value,
        exchangeable=int(is_mixed.sum()),
        auc=auc(rows.score, rows.net_r > 0),
        top_minus_bottom=estimate(
            rows,
            np.where(is_top, rows.net_r, math.nan),
            minus=np.where(is_bottom, rows.net_r, math.nan),
            draws=draws,
            seed=seed,
        ),
    )


class Exchange:
    """Exchanges labels among the rows of one stratum, which leaves what the strata share out of the test."""

    def __init__(self, values: FloatArray, stratum: IntArray) -> None:
        order = np.argsort(values, kind="stable")
        self._order = order
        ordered = values[order]
        # of each row by value: how many are below it, and how many at most as high
        self._below = np.searchsorted(ordered, ordered, side="left")
        self._up_to = np.searchsorted(ordered, ordered, side="right")
        self._stratum = stratum.astype(float)

    def jonckheere(self, band: IntArray) -> float:
        """Return the pairs (i, j) with band i < band j and value i < value j, ties of values half.

        References
        ----------
        Jonckheere (1954), A distribution-free k-sample test against ordered alternatives.
        """
        label = band[self._order]
        total = 0.0
        for lower in range(int(label.max(initial=0))):
            before = np.concatenate(([0], np.cumsum(label == lower)))
            is_higher = label > lower
            total += float((before[self._below[is_higher]] + before[self._up_to[is_higher]]).sum()) / 2
        return total

    def p_value(self, band: IntArray, observed: float, draws: int, seed: int) -> float:
        """Return the one-sided p of `observed`: 1 + exchanges with at least as many pairs over 1 + `draws`."""
        rng = np.random.default_rng(seed)
        by_stratum = np.argsort(self._stratum, kind="stable")
        exchanged = np.empty_like(band)
        as_high = 0
        for _ in range(draws):
            shuffled = np.argsort(self._stratum + rng.random(len(band)))
            exchanged[shuffled] = band[by_stratum]
            as_high += self.jonckheere(exchanged) >= observed - 1e-9
        return (1 + as_high) / (1 + draws)


def auc(score: FloatArray, is_win: np.typing.NDArray[np.bool_]) -> float:
    """Return the chance that a winner's score is above a loser's, ties half; NaN without both.

    References
    ----------
    Hanley and McNeil (1982), The meaning and use of the area under a ROC curve.
    """
    wins, losses = np.sort(score[is_win]), score[~is_win]
    if not len(wins) or not len(losses):
        return math.nan
    above = len(wins) - np.searchsorted(wins, losses, side="right")
    equal = np.searchsorted(wins, losses, side="right") - np.searchsorted(wins, losses, side="left")
    return float(above.sum() + equal.sum() / 2) / (len(wins) * len(losses))


def _pairs(band: IntArray) -> float:
    counts = np.bincount(band).astype(float)
    return float((counts.sum() ** 2 - (counts**2).sum()) / 2)


def _is_mixed(band: IntArray, stratum: IntArray) -> np.typing.NDArray[np.bool_]:
    # which rows share their stratum with a row of another band
    if not len(band):
        return np.zeros(0, bool)
    strata = int(stratum.max()) + 1
    lowest, highest = np.full(strata, np.iinfo(np.int64).max), np.full(strata, -1)
    np.minimum.at(lowest, stratum, band)
    np.maximum.at(highest, stratum, band)
    return np.asarray((lowest < highest)[stratum])


def _band(net_r: FloatArray, number: int, edges: tuple[float, ...]) -> Band:
    n, wins = len(net_r), int((net_r > 0).sum())
    low, high = wilson_interval(wins, n)
    return Band(
        low=(0.0, *edges)[number],
        high=(*edges, 100.0)[number],
        n=n,
        mean_r=float(net_r.mean()) if n else math.nan,
        win_rate=wins / n if n else math.nan,
        win_rate_low=low,
        win_rate_high=high,
    )
