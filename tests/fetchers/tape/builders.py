"""Ticks as they stand on a tape, and whether records are equal to the bit."""

import dataclasses
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from features.facts.market import Observation
from fetchers.tape.files import TapeWriter, read_tape
from fetchers.tape.records import Header, Record, TapeTick
from tests.builders import NOW_MS, open_interest, order_book, quotes, trades

HEADER = Header(started_ms=NOW_MS, source="vision", missing={"order books": "the source has none"})


def tick(number: int = 0, **changed: Any) -> TapeTick:
    """Return a tick in which a reply, a book, prints and open interest arrive."""
    now_ms = NOW_MS + 5000 * number
    arrived: list[Observation] = [
        order_book(exchange_ms=now_ms),
        trades([(now_ms - 10, 100.1, 2.0, True), (now_ms - 5, 100.2, 0.1, False)], exchange_ms=now_ms),
        order_book(id="XUSDT", exchange_ms=now_ms, asks=(), sequence=77),
        open_interest(exchange_ms=now_ms),
        trades(id="XUSDT", exchange_ms=now_ms, continues=False),
    ]
    whole: dict[str, Any] = {
        "started_ms": now_ms,
        "seen_ms": now_ms + 900,
        "decided_ms": now_ms + 903,
        "ended_ms": now_ms + 930,
        "quotes": [quotes(now_ms, ids=("PEPEUSDT", "XUSDT"), funding_rate=1e-4, bid_price=99.9 + number / 10)],
        "portions": [arrived, []],
        "digest": "ab12",
    }
    return TapeTick(**(whole | changed))


def written(*records: Record) -> bytes:
    """Return a file of these records."""
    file = BytesIO()
    writer = TapeWriter(file, HEADER)
    for record in records:
        writer.write(record)
    assert writer.written == len(file.getvalue())
    return file.getvalue()


def same(one: Any, other: Any) -> bool:
    """Return whether two records are equal, floats to the bit and arrays in dtype, shape and order."""
    if isinstance(one, np.ndarray):
        is_alike = one.dtype == other.dtype and one.shape == other.shape and one.flags.c_contiguous
        return bool(is_alike and one.tobytes() == other.tobytes())
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def read(data: bytes, folder: Path) -> tuple[list[Record], list[str]]:
    """Return the records of a file, and what was said of it."""
    lines: list[str] = []
    path = folder / "a.zst"
    path.write_bytes(data)
    return list(read_tape(path, lines.append)), lines
