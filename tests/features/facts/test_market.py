"""Records refuse what cannot be."""

import numpy as np
import pytest

from features.facts.market import read_only
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


def test_read_only_arrays_cannot_be_changed() -> None:
    """A record stays what it was."""
    with pytest.raises(ValueError, match="read-only"):
        read_only([1.0], np.float64)[0] = 2.0


def test_reasons_have_words() -> None:
    """As people read them."""
    assert Missing.WARMING_UP.text == "warming up"
