"""Numbers as whole numbers and as bytes, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from fetchers.tape.columns import Bytes, fold, from_decimals, to_decimals, unfold


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


@given(
    some.lists(some.integers(-(2**63), 2**63 - 1), max_size=20),
    some.lists(some.booleans(), max_size=20),
    some.lists(some.lists(some.floats(width=64), max_size=5), max_size=6),
)
def test_what_is_put_is_taken(whole: list[int], flags: list[bool], stretches: list[list[float]]) -> None:
    """Whatever is put, in any order of kinds, comes back in that order, to the bit."""
    body = Bytes()
    numbers, lengths = np.array(whole, np.int64), np.array([len(one) for one in stretches], np.int64)
    floats = np.array([value for one in stretches for value in one], np.float64)
    body.put(numbers)
    body.put_flags(np.array(flags, bool))
    body.put_changes(numbers)
    for is_rising in (True, False):
        body.put_stretches(floats, lengths, is_rising=is_rising)
    found = Bytes(memoryview(body.joined()))
    assert found.take(len(whole)).tolist() == whole
    assert found.take_flags(len(flags)).tolist() == flags
    assert found.take_changes(len(whole)).tolist() == whole
    for is_rising in (True, False):
        assert found.take_stretches(lengths, is_rising=is_rising).tobytes() == floats.tobytes()
