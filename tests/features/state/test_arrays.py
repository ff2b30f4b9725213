"""The table of the state's arrays."""

import numpy as np
import pytest

from features.state.arrays import STATE, Axis, MarketArrays, Quantity


@pytest.fixture
def arrays() -> MarketArrays:
    """Return arrays of three instruments."""
    arrays = MarketArrays()
    arrays.allocate(3, ticks=5, seconds=7)
    return arrays


@pytest.mark.parametrize("quantity", STATE, ids=lambda quantity: quantity.name)
def test_every_array_is_as_its_row_says(arrays: MarketArrays, quantity: Quantity) -> None:
    """Type, shape and emptiness follow from the table, and each row has its meaning."""
    array = getattr(arrays, quantity.name)
    rows = {Axis.NONE: (), Axis.TICK: (5,), Axis.BOOK: (5, 4), Axis.SECOND: (7,), Axis.RUN: (16,), Axis.OPEN: (4,)}
    assert array.shape == (*rows[quantity.axis], 3)
    assert array.dtype == quantity.dtype
    assert quantity.meaning
    is_zero = quantity.dtype is not np.float64 or quantity.axis in (Axis.SECOND, Axis.RUN)
    assert (array == 0).all() if is_zero else np.isnan(array).all()


def test_times_say_so_by_their_name() -> None:
    """What counts epoch milliseconds ends with _ms."""
    assert all(quantity.name.endswith("_ms") == (quantity.unit == "epoch ms") for quantity in STATE)


def test_columns_are_copied_whole(arrays: MarketArrays) -> None:
    """Every quantity of an instrument moves together."""
    arrays.price[2], arrays.price_at[4, 2], arrays.traded_at[6, 2], arrays.open_ms[3, 2] = 1.0, 2.0, 3.0, 4
    other = MarketArrays()
    other.allocate(1, ticks=5, seconds=7)
    other.copy_columns(arrays, np.array([2]), np.array([0]))
    assert (other.price[0], other.price_at[4, 0], other.traded_at[6, 0], other.open_ms[3, 0]) == (1.0, 2.0, 3.0, 4)
    assert other.nbytes * 3 == arrays.nbytes
