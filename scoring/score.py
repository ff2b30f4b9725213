"""The form that all scores share: a weighted sum of sub-scores of 0 to 100, to which missing data adds nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.facts.market import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFrame:
    """The scores of n instruments by one strategy; rows of the first two in the order of its weights."""

    sub_scores: FloatArray  #: (k, n) 0…100
    contributions: FloatArray  #: (k, n) points
    total: FloatArray  #: (n,) 0…100, the contributions added in order: exactly their sum


def add_up(sub_scores: FloatArray, weights: Mapping[str, float]) -> ScoreFrame:
    """Weigh (k, n) sub-scores by their points of the hundred and add them up in that order."""
    contributions = sub_scores * np.array(list(weights.values()))[:, np.newaxis] / 100
    # one after the other: numpy's own sum may pair them up, and then the stored contributions would not give the score
    total = np.zeros(sub_scores.shape[1])
    for contribution in contributions:
        total += contribution
    return ScoreFrame(sub_scores=sub_scores, contributions=contributions, total=total)


def clip01(values: ArrayLike) -> FloatArray:
    """Return min(max(x, 0), 1); NaN stays NaN, and no zero is negative."""
    return np.asarray(np.minimum(np.maximum(values, 0.0), 1.0) + 0.0)


def or_zero(values: FloatArray) -> FloatArray:
    """Return the values with 0 in place of NaN."""
    return np.where(np.isnan(values), 0.0, values)
