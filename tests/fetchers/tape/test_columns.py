"""Numbers as whole numbers and as bytes, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from fetchers.tape.columns import fold, from_decimals, to_decimals, unfold


@given(some.lists(some.integers(-(2**63), 2**63 - 1)))
def test_fold(values: list[int]) -> None:
    """Folding loses nothing, and keeps small numbers small."""
    array = np.array(values, np.int64)
    assert unfold(fold(array)).tolist() == values
    assert all(int(folded) < 2 * abs(value) + 2 for folded, value in zip(fold(array).tolist(), values, strict=True))


def test_short_decimals_are_small() -> None:
    """A price as venues send it becomes the whole number that it is in its last digit."""
    none = np.zeros(3, np.uint8)
    found = to_decimals(np.array([0.0000123, 64000.5, 7.0]), none)
    assert found.whole.tolist() == [123, 640005, 7]
    assert found.exponents.tolist() == [7, 1, 0]
    grouped = to_decimals(np.array([1.5, 2.25, 3.0]), none, groups=np.array([0, 2]))
    assert grouped.whole.tolist() == [150, 225, 3]
    assert from_decimals(*grouped).tolist() == [1.5, 2.25, 3.0]
