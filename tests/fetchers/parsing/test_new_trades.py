"""What is new among prints: no hole unsaid, no print twice, whatever order and repetition the replies come in."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fetchers.errors import BadPayload
from fetchers.parsing.build_records import Arrival
from fetchers.parsing.new_trades import REMEMBERED, NewTrades, PrintFormat, SeenPrints, find_new_trades
from tests.builders import NOW_MS

WIRE = PrintFormat(time="t", price="p", quantity="q", side="s", is_taker_sell={1: False, 2: True})
Row = dict[str, Any]


def printed(number: int, at_ms: int, **changed: Any) -> Row:
    """Return a print whose price is its number, so that a test can tell which came out."""
    return {"id": number, "t": NOW_MS + at_ms, "p": 1 + number, "q": 1.0, "s": 1, **changed}


def look(
    rows: Sequence[Row],
    before: SeenPrints | None = None,
    *,
    is_full: bool = False,
    by_id: bool = True,
    arrival: Arrival = Arrival(received_ms=NOW_MS + 10_000),  # noqa: B008 - frozen
) -> NewTrades:
    """Read one reply, by id or by what else there is."""
    return find_new_trades(
        "venue trades A",
        ("venue", "A"),
        rows,
        [row["id"] if by_id else hash((row["t"], row["p"], row["q"], row["s"])) for row in rows],
        WIRE,
        before,
        is_full=is_full,
        exchange_ms=arrival.received_ms,
        arrival=arrival,
    )


def numbers(news: NewTrades) -> list[int]:
    """Return which prints came out."""
    return [int(price) - 1 for price in news.trades.price]


def test_the_first_look_continues_nothing() -> None:
    """All prints of the first reply are new, and what was before them is not known."""
    news = look([printed(1, 0), printed(2, 5)])
    assert numbers(news) == [1, 2]
    assert not news.trades.continues


@pytest.mark.parametrize(("reply", "fresh", "continues"), [
    ([1, 2, 3], [], True),
    ([2, 3, 4, 5], [4, 5], True),
    ([3, 5, 4], [4, 5], True),
    ([4, 5, 6], [4, 5, 6], False),
    ([0, 1, 2, 3, 4], [4], True),
    ([], [], True),
    ([-3, -2], [], True),
])  # fmt: skip
def test_the_second_look(reply: list[int], fresh: list[int], continues: bool) -> None:
    """After 1, 2, 3: overlap continues, no overlap is a gap, and what is older than all that adds nothing."""
    before = look([printed(number, 10 * number) for number in (1, 2, 3)], is_full=True).seen
    news = look([printed(number, 10 * number) for number in reply], before, is_full=True)
    assert numbers(news) == fresh
    assert news.trades.continues is continues


@pytest.mark.parametrize("is_full", [False, True])
def test_after_an_empty_reply(is_full: bool) -> None:
    """Where nothing had been printed a reply that is not full is all there is."""
    news = look([printed(1, 0)], look([]).seen, is_full=is_full)
    assert numbers(news) == [1]
    assert news.trades.continues is not is_full


def test_after_a_gap_what_was_lost_does_not_come_late() -> None:
    """Prints between two replies that do not meet stay lost, even where a longer reply shows them."""
    first = look([printed(1, 10)], is_full=True)
    after_gap = look([printed(5, 50)], first.seen, is_full=True)
    assert not after_gap.trades.continues
    longer = look([printed(number, 10 * number) for number in range(1, 8)], after_gap.seen, is_full=True)
    assert numbers(longer) == [6, 7]


def test_a_print_that_arrives_late_is_still_taken() -> None:
    """An id not seen, between times that were, is new."""
    before = look([printed(1, 10), printed(3, 30)]).seen
    assert numbers(look([printed(1, 10), printed(2, 20), printed(3, 30)], before)) == [2]


def test_only_the_latest_are_remembered() -> None:
    """Memory is bounded, and what fell out of it does not come back as new."""
    before = look([printed(number, number) for number in range(500)]).seen
    assert len(before.keys) == len(before.venue_ms) == REMEMBERED
    news = look([printed(number, number) for number in range(501)], before)
    assert numbers(news) == [500]
    assert news.seen.closed_ms == NOW_MS + 500 - REMEMBERED


def test_alike_fills_are_counted() -> None:
    """Without ids two prints alike in all four are two, and a third in the next reply is one more."""
    before = look([printed(1, 0), printed(1, 0)], by_id=False).seen
    assert numbers(look([printed(1, 0)] * 3, before, by_id=False)) == [1]


@pytest.mark.parametrize("changed", [{"p": 0}, {"q": "x"}, {"t": None}, {"s": 3}, {"s": True}])
def test_only_what_is_new_has_to_be_readable(changed: Row) -> None:
    """A new row that is no print is refused; one that was read before is not read again."""
    with pytest.raises(BadPayload, match="venue trades A"):
        look([printed(1, 0, **changed)])
    before = look([printed(1, 0)]).seen
    assert numbers(look([printed(1, 0, **changed)], before)) == []


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("by_id", [True, False])
def test_neither_holes_nor_doubles(seed: int, by_id: bool) -> None:
    """Whatever was printed between looks, the pieces that continue each other are the tape, each print once."""
    random = np.random.default_rng(seed)
    at_ms = np.cumsum(random.integers(0, 4, 3000))
    tape = [printed(number if by_id else int(random.integers(3)), int(ms)) for number, ms in enumerate(at_ms)]
    seen: SeenPrints | None = None
    end = taken_to = 0
    while end < len(tape):
        limit = int(random.choice([100, 200, 1000])) if by_id else 100
        end = min(len(tape), end + int(random.integers(0, 150 if by_id else 90)))  # without ids a gap's edge is blurred
        reply = tape[max(0, end - limit) : end]
        if by_id:  # a venue with ids may mix up its rows and still be understood
            random.shuffle(reply)
        is_gap = seen is not None and end - limit >= taken_to > 0
        news = look(reply, seen, is_full=len(reply) == limit, by_id=by_id)
        start = max(taken_to, end - limit)
        expected = sorted((row["t"], row["p"]) for row in tape[start:end])
        assert sorted(zip(news.trades.time_ms.tolist(), news.trades.price.tolist(), strict=True)) == expected
        if seen is not None and taken_to > 0:
            assert news.trades.continues is not is_gap
        seen, taken_to = news.seen, end


def test_a_new_measure_of_the_clock_loses_nothing() -> None:
    """What was seen is kept by the venue's clock, so a correction of 30 s neither hides nor repeats a print."""
    before = look([printed(number, number) for number in range(300)]).seen
    corrected = Arrival(received_ms=NOW_MS + 10_000, clock_offset_ms=30_000)
    news = look([printed(number, number) for number in range(250, 310)], before, arrival=corrected)
    assert numbers(news) == list(range(300, 310))
    assert_array_equal(news.trades.time_ms, NOW_MS - 30_000 + np.arange(300, 310))


def test_a_print_of_the_future_is_refused() -> None:
    """Taken, it would make everything after it look old; its neighbours stay."""
    with pytest.raises(BadPayload, match="none of 1 new rows was a print"):
        look([printed(1, 200_000)])
    assert numbers(look([printed(1, 200_000), printed(2, 5)])) == [2]


def test_prints_leave_oldest_first() -> None:
    """Order on the wire is not trusted; equal times keep it."""
    news = look([printed(3, 5), printed(1, 1), printed(2, 5)])
    assert numbers(news) == [1, 3, 2]
    assert_array_equal(news.trades.is_taker_sell, [False] * 3)
    assert news.seen.keys == array("q", [1, 3, 2])
