"""Numbers as bytes, to the bit: decimals, as venues send them, as whole numbers, whose differences are small.

A decimal such as 0.0123 becomes 123 and the exponent 4, from which the division 123 / 10^4 gives the same float again:
both are exact, so it is rounded once, like the text that it came from. A float that is no short decimal is kept as its
64 bits. Whole numbers are written byte by byte of their significance, so that the zeros of small ones lie together.
"""

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
        if not width:
            self._at += 1
            return np.zeros(count, np.int64)
        planes = self._next(1 + width * count)[1:].reshape(width, count)
        folded = planes[0].astype(np.uint64)
        for place in range(1, width):
            folded |= planes[place].astype(np.uint64) << np.uint64(8 * place)
        return unfold(folded)

    def put_flags(self, flags: BoolArray) -> None:
        """Put yes or no, a bit each."""
        self._parts.append(np.packbits(flags).tobytes())

    def take_flags(self, count: int) -> BoolArray:
        """Return the next `count` of them."""
        return np.unpackbits(self._next((count + 7) // 8), count=count).view(np.bool_)

    def put_changes(self, changes: IntArray) -> None:
        """Put whole numbers of which most are 0: which are not, and those."""
        is_changed = changes != 0
        self.put_flags(is_changed)
        self.put(changes[is_changed])

    def take_changes(self, count: int) -> IntArray:
        """Return the next `count` of them."""
        is_changed = self.take_flags(count)
        changes = np.zeros(count, np.int64)
        changes[is_changed] = self.take(int(np.count_nonzero(is_changed)))
        return changes

    def put_stretches(self, values: FloatArray, lengths: IntArray, *, is_rising: bool) -> None:
        """Put floats in stretches of one exponent each; of rising ones the first, and the differences."""
        start, is_first = segment_places(lengths)
        none = np.zeros(len(values), np.uint8)
        whole, exponents = to_decimals(np.ascontiguousarray(values, np.float64), at_least=none, groups=start)
        self.put(exponents[start].astype(np.int64))
        if is_rising:
            self.put(whole[is_first])
            self.put(np.diff(whole, prepend=0)[~is_first])
        else:
            self.put(whole)

    def take_stretches(self, lengths: IntArray, *, is_rising: bool) -> FloatArray:
        """Return the next stretches, of these lengths."""
        start, is_first = segment_places(lengths)
        count = int(lengths.sum())
        exponents = self.take(len(start)).astype(np.uint8)
        if is_rising:
            whole = np.zeros(count, np.int64)
            first = self.take(len(start))
            whole[~is_first] = self.take(count - len(start))
            total = np.cumsum(whole)
            whole = total + np.repeat(first - total[start], lengths[lengths > 0])
        else:
            whole = self.take(count)
        return from_grouped_decimals(whole, exponents, lengths[lengths > 0])

    def _next(self, size: int) -> NDArray[np.uint8]:
        begin, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise ValueError("fewer numbers than there should be")
        return np.frombuffer(self._data[begin : self._at], np.uint8)


def fold(values: IntArray) -> NDArray[np.uint64]:
    """Return whole numbers without their sign, small ones small: 0, -1, 1, -2 are 0, 1, 2, 3."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unfold(values: NDArray[np.uint64]) -> IntArray:
    """Return what was folded."""
    sign = (values & np.uint64(1)).view(np.int64)
    np.negative(sign, out=sign)
    sign ^= (values >> np.uint64(1)).view(np.int64)
    return sign


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


def from_grouped_decimals(whole: IntArray, exponents: Exponents, lengths: IntArray) -> FloatArray:
    """Return the floats of groups of these lengths, of one exponent each, to the bit."""
    if (exponents == BITS).any():
        return from_decimals(whole, np.repeat(exponents, lengths))
    return np.asarray(whole / np.repeat(POWERS[exponents], lengths))


def _is_exact(values: FloatArray, digits: Exponents) -> BoolArray:
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(values * POWERS[digits])
        again = whole.astype(np.int64) / POWERS[digits]
    # by their bits: -0.0 equals 0.0, and is another float
    return np.asarray((np.abs(whole) < EXACT) & (again.view(np.int64) == values.view(np.int64)))


def segment_places(lengths: IntArray) -> tuple[IntArray, BoolArray]:
    """Return where each segment that is not empty begins, and which values are the first of one."""
    filled = lengths[lengths > 0]
    start = np.cumsum(filled) - filled
    is_first = np.zeros(int(filled.sum()), bool)
    is_first[start] = True
    return start, is_first
