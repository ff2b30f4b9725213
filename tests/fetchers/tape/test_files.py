"""What is written on a tape is read again to the bit, whatever it is; what is torn is left out with a line."""

import dataclasses
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from features.facts.market import Candles, Observation, Quotes, Trades, read_only
from fetchers.tape.columns import fold, from_decimals, to_decimals, unfold
from fetchers.tape.files import TapeWriter, read_tape
from fetchers.tape.records import (
    CandleReply,
    Checkpoint,
    Gap,
    Header,
    Record,
    TapeError,
    TapeTick,
    Watched,
)
from tests.builders import NOW_MS, instrument, open_interest, order_book, quotes, trades

HEADER = Header(started_ms=NOW_MS, source="vision", missing={"order books": "the source has none"})
FLOATS = some.floats(width=64) | some.decimals(-1000, 1000, places=8).map(float) | some.sampled_from([0.0, -0.0])


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


def test_every_kind_of_record(tmp_path: Path) -> None:
    """What was written comes back, in its order and to the bit."""
    watched = Watched(
        instruments=(instrument(other_names=("PEPE2",)), instrument(id="XUSDT", volume_usdt_24h=1.5)),
        delisted=frozenset({("bybit", "GONEUSDT")}),
    )
    open_ms = read_only([NOW_MS, NOW_MS + 60_000], np.int64)
    prices = {name: read_only([1.5, float("nan")], np.float64) for name in ("open", "high", "low", "close")}
    candles = Candles(venue="bybit", id="PEPEUSDT", open_ms=open_ms, received_ms=NOW_MS, **prices)
    replies = [
        CandleReply(key=("bybit", "PEPEUSDT"), since_ms=NOW_MS, candles=candles),
        CandleReply(key=("mexc", "X_USDT"), since_ms=NOW_MS, candles=None),
    ]
    records: list[Record] = [
        Checkpoint(at_ms=NOW_MS, state=b"\x00whatever\xff"),
        tick(0, watched=watched, conditions={"bybit": "ok"}, clock_step_ms=-3_600_000),
        tick(1, candles=replies, limits=[{"paused_until_ms": NOW_MS}, {"muted_coins": {"PEPE": NOW_MS}}]),
        Gap(ticks=3, reason="the disk is full"),
        tick(2, quotes=[quotes(NOW_MS, ids=("XUSDT",)), candles], portions=(), is_whole=False, digest=""),
    ]
    found, lines = read(written(*records), tmp_path)
    assert same(found, [HEADER, *records])
    assert not lines


@settings(max_examples=200, deadline=None)
@given(some.lists(some.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_any_float_of_a_reply(tmp_path_factory: pytest.TempPathFactory, replies: list[list[float]]) -> None:
    """NaN, infinities, -0.0 and what is no short decimal come back as they were, reply after reply."""
    folder = tmp_path_factory.mktemp("tape")
    ids = ("A", "B", "C")
    ticks = [
        tick(
            number, quotes=[Quotes(venue="lbank", ids=ids, exchange_ms=times(number), received_ms=7, mark_price=values)]
        )
        for number, values in enumerate(np.array(replies))
    ]
    assert same(read(written(*ticks), folder)[0][1:], ticks)


def times(number: int) -> Any:
    """Return times of three rows: one moves, one stays, one is never."""
    return read_only([NOW_MS + 5000 * number, NOW_MS, 0], np.int64)


@settings(max_examples=200, deadline=None)
@given(some.lists(some.lists(FLOATS.filter(lambda value: value == value), max_size=6), min_size=1, max_size=5))
def test_any_float_of_a_book(tmp_path_factory: pytest.TempPathFactory, sides: list[list[float]]) -> None:
    """The same for books of any length, of which the state looks at most closely."""
    folder = tmp_path_factory.mktemp("tape")
    made = [_unchecked(side) for side in sides]
    assert same(read(written(tick(portions=[made])), folder)[0][1], tick(portions=[made]))


def _unchecked(values: list[float]) -> Trades:
    found = trades()
    object.__setattr__(found, "prints", np.array([values, values[::-1], values, [1.0] * len(values)], np.float64))
    return found


@given(some.lists(some.integers(-(2**63), 2**63 - 1)))
def test_fold(values: list[int]) -> None:
    """Folding loses nothing, and keeps small numbers small."""
    array = np.array(values, np.int64)
    assert unfold(fold(array)).tolist() == values
    assert all(int(folded) < 2 * abs(value) + 2 for folded, value in zip(fold(array).tolist(), values, strict=True))


def test_short_decimals_are_small() -> None:
    """A price as venues send it becomes the whole number that it is in its last digit."""
    none = np.zeros(3, np.uint8)
    found = to_decimals(np.array([0.0000123, 64000.5, 7.0]), none)
    assert found.whole.tolist() == [123, 640005, 7]
    assert found.exponents.tolist() == [7, 1, 0]
    grouped = to_decimals(np.array([1.5, 2.25, 3.0]), none, groups=np.array([0, 2]))
    assert grouped.whole.tolist() == [150, 225, 3]
    assert from_decimals(*grouped).tolist() == [1.5, 2.25, 3.0]


def test_torn_anywhere(tmp_path: Path) -> None:
    """Cut at any byte, a file gives its whole records, and one line where the last is not whole."""
    ends = [len(written(*(tick(number) for number in range(count)))) for count in range(3)]
    data = written(tick(0), tick(1))
    for end in range(ends[0], len(data) + 1):
        found, lines = read(data[:end], tmp_path)
        assert len(found) == sum(end >= one for one in ends)
        assert len(lines) == (end not in ends)
        assert all("torn or damaged" in line for line in lines)
    for end in (0, 5, ends[0] - 1):
        with pytest.raises(TapeError, match=r"a\.zst: "):
            read(data[:end], tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    """A wrong bit ends the file there: what follows is told from what came before."""
    data = bytearray(written(tick(0), tick(1), tick(2)))
    data[len(written(tick(0))) + 60] ^= 4
    found, lines = read(bytes(data), tmp_path)
    assert same(found, [HEADER, tick(0)])
    assert len(lines) == 1


def test_what_is_no_tape(tmp_path: Path) -> None:
    """Another file, and a tape of another version, are refused with the reason."""
    with pytest.raises(TapeError, match="no frame of a tape begins here"):
        read(b"SQLite format 3\x00" * 10, tmp_path)
    file = BytesIO()
    TapeWriter(file, dataclasses.replace(HEADER, version=99))
    with pytest.raises(TapeError, match="version 99, this code reads version 1"):
        read(file.getvalue(), tmp_path)
