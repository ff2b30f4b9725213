"""One record of a tape as bytes and back: a JSON head, then its numbers in columns (docs/tape.md).

Bulk quotes and books are written as differences from those before, so a file is read from its beginning, by one
`Frames`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby, islice
from typing import Any

import numpy as np
import orjson

from features.facts.market import (
    Candles,
    FloatArray,
    Instrument,
    IntArray,
    Observation,
    OpenInterest,
    OrderBook,
    Prints,
    Quotes,
    Trades,
)
from fetchers.poll_plan import Key
from fetchers.tape.books import BookStream
from fetchers.tape.columns import Bytes, Exponents, from_decimals, to_decimals
from fetchers.tape.records import (
    VERSION,
    CandleReply,
    Checkpoint,
    Gap,
    Header,
    Record,
    TapeError,
    TapeTick,
    Watched,
    trusted,
)

LENGTH_BYTES = 4  #: of the head's length, little-endian
QUOTED = (
    *("bid_price", "ask_price", "mark_price", "index_price", "funding_rate", "funding_interval_h"),
    *("open_interest_base", "volume_base_24h", "volume_usdt_24h"),
)
_LETTERS: dict[type, str] = {Quotes: "Q", OrderBook: "B", Trades: "T", Prints: "P", OpenInterest: "O", Candles: "C"}
_PRINT_ROWS, _PRINT_ROWS_RISING = 4, 2  # of `Trades.prints`: times and prices move little from print to print
_CANDLE_PRICES = ("open", "high", "low", "close")
_LISTED = tuple(one.name for one in fields(Instrument))


class Frames:
    """Writes or reads the records of one file; it keeps what the next reply is compared with."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, ...], int] = {}
        self._lists: list[tuple[str, ...]] = []
        self._columns: dict[tuple[int, str, str], _Column] = {}
        self._numbers: dict[Key, int] = {}  # of the instruments, in the order in which they appeared
        self._keys: list[Key] = []
        self._books = BookStream()

    def pack(self, record: Record) -> bytes:
        """Return a record as bytes."""
        if isinstance(record, Checkpoint):
            return _framed({"kind": "checkpoint", "at_ms": record.at_ms}, record.state)
        if isinstance(record, Header | Gap):
            return _framed({"kind": type(record).__name__.lower(), **asdict(record)}, b"")
        body, known, known_keys = Bytes(), len(self._lists), len(self._keys)
        head: dict[str, Any] = {
            "kind": "tick",
            "times": [record.started_ms, record.seen_ms, record.decided_ms, record.ended_ms],
            "arrived": self._put_all(body, [*record.heard, record.quotes, *record.portions], record.started_ms),
            "digest": record.digest,
        }
        if record.heard:
            head["heard"] = len(record.heard)
        if record.watched is not None:
            head["watched"] = _from_watched(record.watched)
        if record.candles:
            head["candles"] = [_put_reply(body, one) for one in record.candles]
        for name in ("clock_step_ms", "is_look", "conditions", "limits"):
            if (value := getattr(record, name)) not in (0, None, ()):
                head[name] = value
        if len(self._lists) > known:
            head["ids"] = self._lists[known:]
        if len(self._keys) > known_keys:
            head["keys"] = self._keys[known_keys:]
        return _framed(head, body.joined())

    def unpack(self, data: memoryview) -> Record | None:
        """Return the record; None for one of a kind that is younger than this code.

        Raises
        ------
        TapeError
            It is none.
        """
        try:
            return self._unpack(data)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise TapeError(f"a record cannot be read: {error!r}") from error

    def _unpack(self, data: memoryview) -> Record | None:
        length = int.from_bytes(data[:LENGTH_BYTES], "little")
        head, rest = orjson.loads(data[LENGTH_BYTES : LENGTH_BYTES + length]), data[LENGTH_BYTES + length :]
        kind = head.pop("kind")
        if kind == "header":
            if head["version"] != VERSION:
                raise TapeError(f"its format is version {head['version']}, this code reads version {VERSION}")
            return Header(**head)
        if kind == "gap":
            return Gap(**head)
        if kind == "checkpoint":
            return Checkpoint(at_ms=head["at_ms"], state=bytes(rest))
        return self._to_tick(head, Bytes(rest)) if kind == "tick" else None

    def _to_tick(self, head: dict[str, Any], body: Bytes) -> TapeTick:
        self._lists += [tuple(ids) for ids in head.get("ids", ())]
        for venue, identity in head.get("keys", ()):
            self._numbers[venue, identity] = len(self._keys)
            self._keys.append((venue, identity))
        started_ms, seen_ms, decided_ms, ended_ms = head["times"]
        arrived, heard = self._take_all(body, head["arrived"], started_ms), head.get("heard", 0)
        return TapeTick(
            started_ms=started_ms,
            seen_ms=seen_ms,
            decided_ms=decided_ms,
            ended_ms=ended_ms,
            clock_step_ms=head.get("clock_step_ms", 0),
            watched=_to_watched(head["watched"]) if "watched" in head else None,
            is_look=head.get("is_look", False),
            heard=arrived[:heard],
            quotes=arrived[heard],
            portions=arrived[heard + 1 :],
            candles=[_take_reply(body, one) for one in head.get("candles", ())],
            conditions=head.get("conditions"),
            limits=head.get("limits", ()),
            digest=head["digest"],
        )

    def _put_all(self, body: Bytes, groups: Sequence[Sequence[Observation]], now_ms: int) -> dict[str, Any]:
        """Put what has arrived, kind by kind, and return its part of the head, with the order in each group."""
        letters = [[_LETTERS[type(one)] for one in group] for group in groups]
        observations = [one for group in groups for one in group]
        books = [one for one in observations if isinstance(one, OrderBook)]
        replies = [one for one in observations if isinstance(one, Trades)]
        points = [one for one in observations if isinstance(one, OpenInterest)]
        heads: dict[str, Any] = {
            "order": [[[letter, len(list(run))] for letter, run in groupby(group)] for group in letters],
            "Q": [self._put_quotes(body, one) for one in observations if isinstance(one, Quotes)],
            "C": [_put_candles(body, one) for one in observations if isinstance(one, Candles)],
            "P": [self._put_prints(body, one) for one in observations if isinstance(one, Prints)],
            "B": len(books),
            "T": len(replies),
            "O": len(points),
        }
        if books:
            self._books.put(body, self._put_keys(body, map(_key, books)), books, now_ms)
        if replies:
            self._put_keys(body, map(_key, replies))
            _put_trades(body, replies, now_ms)
        if points:
            self._put_keys(body, map(_key, points))
            _put_interest(body, points, now_ms)
        return {name: value for name, value in heads.items() if value}

    def _take_all(self, body: Bytes, heads: dict[str, Any], now_ms: int) -> list[list[Observation]]:
        found: dict[str, Iterator[Observation]] = {
            "Q": iter([self._take_quotes(body, one) for one in heads.get("Q", ())]),
            "C": iter([_take_candles(body, one) for one in heads.get("C", ())]),
            "P": iter([self._take_prints(body, one) for one in heads.get("P", ())]),
        }
        if count := heads.get("B", 0):
            found["B"] = iter(self._books.take(body, self._take_keys(body, count), self._numbers, now_ms))
        for letter, take in (("T", _take_trades), ("O", _take_interest)):
            if count := heads.get(letter, 0):
                found[letter] = iter(list(take(body, self._take_keys(body, count), now_ms)))
        return [[one for letter, count in group for one in islice(found[letter], count)] for group in heads["order"]]

    def _put_keys(self, body: Bytes, keys: Iterable[Key]) -> list[int]:
        """Put whose they are, and return the instruments' numbers."""
        numbers = []
        for key in keys:
            number = self._numbers.setdefault(key, len(self._keys))
            if number == len(self._keys):
                self._keys.append(key)
            numbers.append(number)
        body.put(np.array(numbers, np.int64))
        return numbers

    def _take_keys(self, body: Bytes, count: int) -> list[Key]:
        return [self._keys[number] for number in body.take(count).tolist()]

    def _put_quotes(self, body: Bytes, quotes: Quotes) -> list[Any]:
        number = self._ids.setdefault(quotes.ids, len(self._ids))
        if number == len(self._lists):
            self._lists.append(quotes.ids)
        names = [name for name in QUOTED if getattr(quotes, name) is not None]
        relative = []
        for name in ("exchange_ms", "next_funding_ms"):
            if (times_ms := getattr(quotes, name)) is not None:
                column = self._column(number, quotes.venue, name)
                relative.append(column.put_times(body, times_ms, quotes.received_ms))
        for name in names:
            self._column(number, quotes.venue, name).put(body, getattr(quotes, name))
        return [quotes.venue, number, quotes.received_ms, quotes.bad_rows, names, relative]

    def _take_quotes(self, body: Bytes, head: list[Any]) -> Quotes:
        venue, number, received_ms, bad_rows, names, relative = head
        ids, values = self._lists[number], dict[str, Any]()
        for name, is_relative in zip(("exchange_ms", "next_funding_ms"), relative, strict=False):
            column = self._column(number, venue, name)
            values[name] = _read_only(column.take_times(body, len(ids), received_ms, is_relative=is_relative))
        for name in names:
            values[name] = _read_only(self._column(number, venue, name).take(body, len(ids)))
        return Quotes(venue=venue, ids=ids, received_ms=received_ms, bad_rows=bad_rows, **values)

    def _put_prints(self, body: Bytes, prints: Prints) -> list[Any]:
        """Put a stream's prints: row by row, each instrument's a stretch."""
        lengths = np.diff(prints.starts)
        self._put_keys(body, [(prints.venue, symbol) for symbol in prints.symbols])
        body.put(lengths)
        body.put_flags(prints.continues)
        _put_print_rows(body, prints.block, lengths)
        return [prints.venue, len(lengths), prints.read_ms, _as_json(prints.lag_ms)]

    def _take_prints(self, body: Bytes, head: list[Any]) -> Prints:
        venue, width, read_ms, lag_ms = head
        keys = self._take_keys(body, width)
        lengths = body.take(width)
        continues = body.take_flags(width)
        return trusted(
            Prints,
            venue=venue,
            symbols=tuple(symbol for _, symbol in keys),
            starts=_read_only(np.append(0, np.cumsum(lengths))),
            block=_read_only(_take_print_rows(body, lengths)),
            continues=_read_only(continues),
            read_ms=read_ms,
            lag_ms=_from_json(lag_ms),
        )

    def _column(self, number: int, venue: str, name: str) -> "_Column":
        key = number, venue, name
        if key not in self._columns:
            self._columns[key] = _Column(len(self._lists[number]))
        return self._columns[key]


class _Column:
    """One quantity of one list of instruments, from reply to reply."""

    def __init__(self, count: int) -> None:
        self._whole: IntArray = np.zeros(count, np.int64)
        self._relative: IntArray = np.zeros(count, np.int64)
        self._exponents: Exponents = np.zeros(count, np.uint8)

    def put(self, body: Bytes, values: FloatArray) -> None:
        whole, exponents = to_decimals(np.ascontiguousarray(values, np.float64), at_least=self._exponents)
        body.put(exponents.astype(np.int64) - self._exponents)
        body.put_changes(whole - self._whole)
        self._whole, self._exponents = whole, exponents

    def take(self, body: Bytes, count: int) -> FloatArray:
        self._exponents = (body.take(count) + self._exponents).astype(np.uint8)
        self._whole = body.take_changes(count) + self._whole
        return from_decimals(self._whole, self._exponents)

    def put_times(self, body: Bytes, times_ms: IntArray, received_ms: int) -> bool:
        """Put times as they are, or relative to the reply's; return the latter, which is so where more stayed equal."""
        times_ms = np.asarray(times_ms, np.int64)
        absolute, relative = times_ms - self._whole, times_ms - received_ms - self._relative
        is_relative = bool(np.count_nonzero(relative) < np.count_nonzero(absolute))
        body.put_changes(relative if is_relative else absolute)
        self._whole, self._relative = times_ms, times_ms - received_ms
        return is_relative

    def take_times(self, body: Bytes, count: int, received_ms: int, *, is_relative: bool) -> IntArray:
        change = body.take_changes(count)
        self._whole = change + self._relative + received_ms if is_relative else change + self._whole
        self._relative = self._whole - received_ms
        return self._whole


def _put_trades(body: Bytes, replies: Sequence[Trades], now_ms: int) -> None:
    _put_times(body, replies, now_ms)
    body.put_flags(np.array([one.continues for one in replies], bool))
    lengths = np.array([one.prints.shape[1] for one in replies], np.int64)
    body.put(lengths)
    _put_print_rows(body, np.concatenate([one.prints for one in replies], axis=1), lengths)


def _take_trades(body: Bytes, keys: Sequence[Key], now_ms: int) -> Iterator[Trades]:
    exchange_ms, received_ms = _take_times(body, len(keys), now_ms)
    continues = body.take_flags(len(keys)).tolist()
    lengths = body.take(len(keys))
    prints = _take_print_rows(body, lengths)
    ends = np.cumsum(lengths).tolist()
    for place, ((venue, identity), end, count) in enumerate(zip(keys, ends, lengths.tolist(), strict=True)):
        yield trusted(
            Trades,
            venue=venue,
            id=identity,
            prints=_read_only(np.ascontiguousarray(prints[:, end - count : end])),
            exchange_ms=exchange_ms[place],
            received_ms=received_ms[place],
            continues=continues[place],
        )


def _put_print_rows(body: Bytes, prints: FloatArray, lengths: IntArray) -> None:
    for row, values in enumerate(prints):
        body.put_stretches(values, lengths, is_rising=row < _PRINT_ROWS_RISING)


def _take_print_rows(body: Bytes, lengths: IntArray) -> FloatArray:
    rows = [body.take_stretches(lengths, is_rising=row < _PRINT_ROWS_RISING) for row in range(_PRINT_ROWS)]
    return np.stack(rows)


def _put_interest(body: Bytes, points: Sequence[OpenInterest], now_ms: int) -> None:
    _put_times(body, points, now_ms)
    body.put_flags(np.array([one.is_live for one in points], bool))
    amounts = np.array([one.open_interest_base for one in points], np.float64)
    body.put_stretches(amounts, np.ones(len(points), np.int64), is_rising=False)


def _take_interest(body: Bytes, keys: Sequence[Key], now_ms: int) -> Iterator[OpenInterest]:
    exchange_ms, received_ms = _take_times(body, len(keys), now_ms)
    is_live = body.take_flags(len(keys)).tolist()
    amounts = body.take_stretches(np.ones(len(keys), np.int64), is_rising=False).tolist()
    for place, (venue, identity) in enumerate(keys):
        yield OpenInterest(
            venue=venue,
            id=identity,
            open_interest_base=amounts[place],
            exchange_ms=exchange_ms[place],
            received_ms=received_ms[place],
            is_live=is_live[place],
        )


def _put_times(body: Bytes, observations: Sequence[Trades] | Sequence[OpenInterest], now_ms: int) -> None:
    exchange_ms = np.array([one.exchange_ms for one in observations], np.int64)
    body.put(exchange_ms - now_ms)
    body.put(np.array([one.received_ms for one in observations], np.int64) - exchange_ms)


def _take_times(body: Bytes, count: int, now_ms: int) -> tuple[list[int], list[int]]:
    exchange_ms = body.take(count) + now_ms
    return exchange_ms.tolist(), (exchange_ms + body.take(count)).tolist()


def _put_candles(body: Bytes, candles: Candles) -> list[Any]:
    count = len(candles.open_ms)
    body.put(np.diff(np.asarray(candles.open_ms, np.int64), prepend=0))
    columns = [getattr(candles, name) for name in _CANDLE_PRICES]
    if candles.volume_base is not None:
        columns.append(candles.volume_base)
    body.put_stretches(np.concatenate(columns).astype(np.float64), np.full(len(columns), count), is_rising=True)
    return [candles.venue, candles.id, count, candles.received_ms, candles.interval_s, len(columns)]


def _take_candles(body: Bytes, head: list[Any]) -> Candles:
    venue, identity, count, received_ms, interval_s, width = head
    open_ms = _read_only(np.cumsum(body.take(count)))
    values = _read_only(body.take_stretches(np.full(width, count), is_rising=True))
    columns: dict[str, Any] = dict(zip((*_CANDLE_PRICES, "volume_base"), values.reshape(width, count), strict=False))
    return Candles(venue=venue, id=identity, open_ms=open_ms, received_ms=received_ms, interval_s=interval_s, **columns)


def _put_reply(body: Bytes, reply: CandleReply) -> list[Any]:
    return [*reply.key, reply.since_ms, None if reply.candles is None else _put_candles(body, reply.candles)]


def _take_reply(body: Bytes, head: list[Any]) -> CandleReply:
    venue, identity, since_ms, candles = head
    found = None if candles is None else _take_candles(body, candles)
    return CandleReply(key=(venue, identity), since_ms=since_ms, candles=found)


def _from_watched(watched: Watched) -> dict[str, Any]:
    """Return the instruments field by field: most of a field is equal."""
    columns = {name: [_as_json(getattr(one, name)) for one in watched.instruments] for name in _LISTED}
    return {"instruments": columns, "delisted": sorted(watched.delisted)}


def _to_watched(plain: Mapping[str, Any]) -> Watched:
    columns = plain["instruments"]
    columns["volume_usdt_24h"] = [_from_json(value) for value in columns["volume_usdt_24h"]]
    columns["other_names"] = [tuple(names) for names in columns["other_names"]]
    rows = zip(*columns.values(), strict=True)
    return Watched(
        instruments=tuple(Instrument(**dict(zip(columns, row, strict=True))) for row in rows),
        delisted=frozenset((venue, identity) for venue, identity in plain["delisted"]),
    )


def _key(one: OrderBook | Trades | OpenInterest) -> Key:
    return one.venue, one.id


def _as_json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _from_json(value: float | None) -> float:
    return math.nan if value is None else value


def _framed(head: Mapping[str, Any], body: bytes) -> bytes:
    text = orjson.dumps(head)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + body


def _read_only(values: Any) -> Any:
    values.setflags(write=False)
    return values
