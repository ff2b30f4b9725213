"""Prints by time, each once."""

from collections import Counter

from fetchers.archives.prints import Prints, PrintsBuilder
from fetchers.archives.rows import Defects


def build(*rows: tuple[int, int], ids_continue: bool) -> Prints:
    """Return prints of (id, time); the price is the id."""
    defects: Defects = Counter()
    builder = PrintsBuilder(defects)
    for trade_id, time_ms in rows:
        builder.add(trade_id, time_ms, trade_id or 0.5, 1.0, is_sell=trade_id % 2 == 0, seen_ms=time_ms + 300)
    return builder.build(ids_continue=ids_continue)


def test_by_id_with_holes() -> None:
    """Sorted by id, doubles dropped, and a step between ids is a hole between two times."""
    made = build((7, 70), (5, 50), (6, 60), (5, 50), (10, 100), ids_continue=True)
    assert made.time_ms.tolist() == [50, 60, 70, 100]
    assert made.is_taker_sell.tolist() == [False, True, False, True]
    assert made.seen_ms.tolist() == [350, 360, 370, 400]
    assert made.holes == ((70, 100),)
    assert made.defects == {"unsorted": 1, "double": 1, "missing ids": 2}


def test_by_time_where_ids_are_names() -> None:
    """The order within a millisecond stays, the first of doubles counts, and there are no holes."""
    made = build((0, 50), (2, 60), (1, 60), (2, 60), (9, 55), ids_continue=False)
    assert made.price.tolist() == [0.5, 9.0, 2.0, 1.0]
    assert made.holes == ()
    assert made.defects == {"unsorted": 1, "double": 1}


def test_impossible_rows_and_none() -> None:
    """A price of zero is left out and counted; no rows are no error."""
    defects: Defects = Counter()
    builder = PrintsBuilder(defects)
    builder.add(1, 1, 0.0, 1.0, is_sell=True, seen_ms=1)
    assert len(builder.build(ids_continue=True)) == 0
    assert defects["impossible row"] == 1
    assert len(build(ids_continue=False)) == 0
