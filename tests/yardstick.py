"""How fast the machine is at this moment: shared ones lose and win back half of it from second to second."""

import time
from collections.abc import Sequence

QUIET = 1.25  #: times the fastest moment


def yardstick_ms() -> float:
    """Return how long a fixed loop of Python's takes now, the best of three [ms]."""
    took_s = []
    for _ in range(3):
        began, total = time.perf_counter(), 0
        for number in range(20_000):
            total += number
        took_s.append(time.perf_counter() - began)
    return 1000 * min(took_s)


def at_quiet_moments(values: Sequence[float], yardsticks_ms: Sequence[float]) -> list[float]:
    """Return the values measured while the yardstick, taken with each, was no longer than `QUIET` times its best."""
    longest_ms = QUIET * min(yardsticks_ms)
    return [value for value, yard_ms in zip(values, yardsticks_ms, strict=True) if yard_ms <= longest_ms]
