"""Each print once, in order, and gaps are known where the venue's numbers show them."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.facts.market import Prints
from fetchers.streams.build import WIRES
from fetchers.streams.channel import LATE_MS
from fetchers.streams.prints import PrintMerger
from fetchers.streams.wire import Heard
from tests.builders import NOW_MS

#: (symbol, id, time after NOW_MS)
Row = tuple[str, int, float]


def brought(*rows: Row) -> Heard:
    """Return what a connection said; a print's price is 1 more than its id."""
    return Heard(
        symbols=tuple(row[0] for row in rows),
        ids=np.array([row[1] for row in rows], dtype=np.int64),
        venue_ms=np.array([NOW_MS + row[2] for row in rows]),
        price=np.array([row[1] + 1.0 for row in rows]),
        quantity=np.ones(len(rows)),
        is_taker_sell=np.ones(len(rows), dtype=bool),
        heard=frozenset(row[0] for row in rows),
        sent_ms=np.array([NOW_MS + row[2] for row in rows]),
    )


def merger(venue: str, *symbols: str) -> PrintMerger:
    """Return a merger that covers these since NOW_MS."""
    one = PrintMerger(WIRES[venue])
    one.set_covered(symbols, NOW_MS)
    return one


def lists(record: Prints | None) -> dict[str, tuple[list[int], bool]]:
    """Return the ids of each symbol, and whether they continue."""
    if record is None:
        return {}
    ids = (record.block[1] - 1).astype(int).tolist()
    return {
        symbol: (ids[record.starts[i] : record.starts[i + 1]], bool(record.continues[i]))
        for i, symbol in enumerate(record.symbols)
    }


def merge(
    one: PrintMerger, at_ms: int, *rows: Row, more: Sequence[Row] = (), other: int = 2
) -> dict[str, tuple[list[int], bool]]:
    """Merge what connection 1 said, and another one."""
    return lists(one.merge([(1, brought(*rows)), (other, brought(*more))], NOW_MS + at_ms, 0.0))


def test_the_first_prints_continue_nothing() -> None:
    """The next ones do, gap or not where none can be seen."""
    for venue in WIRES:
        one = merger(venue, "A", "B")
        assert merge(one, 100, ("B", 7, 1), ("A", 5, 2), ("A", 6, 3)) == {"A": ([5, 6], False), "B": ([7], False)}
        assert merge(one, 200, ("A", 7, 101)) == {"A": ([7], True)}
        assert one.covered_from_ms("A") == NOW_MS


def test_a_gap_in_consecutive_numbers() -> None:
    """What follows it continues nothing, and is whole from then on."""
    one = merger("binance", "A")
    merge(one, 100, ("A", 5, 2))
    assert merge(one, 200, ("A", 7, 101)) == {"A": ([7], False)}
    assert (one.gaps, one.covered_from_ms("A")) == (1, NOW_MS + 200)
    assert merge(one, 300, ("A", 8, 201), ("A", 10, 202)) == {"A": ([8, 10], False)}
    assert merge(one, 400, ("A", 11, 301)) == {"A": ([11], True)}


def test_a_new_connection_without_a_gap() -> None:
    """Consecutive numbers prove that nothing was missed; ids do not."""
    for venue, continues in (("binance", True), ("bybit", False), ("mexc", False)):
        one = merger(venue, "A")
        merge(one, 100, ("A", 5, 2))
        one.set_covered((), NOW_MS + 150)
        assert one.covered_from_ms("A") is None
        assert merge(one, 160, ("A", 99, 155)) == {}
        one.set_covered(("A",), NOW_MS + 200)
        assert merge(one, 300, ("A", 6, 201)) == {"A": ([6], continues)}
        assert one.covered_from_ms("A") == (NOW_MS if continues else NOW_MS + 200)


@pytest.mark.parametrize("venue", WIRES)
def test_two_connections_bring_each_print_once(venue: str) -> None:
    """At the same reading or a later one, and the last seconds that a new one repeats."""
    one = merger(venue, "A")
    assert merge(one, 100, ("A", 5, 2), ("A", 6, 3), more=[("A", 5, 2), ("A", 6, 3)])["A"][0] == [5, 6]
    assert merge(one, 200, ("A", 7, 101), more=[("A", 6, 3)], other=3) == {"A": ([7], True)}
    assert merge(one, 300, more=[("A", 7, 101), ("A", 8, 201)]) == {"A": ([8], True)}
    assert one.repeated == 4


def test_two_prints_of_mexc_may_be_alike() -> None:
    """On one connection they are two, on two connections one."""
    one = merger("mexc", "A")
    assert merge(one, 100, ("A", 5, 2), ("A", 5, 2)) == {"A": ([5, 5], False)}
    assert merge(one, 200, more=[("A", 5, 2), ("A", 5, 2), ("A", 5, 2)]) == {"A": ([5], True)}


def test_numbers_that_begin_anew() -> None:
    """Lower ones are old, unless they are of much later."""
    one = merger("binance", "A")
    merge(one, 100, ("A", 1000, 2))
    assert merge(one, 200, ("A", 3, 101)) == {}
    assert merge(one, 10_000, ("A", 1, 9_900)) == {"A": ([1], False)}
    assert merge(one, 10_100, ("A", 2, 10_000)) == {"A": ([2], True)}


def test_what_is_too_old_or_of_the_future() -> None:
    """Is left out and counted."""
    one = merger("bybit", "A")
    assert merge(one, 100, ("A", 1, -LATE_MS), ("A", 2, 10**6), ("A", 3, 50)) == {"A": ([3], False)}
    assert one.late == 2


def test_times_are_ours() -> None:
    """By the venue's offset, never later than the reading."""
    one = merger("bybit", "A")
    record = one.merge([(1, brought(("A", 1, 30_000), ("A", 2, 30_090)))], NOW_MS + 50, 30_000.0)
    assert record is not None
    assert record.block[0].tolist() == [NOW_MS, NOW_MS + 50]
    assert record.lag_ms == pytest.approx(5)


def test_others_are_no_concern() -> None:
    """A symbol that nobody wants, or that left."""
    one = merger("bybit", "A")
    assert merge(one, 100, ("Z", 1, 50)) == {}
    one.forget(())
    assert merge(one, 200, ("A", 1, 150)) == {}


@given(st.integers(0, 2**32 - 1))
def test_any_delivery_of_consecutive_prints(seed: int) -> None:
    """Two connections with losses and repeats: what is given is ascending and single, what continues has no gap."""
    random = np.random.default_rng(seed)
    one = merger("binance", "A", "B")
    given_ids: dict[str, list[int]] = {"A": [], "B": []}
    numbers = {"A": 0, "B": 100}
    for at_ms in range(100, 1_100, 100):
        rows: list[list[Row]] = [[], []]
        for symbol in "AB":
            for _ in range(int(random.integers(4))):
                numbers[symbol] += 1
                for mine in rows:
                    mine += [(symbol, numbers[symbol], at_ms - 50)] * int(random.choice([0, 1, 1, 1, 2]))
        first, second = ([mine[i] for i in random.permutation(len(mine))] for mine in rows)
        for symbol, (ids, continues) in merge(one, at_ms, *first, more=second).items():
            if continues:
                assert [given_ids[symbol][-1], *ids] == list(range(ids[0] - 1, ids[-1] + 1))
            given_ids[symbol] += ids
    for ids in given_ids.values():
        assert ids == sorted(set(ids))
