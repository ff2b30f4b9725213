"""Sub-scores weighed and added up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from scoring.score import add_up, clip01, or_zero
from tests.scoring.frames import NAN, UPS, column

WEIGHTS = UPS.weights


def test_clip01() -> None:
    """Values are cut to 0…1, NaN stays NaN and no zero comes out negative."""
    clipped = clip01(column([-1, -0.0, 0.25, 1, 7, NAN]))
    assert_allclose(clipped, [0, 0, 0.25, 1, 1, NAN])
    assert not np.signbit(clipped).any()


@given(arrays(np.float64, (7, 5), elements=st.floats(0, 100)))
def test_contributions_add_up_exactly(sub_scores: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> None:
    """Adding the contributions in their order gives the score to the last bit, within 0…100."""
    scores = add_up(sub_scores, WEIGHTS)
    for contributions, expected in zip(scores.contributions.T.tolist(), scores.total.tolist(), strict=True):
        total = 0.0
        for contribution in contributions:
            total += contribution
        assert total == expected
        assert 0 <= expected <= 100 + 1e-9


def test_or_zero() -> None:
    """What is unknown adds nothing."""
    assert or_zero(column([NAN, 3.0])).tolist() == [0.0, 3.0]
