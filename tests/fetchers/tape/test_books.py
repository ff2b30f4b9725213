"""Books come back from what has changed since the last one, to the bit, however they change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from features.facts.market import OrderBook
from fetchers.tape.records import TapeTick, trusted
from tests.builders import NOW_MS
from tests.fetchers.tape.builders import read, same, tick, written

PRICES = some.integers(1, 60).map(lambda ticks: ticks / 100) | some.sampled_from([1e-7, 123456.789, 1e15, 1 / 3, 7e11])
QUANTITIES = some.integers(1, 5).map(float) | some.floats(1e-9, 1e12)
SIDES = some.dictionaries(PRICES, QUANTITIES, max_size=8)
BOOKS = some.tuples(some.sampled_from(["A", "B"]), SIDES, SIDES, some.none() | some.integers(0, 2**62))


def book(
    name: str, bids: dict[float, float], asks: dict[float, float], sequence: int | None, *, at_ms: int
) -> OrderBook:
    """Return a book of sorted sides, which may cross: nothing depends on that here."""
    sides = [
        np.array(sorted(side.items(), reverse=bool(is_bid))).reshape(-1, 2).T for side, is_bid in ((bids, 1), (asks, 0))
    ]
    bid, ask = (np.ascontiguousarray(side, np.float64) for side in sides)
    return trusted(
        OrderBook,
        venue="bybit",
        id=name,
        bids=bid,
        asks=ask,
        levels_asked=50,
        exchange_ms=at_ms - 3,
        received_ms=at_ms,
        sequence=sequence,
    )


@settings(max_examples=150, deadline=None)
@given(some.lists(some.lists(BOOKS, max_size=4), min_size=1, max_size=5))
def test_any_books(tmp_path_factory: pytest.TempPathFactory, ticks: list[list[Any]]) -> None:
    """Sides that come, go, move, reach far or need more digits than before; an instrument twice in a tick."""
    made = [
        tick(number, portions=[[book(*one, at_ms=NOW_MS + 5000 * number) for one in books]])
        for number, books in enumerate(ticks)
    ]
    assert same(read(written(*made), tmp_path_factory.mktemp("tape"))[0][1:], made)


def test_what_stays_takes_little(tmp_path: Path) -> None:
    """A book of which two levels in a hundred changed takes a small part of the first one."""
    random = np.random.default_rng(1)
    levels = {100 + place / 100: float(random.integers(1, 10**6)) for place in range(200)}

    def at(number: int) -> TapeTick:
        return tick(number, portions=[[book("A", {}, levels, None, at_ms=NOW_MS)]])

    sizes, ticks = [], []
    for number in range(3):
        ticks.append(at(number))
        levels = {price: quantity + (place % 50 == number) for place, (price, quantity) in enumerate(levels.items())}
        sizes.append(len(written(*ticks)))
    first, second = np.diff(sizes)
    assert second < 300
    assert sizes[0] > 3 * first
    assert same(read(written(*ticks), tmp_path)[0][1:], ticks)
