"""The cost of a poorer history of the same days: the same moments and alerts from full books and from bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray
from scoring.signals import Signal

HOUR_MS, NEAR_MS = 3_600_000, 60_000
ENOUGH_CORRELATION, ENOUGH_FOUND = 0.7, 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How far the poorer history agrees with the full one."""

    moments: int  #: of the same coin and hour, begun within a minute of each other
    rank_correlation: float  #: of their scores (Spearman); NaN from fewer than three
    gate_agreement: dict[str, float]  #: [0…1] by gate, of the same moments
    alerts: int  #: of the full history
    found: int  #: of these, those that the poorer one gave within a minute for the same coin

    @property
    def is_enough(self) -> bool:
        """Whether a verdict on the poorer history is one on the score."""
        share = self.found / self.alerts if self.alerts else np.nan
        return self.rank_correlation >= ENOUGH_CORRELATION and not share < ENOUGH_FOUND


def compare_histories(
    full: Sequence[Signal], poorer: Sequence[Signal], full_alerts: Sequence[Signal], poorer_alerts: Sequence[Signal]
) -> Ladder:
    """Return how far the moments and alerts of two histories of the same days agree."""
    by_hour = {(one.coin, one.decided_ms // HOUR_MS): one for one in poorer}
    pairs = [
        (one, other)
        for one in full
        if (other := by_hour.get((one.coin, one.decided_ms // HOUR_MS))) is not None
        and abs(one.decided_ms - other.decided_ms) <= NEAR_MS
    ]
    agreement: dict[str, list[bool]] = {}
    for one, other in pairs:
        passed = {verdict.name: verdict.passed for verdict in other.verdicts}
        for verdict in one.verdicts:
            agreement.setdefault(verdict.name, []).append(passed.get(verdict.name) == verdict.passed)
    found = sum(
        any(other.coin == one.coin and abs(other.decided_ms - one.decided_ms) <= NEAR_MS for other in poorer_alerts)
        for one in full_alerts
    )
    scores = np.array([(one.score, other.score) for one, other in pairs], float).reshape(-1, 2)
    return Ladder(
        moments=len(pairs),
        rank_correlation=spearman(scores[:, 0], scores[:, 1]),
        gate_agreement={name: sum(same) / len(same) for name, same in agreement.items()},
        alerts=len(full_alerts),
        found=found,
    )


def spearman(first: FloatArray, second: FloatArray) -> float:
    """Return the rank correlation, ties with their mean rank; NaN from fewer than three, or where one is constant.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things.
    """
    if len(first) < 3:
        return float("nan")
    ranks = [_ranks(values) for values in (first, second)]
    if any(one.std() == 0 for one in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((below + up_to) / 2, float)
