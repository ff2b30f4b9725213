"""A map from score to the chance of a win that never falls, fitted on the past only and judged on what follows."""

import math
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray
from scoring.evidence.rows import Rows
from scoring.evidence.walk_forward import walk_forward

FEWEST_FITTED = 300  #: rows below which no map is fitted: a ranking stays a ranking


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Steps that never fall: of a score at or above `score[i]` the value is `value[i]`."""

    score: FloatArray  #: (k,) ascending
    value: FloatArray  #: (k,) not falling

    def at(self, score: FloatArray) -> FloatArray:
        """Return the value of each score, (n,); the first step's for lower ones."""
        return np.asarray(self.value[np.maximum(np.searchsorted(self.score, score, side="right") - 1, 0)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """How well maps fitted on earlier months foretold later ones."""

    n: int  #: rows that were foretold
    brier: float  #: mean squared error of the foretold chance of a win; NaN without any
    brier_base: float  #: the same of the past's win rate for all: a map that is no better says nothing

    @property
    def skill(self) -> float:
        """Share of the base's error that the map takes away; below 0 it makes things worse."""
        return 1 - self.brier / self.brier_base if self.brier_base > 0 else math.nan


def fit(score: FloatArray, value: FloatArray) -> Calibration:
    """Return the least-squares map that never falls, by pooling adjacent violators.

    References
    ----------
    Ayer, Brunk, Ewing, Reid and Silverman (1955), An empirical distribution function for sampling with incomplete
    information.
    """
    scores, place = np.unique(score, return_inverse=True)
    weights = np.bincount(place).astype(float)
    means = np.bincount(place, value) / weights
    blocks: list[tuple[float, float, float]] = []  # first score, mean, weight
    for first, mean, weight in zip(scores.tolist(), means.tolist(), weights.tolist(), strict=True):
        while blocks and blocks[-1][1] >= mean:
            first, before, more = blocks.pop()
            mean, weight = (mean * weight + before * more) / (weight + more), weight + more
        blocks.append((first, mean, weight))
    return Calibration(score=np.array([block[0] for block in blocks]), value=np.array([block[1] for block in blocks]))


def judge_calibration(rows: Rows, signal_timeout_s: float) -> Calibrated:
    """Return how well each month's wins are foretold by the map of the months before it, less the purge."""
    rows = rows.where(rows.has_result)
    is_win = (rows.net_r > 0).astype(float)
    foretold, base, came = [], [], []
    for fold in walk_forward(rows.decided_ms, signal_timeout_s):
        if fold.is_past.sum() < FEWEST_FITTED:
            continue
        found = fit(rows.score[fold.is_past], is_win[fold.is_past])
        foretold += found.at(rows.score[fold.is_judged]).tolist()
        base += [float(is_win[fold.is_past].mean())] * int(fold.is_judged.sum())
        came += is_win[fold.is_judged].tolist()
    errors = [np.mean((np.array(one) - np.array(came)) ** 2) if came else math.nan for one in (foretold, base)]
    return Calibrated(n=len(came), brier=float(errors[0]), brier_base=float(errors[1]))
