"""Ticks and printed prices, exact for every price a venue may have."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.prices import distance_ticks, format_price, price_ticks, tick_price

#: ticks as venues have them: 1, 2, 2.5 or 5 times a power of ten
TICKS = st.builds(
    lambda digit, power: float(f"{digit}e{power}"), st.sampled_from(["1", "2", "2.5", "5"]), st.integers(-13, 0)
)


@pytest.mark.parametrize(
    ("price", "tick_size", "text"),
    [
        (1.2345e-05, 1e-09, "0.000012345"),
        (1.2e-09, 1e-10, "0.0000000012"),
        (65000.1, 0.1, "65000.1"),
        (65000.0, 0.1, "65000.0"),
        (12.5, 0.5, "12.5"),
        (1234.0, 1.0, "1234"),
        (1230.0, 10.0, "1230"),
        (0.3, 0.1, "0.3"),
        (0.1 + 0.2, 0.01, "0.30"),
        (1e6, 1.0, "1000000"),
    ],
)
def test_format_price(price: float, tick_size: float, text: str) -> None:
    """A price has as many decimals as its tick and never an exponent."""
    assert format_price(price, tick_size) == text


@given(TICKS, st.integers(1, 10**9))
def test_ticks_round_trip(tick_size: float, ticks: int) -> None:
    """A price of so many ticks is as many ticks again, and reads as the venue would print it."""
    price = tick_price(ticks, tick_size)
    assert price_ticks(price, tick_size) == ticks
    exact = ticks * Decimal(repr(tick_size))
    assert price == float(exact)
    assert Decimal(format_price(price, tick_size)) == exact


@given(st.integers(0, 2**53), st.integers(0, 10**9))
def test_distance_is_exact(ticks: int, parts: int) -> None:
    """The distance is the most whole ticks inside the percentage, to the last tick of the largest price."""
    percent = float(Fraction(parts, 10**7))
    assert distance_ticks(np.array([ticks]), percent)[0] == ticks * parts // 10**9


def test_distance_of_round_percentages() -> None:
    """1.7 % of a thousand ticks is seventeen, though 1000 * (1 - 0.017) is not always 983 in floats."""
    assert distance_ticks(np.array([1000, 10_000, 999]), 1.7).tolist() == [17, 170, 16]


def test_missing_price() -> None:
    """NaN is no ticks at all."""
    assert price_ticks(np.array([np.nan, 1.0]), 0.5).tolist() == [0, 2]
    assert distance_ticks(np.array([100]), np.nan).tolist() == [0]
