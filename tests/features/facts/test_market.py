"""Records refuse what cannot be."""

from typing import Any

import numpy as np
import pytest

from features.facts.market import Prints, read_only
from features.missing import Missing
from tests.builders import instrument, order_book, trades


def test_an_instrument_is_known_by_venue_and_id() -> None:
    """And people write its pair."""
    one = instrument(venue="mexc", id="PEPE_USDT")
    assert one.key == ("mexc", "PEPE_USDT")
    assert one.pair == "PEPE/USDT"


@pytest.mark.parametrize(
    "sides",
    [
        {"bids": ((99.0, 1.0), (99.5, 1.0))},
        {"asks": ((101.0, 1.0), (100.5, 1.0))},
        {"bids": ((99.0, 1.0), (99.0, 1.0))},
    ],
)
def test_a_book_is_sorted_best_first(sides: dict[str, tuple[tuple[float, float], ...]]) -> None:
    """A level out of order or twice is refused."""
    with pytest.raises(ValueError, match="best first"):
        order_book(**sides)


@pytest.mark.parametrize("level", [(99.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0), (99.0, float("inf"))])
def test_a_book_holds_positive_numbers(level: tuple[float, float]) -> None:
    """Nothing else is a price or a quantity."""
    with pytest.raises(ValueError, match="finite and positive"):
        order_book(bids=(level,))


def test_a_book_may_be_empty_or_crossed() -> None:
    """That is for the state to say."""
    assert len(order_book(bids=(), asks=()).bid_price) == 0
    order_book(bids=((101.0, 1.0),), asks=((100.0, 1.0),))


def test_prints_come_oldest_first_and_positive() -> None:
    """A parser that gets it wrong hears of it."""
    with pytest.raises(ValueError, match="oldest first"):
        trades([(2, 1.0, 1.0, True), (1, 1.0, 1.0, True)])
    with pytest.raises(ValueError, match="positive"):
        trades([(1, 0.0, 1.0, True)])


def _prints(*times_ms: float, starts: tuple[int, ...], price: float = 1.0, **changed: Any) -> Prints:
    record: dict[str, Any] = {
        "venue": "bybit",
        "symbols": tuple("ABC"[: len(starts) - 1]),
        "starts": read_only(starts, np.int64),
        "block": read_only(
            [times_ms, [price] * len(times_ms), [1.0] * len(times_ms), [1.0] * len(times_ms)], np.float64
        ),
        "continues": read_only([True] * (len(starts) - 1), bool),
        "read_ms": 9,
        "lag_ms": 1.0,
    }
    return Prints(**(record | changed))


def test_prints_of_many_instruments() -> None:
    """Each instrument's come oldest first; a list that is empty, at either end or between, is none the less a list."""
    starts: tuple[int, ...]
    for starts in ((0, 2, 3), (0, 0, 3), (0, 3, 3), (0, 2, 2, 3)):
        times_ms = (1.0, 2.0, 1.0) if 2 in starts else (1.0, 1.0, 2.0)
        assert len(_prints(*times_ms, starts=starts).symbols) == len(starts) - 1
    assert _prints(starts=(0,)).block.shape == (4, 0)
    with pytest.raises(ValueError, match="oldest first"):
        _prints(2.0, 1.0, starts=(0, 2))
    with pytest.raises(ValueError, match="oldest first"):
        _prints(1.0, 3.0, 2.0, starts=(0, 1, 3))
    with pytest.raises(ValueError, match="positive"):
        _prints(1.0, starts=(0, 1), price=0.0)
    for wrong in ((0, 2), (1, 1), (0, 2, 1)):
        with pytest.raises(ValueError, match="did not cut"):
            _prints(1.0, starts=wrong)
    with pytest.raises(ValueError, match="did not cut"):
        _prints(1.0, starts=(0, 1), symbols=("A", "B"))


def test_read_only_arrays_cannot_be_changed() -> None:
    """A record stays what it was."""
    with pytest.raises(ValueError, match="read-only"):
        read_only([1.0], np.float64)[0] = 2.0


def test_reasons_have_words() -> None:
    """As people read them."""
    assert Missing.WARMING_UP.text == "warming up"
