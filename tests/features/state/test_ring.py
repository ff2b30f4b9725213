"""Rows that are used again and again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.state.ring import (
    CLEARED_S,
    LEAD_S,
    TickRing,
    last_second,
    opened_seconds,
    read_rings,
    second_rows,
    stretches,
)

STEPS = st.lists(st.integers(1, 400), min_size=1, max_size=60)


@given(st.integers(1, 9), STEPS, st.integers(-50, 5000), st.integers(0, 3000), st.integers(0, 500))
def test_ticks_are_found_as_in_a_list(size: int, steps: list[int], from_ms: int, length: int, tolerance: int) -> None:
    """Whatever the number of rounds: those of a window in their order, and the newest at or before a time."""
    ring, times = TickRing(size), [1000 + sum(steps[: place + 1]) for place in range(len(steps))]
    for at_ms in times:
        ring.open(at_ms)
    kept = times[-size:]
    inside = [at_ms for at_ms in kept if from_ms <= at_ms <= from_ms + length]
    assert ring.tick_ms[ring.rows(from_ms, from_ms + length)].tolist() == inside
    (row,) = ring.rows_as_of(np.array([from_ms]), tolerance)
    near = [at_ms for at_ms in kept if from_ms - tolerance <= at_ms <= from_ms]
    assert row == (-1 if not near else ring.tick_ms.tolist().index(near[-1]))
    assert (ring.open_ms, ring.tick_ms[ring.row], ring.count) == (times[-1], times[-1], len(times))


@given(st.integers(1, 9), STEPS)
def test_a_restored_ring_continues(size: int, steps: list[int]) -> None:
    """A copy of the times and the count are all there is to know."""
    ring, again = TickRing(size), TickRing(size)
    for step in steps:
        ring.open(ring.open_ms + step)
    again.restore(ring.tick_ms.copy(), ring.count)
    for one in (ring, again):
        one.open(100_000)
    assert again.rows(0, 1e9).tolist() == ring.rows(0, 1e9).tolist()
    again.clear()
    assert (again.open_ms, again.rows(0, 1e9).tolist()) == (0, [])


@given(st.integers(1, 9), st.integers(0, 50), st.integers(0, 9))
def test_stretches_are_the_rows(size: int, last_s: int, count: int) -> None:
    """In the same order, as slices."""
    rows = second_rows(size, last_s, min(count, size))
    assert [row for part in stretches(rows) for row in range(part.start or 0, part.stop)] == rows.tolist()


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_every_second_is_zeroed_before_a_print_can_come(before_ms: int, passed_ms: int) -> None:
    """Between two ticks the rows of exactly the new seconds are zeroed, the lead included, each once."""
    now_ms, size = before_ms + passed_ms, 10**5
    rows = [row for part in opened_seconds(size, before_ms, now_ms) for row in range(part.start or 0, part.stop)]
    assert rows == [second % size for second in range(last_second(before_ms) + 1, last_second(now_ms) + 1)]
    assert now_ms // 1000 + LEAD_S < last_second(now_ms) <= now_ms // 1000 + LEAD_S + CLEARED_S


def test_what_is_outside_the_window_reads_as_empty() -> None:
    """The array itself stays as it is."""
    array = np.arange(12.0).reshape(4, 3)
    assert read_rings(array, np.array([2, 0]), np.array([3, 1]), -1.0).tolist() == [[-1, 5, -1, 11], [-1, 3, -1, 9]]
    assert array[0, 0] == 0.0
