"""What goes into the database with arrays in it comes out to the bit."""

import numpy as np

from features.state.market_state import MarketState
from features.state.snapshot import Snapshot, take_snapshot
from storage.blobs import from_blob, to_blob
from tests.features.markets import SHORT, random_market


def snapshot() -> Snapshot:
    """Return a market with everything in it: NaN, zeros, flags, rings of both memory orders."""
    market = random_market(4, 90, 0.2)
    state = MarketState(market.instruments, SHORT)
    for tick in market.ticks:
        state.advance(tick.now_ms)
        state.append(tick.observations)
    return take_snapshot(state)


def test_round_trip() -> None:
    """Every array and every field of a record comes back equal, arrays with their shape and type."""
    taken = snapshot()
    again = from_blob(Snapshot, to_blob(taken))
    assert (again.settings, again.ticks) == (taken.settings, taken.ticks)
    assert repr(again.instruments) == repr(taken.instruments)  # NaN is not equal to itself
    for name, array in {"tick_ms": taken.tick_ms, **taken.arrays}.items():
        other = again.tick_ms if name == "tick_ms" else again.arrays[name]
        assert (other.dtype, other.shape) == (array.dtype, array.shape)
        assert np.array_equal(other, array, equal_nan=array.dtype == np.float64)


def test_room() -> None:
    """Cells that hold nothing take next to none."""
    taken = snapshot()
    whole = sum(array.nbytes for array in taken.arrays.values())
    assert len(to_blob(taken)) < whole / 2
