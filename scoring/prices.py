"""Prices as whole ticks, where a float's noise cannot move them, and as the venue prints them.

Good for prices of up to 2**53 ticks, far beyond any venue's.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from features.facts.market import IntArray

#: parts of a price in which percentages are counted: 1e-7 %, so that 1.7 % is 17 million of them and no fraction
SCALE = 10**9
NOISE_TICKS = 1e-6  #: far above a float's noise, far below a tick


def price_ticks(price: ArrayLike, tick_size: ArrayLike, round_off: Callable[..., Any] = np.rint) -> IntArray:
    """Return prices [USDT per base] as whole ticks; 0 where the price is NaN.

    What is not on a tick goes to the nearest, or with np.floor or np.ceil to the one below or above.
    """
    ticks = np.asarray(price, float) / tick_size
    ticks = np.where(np.isnan(ticks), 0.0, ticks)
    nearest = np.rint(ticks)
    is_on_tick = np.abs(ticks - nearest) <= NOISE_TICKS
    return np.where(is_on_tick, nearest, round_off(ticks)).astype(np.int64)


def distance_ticks(ticks: IntArray, percent: ArrayLike) -> IntArray:
    """Return the most whole ticks within `percent` [%] of prices of `ticks` ticks; 0 where the percentage is NaN.

    Rounding a distance down moves the level toward the entry, on either side of it: a take-profit never promises more
    and a stop never risks more than was asked for. Integers throughout, split so that no product exceeds 63 bits.
    """
    parts = np.rint(np.where(np.isnan(percent), 0.0, percent) * (SCALE // 100)).astype(np.int64)
    whole, rest = np.divmod(ticks, SCALE)
    return np.asarray(whole * parts + rest * parts // SCALE)


def tick_price(ticks: int, tick_size: float) -> float:
    """Return the float nearest to `ticks` ticks [USDT per base]."""
    return float(Decimal(int(ticks)) * _decimal(tick_size))


def format_price(price: float, tick_size: float) -> str:
    """Return the price as the venue prints it: as many decimals as the tick has, never an exponent.

    Examples
    --------
    >>> format_price(1.2345e-05, 1e-09)
    '0.000012345'
    """
    decimals = max(0, -int(_decimal(tick_size).normalize().as_tuple().exponent))
    return f"{_decimal(price):.{decimals}f}"


def _decimal(value: float) -> Decimal:
    # the shortest text that gives the float back is what the venue wrote
    return Decimal(repr(float(value)))
