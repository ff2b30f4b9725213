"""The table itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.rows import Rows, codes

SOME = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=25)


@given(SOME)
def test_codes_number_combinations(some: list[tuple[int, int, int]]) -> None:
    """Rows have the same number exactly where all keys are the same."""
    first, second, third = map(np.array, zip(*some, strict=True))
    code = codes(first, second, third)
    for one, two in itertools.combinations(range(len(some)), 2):
        assert (code[one] == code[two]) == (some[one] == some[two])


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
