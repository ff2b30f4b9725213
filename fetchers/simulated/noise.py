"""Randomness as a pure function of a key and a place: no state, so the market at any time is the same whenever asked.

Keys are uint64 hashes of names; places are integer lattice points (a second, a level, a print). Everything broadcasts.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from features.facts.market import FloatArray, IntArray

Keys = NDArray[np.uint64]

# Octaves of the random walk [s]: an octave's amplitude grows with the root of its period, as a random walk's does.
_PERIOD_S = np.array([172800.0, 43200.0, 14400.0, 3600.0, 1200.0, 400.0, 120.0, 40.0, 12.0, 4.0])
_AMPLITUDE = np.sqrt(_PERIOD_S / 86400.0)
_OCTAVE = np.arange(len(_PERIOD_S), dtype=np.int64)


def keys_of(*names: object) -> Keys:
    """One key for these names, (1,)."""
    digest = blake2b("/".join(map(str, names)).encode(), digest_size=8).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def _hash(keys: Keys, places: tuple[IntArray | int, ...]) -> Keys:
    # splitmix64's finaliser after each place; arrays wrap silently, as wanted
    state = keys
    for place in places:
        state = state + np.asarray(place).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


def uniform(keys: Keys, *places: IntArray | int) -> FloatArray:
    """Numbers in [0, 1)."""
    return np.asarray((_hash(keys, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def bell(keys: Keys, *places: IntArray | int) -> FloatArray:
    """Numbers of mean 0 and deviation 1 that never leave (-3, 3): the sum of three uniform ones."""
    state = _hash(keys, places)
    mask = np.uint64(0x1FFFFF)
    thirds = (state & mask) + ((state >> np.uint64(21)) & mask) + ((state >> np.uint64(42)) & mask)
    return np.asarray(thirds.astype(np.float64) * 2.0**-20 - 3.0)


def drift(keys: Keys, elapsed_s: FloatArray, period_s: FloatArray | float) -> FloatArray:
    """Return a smooth curve through random points in [-1, 1), one every `period_s` seconds."""
    position = elapsed_s / period_s
    point = np.floor(position)
    part = position - point
    part = part * part * (3.0 - 2.0 * part)
    lattice = point.astype(np.int64)
    before, after = uniform(keys, lattice), uniform(keys, lattice + 1)
    return np.asarray(2.0 * (before + (after - before) * part) - 1.0)


def walk(keys: Keys, elapsed_s: FloatArray) -> FloatArray:
    """Return a bounded random walk of about unit deviation in a day, `keys` and `elapsed_s` pairwise (m,)."""
    octave_keys = _hash(keys[None, :], (_OCTAVE[:, None],))
    return np.asarray(_AMPLITUDE @ drift(octave_keys, elapsed_s[None, :], _PERIOD_S[:, None]))
