"""Past and future apart."""

import numpy as np

from scoring.evidence.rows import DAY_MS
from scoring.evidence.walk_forward import is_open, walk_forward
from tests.scoring.evidence.planted import START_MS


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
