"""Tardis's files, made in their own shape."""

import math
from collections import Counter

from fetchers.archives.bybit import Book
from fetchers.archives.rows import Defects
from fetchers.archives.tardis import BOOKS, TICKERS, TRADES, parse_tickers, parse_trades, replay_books

AT = 1_640_995_200_000_000


def test_trades() -> None:
    """Microseconds; a receipt is rounded up; the taker's side; ids once."""
    rows = [
        f"binance-futures,XUSDT,{AT + 1500},{AT + 2001},1,sell,1.5,2",
        f"binance-futures,XUSDT,{AT + 1500},{AT + 2001},1,sell,1.5,2",
        f"binance-futures,XUSDT,{AT // 1000},{AT + 2001},2,buy,1.5,2",
        f"binance-futures,XUSDT,{AT},{AT},3,unknown,1.5,2",
    ]
    made = parse_trades([",".join(TRADES), *rows])
    assert (made.time_ms.tolist(), made.seen_ms.tolist()) == ([AT // 1000 + 1], [AT // 1000 + 3])
    assert made.is_taker_sell.tolist() == [True]
    assert made.defects == {"double": 1, "unreadable row": 2}


def test_tickers() -> None:
    """A blank cell keeps what was known; zero open interest is none."""
    rows = [
        f"b,X,{AT},{AT + 1},,,,,9364.51,,",
        f"b,X,{AT + 1000},{AT + 1000},,-1E-4,,760.6,,,8.5",
        f"b,X,{AT},{AT},,,,0,,,",
    ]
    made = parse_tickers([",".join(TICKERS), *rows])
    assert made.figures["last_price"].tolist() == [9364.51] * 3
    assert math.isnan(made.figures["open_interest"][0])
    assert made.figures["open_interest"][1:].tolist() == [760.6, 760.6]
    assert made.figures["funding_rate"][1:].tolist() == [-1e-4, -1e-4]
    assert made.seen_ms[0] == AT // 1000 + 1
    assert made.defects == {"zero open interest": 1}


def books(*rows: tuple[int, bool, str, float, float], every_ms: int = 0) -> tuple[list[Book], Defects]:
    """Replay rows of (milliseconds, is_snapshot, side, price, amount)."""
    defects: Defects = Counter()
    lines = [
        f"b,X,{AT + 1000 * ms},{AT + 1000 * ms},{str(snapshot).lower()},{side},{price},{amount}"
        for ms, snapshot, side, price, amount in rows
    ]
    return list(replay_books([",".join(BOOKS), *lines], every_ms, defects)), defects


def test_books() -> None:
    """Rows before a snapshot are left out, a second snapshot begins anew, an amount of 0 deletes."""
    made, defects = books(
        (0, False, "bid", 9.0, 1.0),
        (1, True, "bid", 10.0, 1.0),
        (1, True, "bid", 9.5, 2.0),
        (1, True, "ask", 11.0, 3.0),
        (2, False, "bid", 10.0, 0.0),
        (3, True, "bid", 8.0, 1.0),
        (3, True, "ask", 9.0, 1.0),
        (4, True, "bid", 7.0, 1.0),
        (4, True, "ask", 7.5, 1.0),
    )
    assert [book.bids.tolist() for book in made] == [
        [[10.0, 9.5], [1.0, 2.0]],
        [[9.5], [2.0]],
        [[8.0], [1.0]],
        [[7.0], [1.0]],
    ]
    assert defects == {"change without a snapshot": 1}


def test_books_every_so_often() -> None:
    """Thinned by receipt; one side alone is no book."""
    made, _ = books((0, True, "bid", 1.0, 1.0), *((ms, False, "ask", 2.0, ms) for ms in range(1, 20, 2)), every_ms=10)
    assert [book.time_ms - AT // 1000 for book in made] == [1, 11]
