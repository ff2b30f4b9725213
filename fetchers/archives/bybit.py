"""Bybit's archives: trades of a day, and books of 200 or 500 levels every 100 ms (docs/archives.md)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import orjson

from features.facts.market import FloatArray
from fetchers.archives.prints import Prints, PrintsBuilder
from fetchers.archives.rows import ArchiveError, Defects, number, read_columns

TRADES = (
    *("timestamp", "symbol", "side", "size", "price", "tickDirection", "trdMatchID"),
    *("grossValue", "homeNotional", "foreignNotional"),
)
DAY_MS = 86_400_000
PRINT_LAG_MS = 300


class Book(NamedTuple):
    """A whole book at one time."""

    time_ms: int  #: of the matching engine
    sent_ms: int  #: when the venue sent it
    sequence: int
    bids: FloatArray  #: (2, levels) best first
    asks: FloatArray


def parse_trades(lines: Iterable[str], symbol: str, day_ms: int) -> Prints:
    """Return a day's prints by time, each match once; older files are in whole seconds, or the newest first.

    Raises
    ------
    ArchiveError
        Where the file is of another symbol.
    """
    defects: Defects = Counter()
    rows = []
    wanted = ("timestamp", "symbol", "side", "size", "price", "trdMatchID")
    matches: dict[str, int] = {}
    for time, of, side, size, price, match in read_columns(lines, wanted, TRADES, defects, name=f"{symbol} trades"):
        if of != symbol:
            raise ArchiveError(f"{symbol} trades: the file holds {of}; it lies in the wrong folder of the archive")
        try:
            time_ms = round(number(time) * 1000)
            is_sell = {"Sell": True, "Buy": False}[side]
            values = number(price), number(size)
        except (ValueError, KeyError):
            defects["unreadable row"] += 1
            continue
        if not day_ms <= time_ms < day_ms + DAY_MS:
            defects["row of another day"] += 1
            continue
        rows.append((matches.setdefault(match, len(matches)), time_ms, *values, is_sell))
    if len(rows) > 1 and rows[0][1] > rows[-1][1]:
        rows.reverse()
        defects["newest first"] += 1
    builder = PrintsBuilder(defects)
    for match_id, time_ms, price_, size_, is_sell in rows:
        builder.add(match_id, time_ms, price_, size_, is_sell=is_sell, seen_ms=time_ms + PRINT_LAG_MS)
    return builder.build(ids_continue=False)


def replay_books(lines: Iterable[str], day_ms: int, every_ms: int, defects: Defects) -> Iterator[Book]:
    """Yield the book of a day at most every `every_ms`, made of the file's snapshots and changes.

    Changes before the first snapshot, and those after a missing one until the next snapshot, give no book. The file
    ends with the first lines of the next day, which belong there.
    """
    sides: dict[str, dict[str, float]] = {"b": {}, "a": {}}
    sequence, yielded_ms = -1, 0
    for line in lines:
        try:
            message = orjson.loads(line)
            data, kind = message["data"], message["type"]
            time_ms, sent_ms, update = int(message.get("cts", message["ts"])), int(message["ts"]), int(data["u"])
            changes = {side: [(price, float(size)) for price, size in data[side]] for side in ("b", "a")}
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            defects["unreadable line"] += 1
            sequence = -1
            continue
        if sent_ms >= day_ms + DAY_MS:
            return
        if kind == "snapshot":
            sides = {"b": {}, "a": {}}
        elif sequence < 0:
            defects["change without a snapshot"] += 1
            continue
        elif update != sequence + 1:
            defects["missing change"] += 1
            sequence = -1
            continue
        sequence = update
        for side, levels in changes.items():
            _apply(sides[side], levels)
        if time_ms - yielded_ms >= every_ms and sides["b"] and sides["a"]:
            yielded_ms = time_ms
            yield Book(time_ms, sent_ms, sequence, _levels(sides["b"], -1), _levels(sides["a"], 1))


def _apply(side: dict[str, float], levels: list[tuple[str, float]]) -> None:
    for price, size in levels:
        if size > 0:
            side[price] = size
        else:
            side.pop(price, None)


def _levels(side: dict[str, float], direction: int) -> FloatArray:
    levels = np.array([[float(price) for price in side], list(side.values())])
    return np.ascontiguousarray(levels[:, np.argsort(direction * levels[0])])
