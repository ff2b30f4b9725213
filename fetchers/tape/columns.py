"""Numbers as bytes, to the bit: decimals, as venues send them, as whole numbers, whose differences are small.

A decimal such as 0.0123 becomes 123 and the exponent 4, from which the division 123 / 10^4 gives the same float again:
both are exact, so it is rounded once, like the text that it came from. A float that is no short decimal is kept as its
64 bits. Whole numbers are written byte by byte of their significance, so that the zeros of small ones lie together.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray

MOST_DIGITS = 16  #: after the point; what needs more is kept as bits
BITS = 255  #: the exponent of floats that are kept as bits
EXACT = 2.0**53  #: whole numbers below it are floats
POWERS: FloatArray = np.array([float(f"1e{digits}") for digits in range(MOST_DIGITS + 1)])

Exponents = NDArray[np.uint8]


class Decimals(NamedTuple):
    """Floats as whole numbers; `exponents` is one a float."""

    whole: IntArray
    exponents: Exponents


class Bytes:
    """Takes arrays, and gives them back in the same order."""

    def __init__(self, data: memoryview | None = None) -> None:
        self._parts: list[bytes] = []
        self._data = data if data is not None else memoryview(b"")
        self._at = 0

    def joined(self) -> bytes:
        """Return all that was put."""
        return b"".join(self._parts)

    def put(self, values: NDArray[Any]) -> None:
        """Put whole numbers, of either sign: one byte for the width, then byte by byte of their significance."""
        folded = fold(np.ascontiguousarray(values, dtype=np.int64))
        width = (int(folded.max(initial=0)).bit_length() + 7) // 8
        planes = folded.view(np.uint8).reshape(-1, 8)[:, :width]  # the lowest byte first, as on all machines we know
        self._parts += [bytes((width,)), np.ascontiguousarray(planes.T).tobytes()]

    def take(self, count: int) -> IntArray:
        """Return the next `count` whole numbers."""
        width = self._data[self._at]
        begin, self._at = self._at + 1, self._at + 1 + width * count
        planes = np.frombuffer(self._data[begin : self._at], np.uint8).reshape(width, count)
        folded = np.zeros((count, 8), np.uint8)
        folded[:, :width] = planes.T
        return unfold(folded.view(np.uint64)[:, 0])


def fold(values: IntArray) -> NDArray[np.uint64]:
    """Return whole numbers without their sign, small ones small: 0, -1, 1, -2 are 0, 1, 2, 3."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unfold(values: NDArray[np.uint64]) -> IntArray:
    """Return what was folded."""
    return (values >> np.uint64(1)).view(np.int64) ^ -(values & np.uint64(1)).view(np.int64)


def to_decimals(values: FloatArray, at_least: Exponents, groups: IntArray | None = None) -> Decimals:
    """Return floats as whole numbers with as few digits after the point as each needs, but `at_least` so many.

    Of `groups`, where each begins, all floats have the same exponent.
    """
    digits = np.where(at_least == BITS, 0, at_least)
    waiting = np.arange(len(values))
    while len(waiting):
        is_exact = _is_exact(values[waiting], digits[waiting])
        waiting = waiting[~is_exact]
        digits[waiting] += 1
        is_hopeless = digits[waiting] > MOST_DIGITS
        digits[waiting[is_hopeless]] = BITS
        waiting = waiting[~is_hopeless]
    if groups is not None and len(groups):
        most = np.maximum.reduceat(digits, groups)
        digits = np.repeat(most, np.diff(groups, append=len(values)))
        is_bad = (digits != BITS) & ~_is_exact(values, np.where(digits == BITS, 0, digits))
        if is_bad.any():
            most = np.where(np.logical_or.reduceat(is_bad, groups), BITS, most)
            digits = np.repeat(most, np.diff(groups, append=len(values)))
    is_bits = digits == BITS
    power = POWERS[np.where(is_bits, 0, digits)]
    with np.errstate(invalid="ignore"):
        whole = np.rint(np.where(is_bits, 0.0, values * power)).astype(np.int64)
    return Decimals(np.where(is_bits, values.view(np.int64), whole), digits.astype(np.uint8))


def from_decimals(whole: IntArray, exponents: Exponents) -> FloatArray:
    """Return the floats, to the bit."""
    is_bits = exponents == BITS
    if not is_bits.any():
        return np.asarray(whole / POWERS[exponents])
    values = whole / POWERS[np.where(is_bits, 0, exponents)]
    return np.where(is_bits, np.ascontiguousarray(whole).view(np.float64), values)


def _is_exact(values: FloatArray, digits: Exponents) -> BoolArray:
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(values * POWERS[digits])
        again = whole.astype(np.int64) / POWERS[digits]
    # by their bits: -0.0 equals 0.0, and is another float
    return np.asarray((np.abs(whole) < EXACT) & (again.view(np.int64) == values.view(np.int64)))


def segment_differences(values: IntArray, starts: Sequence[int] | IntArray) -> IntArray:
    """Return each value less the one before it; the first of each segment stays."""
    differences = np.diff(values, prepend=0)
    differences[starts] = values[starts]
    return differences


def segment_sums(differences: IntArray, starts: IntArray) -> IntArray:
    """Return the values that `segment_differences` was given; no segment may be empty."""
    sums = np.cumsum(differences)
    if not len(starts):
        return sums
    before = np.where(starts > 0, sums[starts - 1], 0)
    return np.asarray(sums - np.repeat(before, np.diff(starts, append=len(differences))))
