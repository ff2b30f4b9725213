"""Prints: a few in a second, at the quotes of their moment; recorded ones where a recording has them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray
from fetchers.simulated.noise import Keys, bell, uniform
from fetchers.simulated.recordings import Recording
from fetchers.simulated.setups import SWEEP_LEVELS

PER_SECOND = 32  #: room in the numbering for the prints of one second
MOST_PER_S = 3.0
_TYPICAL_USDT = 150.0
_DEVIATION = 0.4  # of the log size: no print is five times the median

# A sweep: a small buy so that no earlier sale belongs to its run, the sales down the ladder, a small buy to end it.
_SWEEP_OFFSET_MS = np.array([100, 300, 400, 500, 600, 700, 850])
_SWEEP_LEVEL = np.array([-1, *range(SWEEP_LEVELS), -1])
_SWEEP_MULTIPLE = 20.0  # of the average second
_SWEEP_MIN_USDT = 3_000.0
_SWEEP_BUY_USDT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
    """Prints of one row, oldest first, (k,) each; quantities in base coin."""

    number: IntArray
    time_ms: IntArray
    price_ticks: IntArray
    quantity: FloatArray
    is_sell: BoolArray

    def where(self, chosen: BoolArray | slice) -> "Prints":
        """Those prints only."""
        return Prints(**{name: getattr(self, name)[chosen] for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """Prints before they have a price: when, which side, how much, how far down the ladder."""

    number: IntArray
    elapsed_ms: IntArray
    usdt: FloatArray
    side_draw: FloatArray  #: uniform; below the chance of a sale it is one, -1 and 2 are decided
    level: IntArray

    def joined(self, other: "Tape") -> "Tape":
        """Both, in order of time."""
        both: dict[str, NDArray[Any]] = {
            name: np.concatenate((getattr(self, name), getattr(other, name))) for name in self.__slots__
        }
        order = np.argsort(both["number"], kind="stable")
        return Tape(**{name: values[order] for name, values in both.items()})


def prints_per_s(usdt_per_s: float) -> float:
    """Return the average prints per second of a row of this turnover."""
    return min(max(usdt_per_s / _TYPICAL_USDT, 0.03), MOST_PER_S)


def recorded_tape(recording: Recording, start_s: int, end_s: int, usdt_per_base: float) -> Tape:
    """Return the recorded prints with start_s <= time < end_s."""
    number, time_s, base, is_sell = recording.prints(start_s, end_s)
    return Tape(
        number=number,
        elapsed_ms=np.floor(time_s * 1000).astype(np.int64),
        usdt=base * usdt_per_base,
        side_draw=np.where(is_sell, -1.0, 2.0),
        level=np.zeros(len(number), dtype=np.int64),
    )


def ordinary_tape(key: Keys, seconds: IntArray, usdt_per_s: float) -> Tape:
    """Return the ordinary prints of these whole seconds since the start."""
    rate = prints_per_s(usdt_per_s)
    count = np.floor(rate * (0.5 + uniform(key, seconds, 1)) + uniform(key, seconds, 2)).astype(np.int64)
    second = np.repeat(seconds, count)
    rank = np.arange(len(second)) - np.repeat(np.cumsum(count) - count, count)
    # spread over the second in order: each print has its own slot of it
    slot_ms = 1000 / np.repeat(np.maximum(count, 1), count)
    offset_ms = ((rank + uniform(key, second, rank, 3)) * slot_ms).astype(np.int64)
    usdt = usdt_per_s / rate * np.exp(_DEVIATION * bell(key, second, rank, 4) - _DEVIATION**2 / 2)
    return Tape(
        number=second * PER_SECOND + rank,
        elapsed_ms=second * 1000 + offset_ms,
        usdt=usdt,
        side_draw=uniform(key, second, rank, 5),
        level=np.zeros(len(second), dtype=np.int64),
    )


def sweep_tape(seconds: IntArray, usdt_per_s: float) -> Tape:
    """Return the prints of seconds that hold a sweep each."""
    count = len(_SWEEP_LEVEL)
    second, rank = np.repeat(seconds, count), np.tile(np.arange(count), len(seconds))
    level = _SWEEP_LEVEL[rank]
    sweep_usdt = max(_SWEEP_MULTIPLE * usdt_per_s, _SWEEP_MIN_USDT)
    return Tape(
        number=second * PER_SECOND + rank,
        elapsed_ms=second * 1000 + _SWEEP_OFFSET_MS[rank],
        usdt=np.where(level < 0, _SWEEP_BUY_USDT, sweep_usdt / SWEEP_LEVELS),
        side_draw=np.where(level < 0, 2.0, -1.0),
        level=np.maximum(level, 0),
    )
