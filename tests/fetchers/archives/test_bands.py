"""Bands as a book: its weighted depth is the trapezoid over the bands, and it shows no wall."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.phenomena.order_book import BANDS as MEASURED
from features.phenomena.order_book import measure_books
from fetchers.archives.bands import bands_of_book, book_of_bands
from fetchers.archives.vision import BANDS

AMOUNT = st.floats(1e3, 1e8)


def bands(bid: tuple[float, float], ask: tuple[float, float]) -> np.ndarray:
    """Return the notional of 0.2 and 1 % of both sides, and twice that further out."""
    by_band = {-0.2: bid[0], -1.0: bid[1], 0.2: ask[0], 1.0: ask[1]}
    return np.array([by_band.get(band, 2 * (bid if band < 0 else ask)[1]) for band in BANDS])


@given(st.tuples(AMOUNT, AMOUNT), st.tuples(AMOUNT, AMOUNT), st.floats(1e-6, 1e5))
def test_depth_is_the_trapezoid(bid: tuple[float, float], ask: tuple[float, float], price: float) -> None:
    """Half of what lies within 0.2 % and 0.4 of what lies within 1 %, as the best prices' middle has it."""
    bid, ask = (bid[0], bid[0] + bid[1]), (ask[0], ask[0] + ask[1])
    book = book_of_bands(
        "binance", "XUSDT", bands(bid, ask), (price * 0.9999, price * 1.0001), exchange_ms=1, seen_ms=2
    )
    assert book is not None
    made = measure_books([book], 1.0)
    row = MEASURED.index(0.01)
    assert made.bid_depth[row, 0] == pytest.approx(0.5 * bid[0] + 0.4 * bid[1], rel=1e-6)
    assert made.ask_depth[row, 0] == pytest.approx(0.5 * ask[0] + 0.4 * ask[1], rel=1e-6)
    assert (made.best_bid[0], made.best_ask[0]) == (price * 0.9999, price * 1.0001)
    assert math.isnan(made.wall_ratio[0])


def test_before_the_inner_band() -> None:
    """Half of what lies within 1 %."""
    notional = bands((math.nan, 1000.0), (math.nan, 3000.0))
    book = book_of_bands("binance", "XUSDT", notional, (0.999, 1.001), exchange_ms=1, seen_ms=2)
    assert book is not None
    made = measure_books([book], 1.0)
    assert (made.bid_depth[-1, 0], made.ask_depth[-1, 0]) == pytest.approx((500.0, 1500.0), rel=1e-6)


@pytest.mark.parametrize(
    ("side", "best"),
    [((math.nan, math.nan), (0.999, 1.001)), ((1.0, 0.0), (0.999, 1.001)), ((1.0, 2.0), (1.0, math.nan)),
     ((1.0, 2.0), (1.001, 1.0))],
)  # fmt: skip
def test_no_book(side: tuple[float, float], best: tuple[float, float]) -> None:
    """A missing side, or best prices that are missing or crossed, make none."""
    notional = bands((1.0, 2.0), side)
    assert book_of_bands("binance", "XUSDT", notional, best, exchange_ms=1, seen_ms=2) is None


def test_bands_of_a_book() -> None:
    """Cumulative by side from the mid, beside a loop; NaN beyond the book's end."""
    steps = np.arange(1, 41)
    bids, asks = (np.array([1.0 + sign * 0.0005 * steps, 10.0 * steps]) for sign in (-1, 1))
    made = bands_of_book(bids, asks)
    for band, notional in zip(BANDS, made, strict=True):
        side = bids if band < 0 else asks
        wanted = sum(p * q for p, q in side.T.tolist() if abs(p - 1.0) <= abs(band) / 100)
        assert math.isnan(notional) if abs(band) > 2 else notional == pytest.approx(wanted)
