"""Tardis's files of the first day of a month: books, trades, tickers, each with its receipt (docs/archives.md)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.archives.bybit import Book
from fetchers.archives.prints import Prints, PrintsBuilder
from fetchers.archives.rows import Defects, number, read_columns

BOOKS = ("exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount")
TRADES = ("exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount")
TICKERS = (
    *("exchange", "symbol", "timestamp", "local_timestamp", "funding_timestamp", "funding_rate"),
    *("predicted_funding_rate", "open_interest", "last_price", "index_price", "mark_price"),
)
TICKER_FIGURES = ("funding_rate", "open_interest", "last_price", "index_price", "mark_price")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tickers:
    """The messages of a contract in the order of receipt; a blank cell keeps the value before it."""

    time_ms: IntArray  #: (n,)
    seen_ms: IntArray  #: (n,)
    figures: dict[str, FloatArray]  #: (n,) each of TICKER_FIGURES, NaN until it was first pushed
    defects: Defects = field(default_factory=Defects)


def parse_trades(lines: Iterable[str]) -> Prints:
    """Return the prints by venue time, each id once."""
    defects: Defects = Counter()
    builder = PrintsBuilder(defects)
    numbers: dict[str, int] = {}
    wanted = ("timestamp", "local_timestamp", "id", "side", "price", "amount")
    for row, (time, seen, trade_id, side, price, amount) in enumerate(
        read_columns(lines, wanted, TRADES, defects, name="trades")
    ):
        try:
            is_sell = {"sell": True, "buy": False}[side]
            number_ = numbers.setdefault(trade_id or f"row {row}", len(numbers))
            builder.add(number_, _ms(time), number(price), number(amount), is_sell=is_sell, seen_ms=_ms(seen, up=True))
        except (ValueError, KeyError):
            defects["unreadable row"] += 1
    return builder.build(ids_continue=False)


def parse_tickers(lines: Iterable[str]) -> Tickers:
    """Return every push; open interest of 0 is a missing value."""
    defects: Defects = Counter()
    times, seens, rows = [], [], []
    known = [np.nan] * len(TICKER_FIGURES)
    wanted = ("timestamp", "local_timestamp", *TICKER_FIGURES)
    for time, seen, *cells in read_columns(lines, wanted, TICKERS, defects, name="derivative_ticker"):
        try:
            figures, time_ms, seen_ms = [number(cell) for cell in cells], _ms(time), _ms(seen, up=True)
        except ValueError:
            defects["unreadable row"] += 1
            continue
        if figures[1] <= 0:
            defects["zero open interest"] += 1
            figures[1] = np.nan
        known = [before if np.isnan(now) else now for before, now in zip(known, figures, strict=True)]
        times.append(time_ms)
        seens.append(seen_ms)
        rows.append(known)
    columns = np.array(rows, float).reshape(len(rows), len(TICKER_FIGURES))
    return Tickers(
        time_ms=np.array(times, np.int64),
        seen_ms=np.array(seens, np.int64),
        figures=dict(zip(TICKER_FIGURES, columns.T, strict=True)),
        defects=+defects,
    )


def replay_books(lines: Iterable[str], every_ms: int, defects: Defects) -> Iterator[Book]:
    """Yield the book at most every `every_ms` of receipt; rows before the first snapshot are left out.

    Rows of one receipt belong together; a run of snapshot rows begins a new book; an amount of 0 deletes.
    """
    sides: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    has_book, snapshot_ms = False, -1
    waiting: tuple[int, int] | None = None
    yielded_ms = 0
    wanted = ("timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount")
    for time, seen, snapshot, side, price, amount in read_columns(lines, wanted, BOOKS, defects, name="books"):
        try:
            time_ms, seen_ms, values = _ms(time), _ms(seen, up=True), (number(price), number(amount))
            is_snapshot = {"true": True, "false": False}[snapshot]
            levels = sides[side]
        except (ValueError, KeyError):
            defects["unreadable row"] += 1
            continue
        if waiting is not None and seen_ms != waiting[1] >= yielded_ms + every_ms and all(sides.values()):
            yielded_ms = waiting[1]
            yield _book(sides, *waiting)
        if is_snapshot and snapshot_ms != seen_ms:
            sides["bid"].clear()
            sides["ask"].clear()
            has_book = True
        snapshot_ms = seen_ms if is_snapshot else -1
        if not has_book:
            defects["change without a snapshot"] += 1
            continue
        waiting = time_ms, seen_ms
        if values[1] > 0:
            levels[values[0]] = values[1]
        else:
            levels.pop(values[0], None)
    if waiting is not None and waiting[1] >= yielded_ms + every_ms and all(sides.values()):
        yield _book(sides, *waiting)


def _book(sides: dict[str, dict[float, float]], time_ms: int, seen_ms: int) -> Book:
    bids, asks = (
        np.array(sorted(levels.items(), reverse=name == "bid"), float).T.copy() for name, levels in sides.items()
    )
    return Book(time_ms, seen_ms, -1, bids, asks)


def _ms(text: str, *, up: bool = False) -> int:
    # microseconds; a receipt is rounded up, so that nothing is known before it came
    value = int(text)
    if value < 10**14:
        raise ValueError(f"{text} is no time in microseconds")
    return -(-value // 1000) if up else value // 1000
