"""Bybit's files, made in their own shape."""

from collections import Counter

import orjson
import pytest

from fetchers.archives.bybit import DAY_MS, TRADES, Book, parse_trades, replay_books
from fetchers.archives.rows import ArchiveError, Defects

DAY = 1_733_011_200_000


def trade(seconds: str, match: str, side: str = "Buy", symbol: str = "XUSDT") -> str:
    """Return a row."""
    return f"{seconds},{symbol},{side},2.5,1.25,PlusTick,{match},1e8,2.5,3.125"


def test_trades() -> None:
    """Four decimals of a second, taker's side, matches once, days apart; an RPI column more does no harm."""
    rows = [
        trade("1733011200.0001", "a"),
        trade("1733011200.4929", "b", "Sell"),
        trade("1733011200.4929", "b", "Sell"),
        trade("1733097600.0", "c"),
        trade("1733011201", "d", "Bid"),
    ]
    made = parse_trades([",".join(TRADES) + ",RPI", *(f"{row},0" for row in rows)], "XUSDT", DAY)
    assert made.time_ms.tolist() == [DAY, DAY + 493]
    assert made.is_taker_sell.tolist() == [False, True]
    assert made.defects == {"double": 1, "row of another day": 1, "unreadable row": 1}


def test_trades_newest_first() -> None:
    """Whole seconds, newest first: turned round, so that the order within a second is true too."""
    made = parse_trades(
        [trade("1733011201", "c"), trade("1733011200", "b", "Sell"), trade("1733011200", "a")], "XUSDT", DAY
    )
    assert made.is_taker_sell.tolist() == [False, True, False]
    assert made.defects == {"newest first": 1}


def test_trades_of_another_symbol_and_none() -> None:
    """A file in the wrong folder is refused in one line; an empty one is counted."""
    with pytest.raises(ArchiveError, match="XUSDT trades: the file holds DOTUSD"):
        parse_trades([trade("1733011200", "a", symbol="DOTUSD")], "XUSDT", DAY)
    assert parse_trades([], "XUSDT", DAY).defects == {"empty file": 1}


def line(kind: str, update: int, at: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    """Return a line of a book's file."""
    data = {"s": "XUSDT", "b": bids, "a": asks, "u": update, "seq": 1}
    return orjson.dumps({"topic": "t", "type": kind, "ts": DAY + at, "data": data, "cts": DAY + at - 3}).decode()


SNAPSHOT = line("snapshot", 7, 100, [["1.1", "5"], ["1.0", "6"]], [["1.3", "8"], ["1.2", "7"]])


def books(*lines: str, every_ms: int = 0) -> tuple[list[Book], Defects]:
    """Replay them."""
    defects: Defects = Counter()
    return list(replay_books(lines, DAY, every_ms, defects)), defects


def test_books() -> None:
    """A snapshot and its changes; a size of 0 deletes; levels come best first."""
    made, defects = books(SNAPSHOT, line("delta", 8, 200, [["1.1", "0"], ["1.05", "2"]], [["1.2", "9"]]))
    assert [book.time_ms - DAY for book in made] == [97, 197]
    assert made[0].bids.tolist() == [[1.1, 1.0], [5.0, 6.0]]
    assert made[1].bids.tolist() == [[1.05, 1.0], [2.0, 6.0]]
    assert made[1].asks.tolist() == [[1.2, 1.3], [9.0, 8.0]]
    assert not defects


def test_books_with_a_hole() -> None:
    """Changes before the first snapshot, and after a missing or torn line until the next one, give no book."""
    made, defects = books(
        line("delta", 6, 50, [], []),
        SNAPSHOT,
        line("delta", 9, 200, [["1.1", "1"]], []),
        line("delta", 10, 300, [["1.1", "1"]], []),
        line("snapshot", 1, 400, [["1.0", "1"]], [["1.5", "1"]]),
        '{"topic": "t", "type": "del',
        line("delta", 2, 500, [], []),
    )
    assert [(book.time_ms - DAY, book.sequence) for book in made] == [(97, 7), (397, 1)]
    assert defects == {"change without a snapshot": 3, "missing change": 1, "unreadable line": 1}


def test_books_of_the_next_day_and_every_so_often() -> None:
    """What is sent after midnight belongs to the next file; `every_ms` thins without losing a change."""
    late = [line("delta", 8 + n, 200 + 100 * n, [["1.1", str(n + 1)]], []) for n in range(10)]
    made, _ = books(SNAPSHOT, *late, line("snapshot", 1, DAY_MS + 5, [["9", "1"]], [["10", "1"]]), every_ms=500)
    assert [book.time_ms - DAY for book in made] == [97, 597, 1097]
    assert made[1].bids[1, 0] == 5.0
