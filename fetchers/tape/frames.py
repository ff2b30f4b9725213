"""One record of a tape as bytes and back: a JSON head, then its numbers in columns (docs/tape.md).

Bulk quotes are written as differences from the reply before, so a file is read from its beginning, by one `Frames`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby, islice
from typing import Any, TypeVar

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
from fetchers.tape.columns import Bytes, Exponents, from_decimals, segment_differences, segment_sums, to_decimals
from fetchers.tape.records import VERSION, CandleReply, Checkpoint, Gap, Header, Record, TapeError, TapeTick, Watched

T = TypeVar("T")

LENGTH_BYTES = 4  #: of the head's length, little-endian
QUOTED = (
    *("bid_price", "ask_price", "mark_price", "index_price", "funding_rate", "funding_interval_h"),
    *("open_interest_base", "volume_base_24h", "volume_usdt_24h"),
)
_LETTERS: dict[type, str] = {Quotes: "Q", OrderBook: "B", Trades: "T", Prints: "P", OpenInterest: "O", Candles: "C"}
_CANDLE_PRICES = ("open", "high", "low", "close")
_ROWS_RISE = np.array([True, True, False, False])  # times and prices of prints; quantities and sides do not
_LISTED = tuple(one.name for one in fields(Instrument))


class Frames:
    """Writes or reads the records of one file; it keeps what the next reply is compared with."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, ...], int] = {}
        self._lists: list[tuple[str, ...]] = []
        self._columns: dict[tuple[int, str, str], _Column] = {}
        self._symbols: dict[tuple[str, str], int] = {}  # of streams, by their number
        self._symbols_put = 0
        self._symbols_taken: list[str] = []

    def pack(self, record: Record) -> bytes:
        """Return a record as bytes."""
        if isinstance(record, Checkpoint):
            return _framed({"kind": "checkpoint", "at_ms": record.at_ms}, record.state)
        if isinstance(record, Header | Gap):
            return _framed({"kind": type(record).__name__.lower(), **asdict(record)}, b"")
        body, known = Bytes(), len(self._lists)
        head: dict[str, Any] = {
            "kind": "tick",
            "times": [record.started_ms, record.seen_ms, record.decided_ms, record.ended_ms],
            "arrived": self._put_all(body, [*record.heard, record.quotes, *record.portions]),
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
        arrived, heard = self._take_all(body, head["arrived"]), head.get("heard", 0)
        started_ms, seen_ms, decided_ms, ended_ms = head["times"]
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

    def _put_all(self, body: Bytes, groups: Sequence[Sequence[Observation]]) -> dict[str, Any]:
        """Put what has arrived, kind by kind, and return its part of the head, with the order in each group."""
        letters = [[_LETTERS[type(one)] for one in group] for group in groups]
        observations = [one for group in groups for one in group]
        heads: dict[str, Any] = {
            "order": [[[letter, len(list(run))] for letter, run in groupby(group)] for group in letters]
        }
        heads["Q"] = [self._put_quotes(body, one) for one in observations if isinstance(one, Quotes)]
        heads["B"] = _put_books(body, [one for one in observations if isinstance(one, OrderBook)])
        heads["T"] = _put_trades(body, [one for one in observations if isinstance(one, Trades)])
        heads["P"] = [self._put_prints(body, one) for one in observations if isinstance(one, Prints)]
        heads["O"] = [_put_interest(one) for one in observations if isinstance(one, OpenInterest)]
        heads["C"] = [_put_candles(body, one) for one in observations if isinstance(one, Candles)]
        return {name: value for name, value in heads.items() if value}

    def _take_all(self, body: Bytes, heads: dict[str, Any]) -> list[list[Observation]]:
        found: dict[str, Iterator[Observation]] = {
            "Q": iter([self._take_quotes(body, one) for one in heads.get("Q", ())]),
            "B": iter(_take_books(body, heads["B"]) if "B" in heads else ()),
            "T": iter(_take_trades(body, heads["T"]) if "T" in heads else ()),
            "P": iter([self._take_prints(body, one) for one in heads.get("P", ())]),
            "O": iter([_take_interest(one) for one in heads.get("O", ())]),
            "C": iter([_take_candles(body, one) for one in heads.get("C", ())]),
        }
        return [[one for letter, count in group for one in islice(found[letter], count)] for group in heads["order"]]

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
        """Put a stream's prints: row by row, each instrument's a stretch, and its id by number."""
        count = np.diff(prints.starts)
        numbers = [self._symbols.setdefault((prints.venue, one), len(self._symbols)) for one in prints.symbols]
        new = [one for one, number in zip(prints.symbols, numbers, strict=True) if number >= self._symbols_put]
        self._symbols_put = len(self._symbols)
        body.put(np.diff(np.array(numbers, np.int64), prepend=0))
        body.put(count)
        _put_stretches(body, prints.block.ravel(), np.tile(count, 4), is_rising=_ROWS_RISE.repeat(len(count)))
        lost = np.flatnonzero(~prints.continues).tolist()
        return [prints.venue, len(numbers), new, lost, prints.read_ms, _as_json(prints.lag_ms)]

    def _take_prints(self, body: Bytes, head: list[Any]) -> Prints:
        venue, width, new, lost, read_ms, lag_ms = head
        self._symbols_taken += new
        numbers, count = np.cumsum(body.take(width)), body.take(width)
        values = _take_stretches(body, np.tile(count, 4), is_rising=_ROWS_RISE.repeat(width))
        continues = np.ones(width, dtype=bool)
        continues[lost] = False
        return _trusted(
            Prints,
            venue=venue,
            symbols=tuple(self._symbols_taken[number] for number in numbers.tolist()),
            starts=_read_only(np.append(0, np.cumsum(count))),
            block=values.reshape(4, -1),
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
        body.put(whole - self._whole)
        self._whole, self._exponents = whole, exponents

    def take(self, body: Bytes, count: int) -> FloatArray:
        self._exponents = (body.take(count) + self._exponents).astype(np.uint8)
        self._whole = body.take(count) + self._whole
        return from_decimals(self._whole, self._exponents)

    def put_times(self, body: Bytes, times_ms: IntArray, received_ms: int) -> bool:
        """Put times as they are, or relative to the reply's; return the latter, which is so where more stayed equal."""
        times_ms = np.asarray(times_ms, np.int64)
        absolute, relative = times_ms - self._whole, times_ms - received_ms - self._relative
        is_relative = bool(np.count_nonzero(relative) < np.count_nonzero(absolute))
        body.put(relative if is_relative else absolute)
        self._whole, self._relative = times_ms, times_ms - received_ms
        return is_relative

    def take_times(self, body: Bytes, count: int, received_ms: int, *, is_relative: bool) -> IntArray:
        change = body.take(count)
        self._whole = change + self._relative + received_ms if is_relative else change + self._whole
        self._relative = self._whole - received_ms
        return self._whole


def _put_books(body: Bytes, books: Sequence[OrderBook]) -> list[list[Any]]:
    """Put books: prices and quantities of the bids, then of the asks, each a stretch of its own."""
    if not books:
        return []
    lengths = [side.shape[1] for book in books for side in (book.bids, book.bids, book.asks, book.asks)]
    values = np.concatenate([side.ravel() for book in books for side in (book.bids, book.asks)])
    _put_stretches(body, values, np.array(lengths), is_rising=np.tile([True, False], 2 * len(books)))
    return [
        [one.venue for one in books],
        [one.id for one in books],
        [one.bids.shape[1] for one in books],
        [one.asks.shape[1] for one in books],
        [one.levels_asked for one in books],
        [one.exchange_ms for one in books],
        [one.received_ms - one.exchange_ms for one in books],
        [one.sequence for one in books],
    ]


def _take_books(body: Bytes, head: list[list[Any]]) -> list[OrderBook]:
    bids, asks = head[2:4]
    lengths = np.repeat(np.array([bids, asks], dtype=np.int64).T.ravel(), 2)
    values = _take_stretches(body, lengths, is_rising=np.tile([True, False], 2 * len(bids)))
    books, at = [], 0
    for venue, identity, bid, ask, levels_asked, exchange_ms, delay_ms, sequence in zip(*head, strict=True):
        middle, end = at + 2 * bid, at + 2 * (bid + ask)
        books.append(
            _trusted(
                OrderBook,
                venue=venue,
                id=identity,
                bids=values[at:middle].reshape(2, bid),
                asks=values[middle:end].reshape(2, ask),
                levels_asked=levels_asked,
                exchange_ms=exchange_ms,
                received_ms=exchange_ms + delay_ms,
                sequence=sequence,
            )
        )
        at = end
    return books


def _put_trades(body: Bytes, replies: Sequence[Trades]) -> list[list[Any]]:
    if not replies:
        return []
    lengths = np.repeat([one.prints.shape[1] for one in replies], 4)
    values = np.concatenate([one.prints.ravel() for one in replies])
    _put_stretches(body, values, lengths, is_rising=np.tile([True, True, False, False], len(replies)))
    return [
        [one.venue for one in replies],
        [one.id for one in replies],
        [one.prints.shape[1] for one in replies],
        [one.exchange_ms for one in replies],
        [one.received_ms - one.exchange_ms for one in replies],
        [one.continues for one in replies],
    ]


def _take_trades(body: Bytes, head: list[list[Any]]) -> list[Trades]:
    lengths = np.repeat(np.array(head[2], dtype=np.int64), 4)
    values = _take_stretches(body, lengths, is_rising=np.tile([True, True, False, False], len(head[2])))
    replies, at = [], 0
    for venue, identity, count, exchange_ms, delay_ms, continues in zip(*head, strict=True):
        replies.append(
            _trusted(
                Trades,
                venue=venue,
                id=identity,
                prints=values[at : at + 4 * count].reshape(4, count),
                exchange_ms=exchange_ms,
                received_ms=exchange_ms + delay_ms,
                continues=continues,
            )
        )
        at += 4 * count
    return replies


def _put_stretches(body: Bytes, values: FloatArray, lengths: IntArray, *, is_rising: Any) -> None:
    """Put floats in stretches of one exponent each; of rising or falling ones the differences, apart from the rest."""
    filled = lengths > 0
    lengths, is_rising = lengths[filled], is_rising[filled]
    starts = np.cumsum(lengths) - lengths
    none = np.zeros(len(values), np.uint8)
    whole, exponents = to_decimals(np.ascontiguousarray(values), at_least=none, groups=starts)
    body.put(exponents[starts].astype(np.int64))
    in_rising = np.repeat(is_rising, lengths)
    rising = lengths[is_rising]
    body.put(segment_differences(whole[in_rising], np.cumsum(rising) - rising))
    body.put(whole[~in_rising])


def _take_stretches(body: Bytes, lengths: IntArray, *, is_rising: Any) -> FloatArray:
    filled = lengths > 0
    lengths, is_rising = lengths[filled], is_rising[filled]
    exponents = body.take(len(lengths)).astype(np.uint8)
    in_rising = np.repeat(is_rising, lengths)
    rising = lengths[is_rising]
    whole = np.empty(len(in_rising), np.int64)
    whole[in_rising] = segment_sums(body.take(int(rising.sum())), np.cumsum(rising) - rising)
    whole[~in_rising] = body.take(len(in_rising) - int(rising.sum()))
    values: FloatArray = _read_only(from_decimals(whole, np.repeat(exponents, lengths)))
    return values


def _put_interest(one: OpenInterest) -> list[Any]:
    return [one.venue, one.id, _as_json(one.open_interest_base), one.exchange_ms, one.received_ms, one.is_live]


def _take_interest(head: list[Any]) -> OpenInterest:
    venue, identity, amount, exchange_ms, received_ms, is_live = head
    return OpenInterest(
        venue=venue,
        id=identity,
        open_interest_base=_from_json(amount),
        exchange_ms=exchange_ms,
        received_ms=received_ms,
        is_live=is_live,
    )


def _put_candles(body: Bytes, candles: Candles) -> list[Any]:
    count = len(candles.open_ms)
    body.put(np.diff(np.asarray(candles.open_ms, np.int64), prepend=0))
    columns = [getattr(candles, name) for name in _CANDLE_PRICES]
    if candles.volume_base is not None:
        columns.append(candles.volume_base)
    _put_stretches(
        body,
        np.concatenate(columns).astype(np.float64),
        np.full(len(columns), count),
        is_rising=np.full(len(columns), fill_value=True),
    )
    return [candles.venue, candles.id, count, candles.received_ms, candles.interval_s, len(columns)]


def _take_candles(body: Bytes, head: list[Any]) -> Candles:
    venue, identity, count, received_ms, interval_s, width = head
    open_ms = _read_only(np.cumsum(body.take(count)))
    values = _take_stretches(body, np.full(width, count), is_rising=np.full(width, fill_value=True))
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


def _trusted(kind: type[T], **values: Any) -> T:
    """Return a record without the checks of its `__post_init__`, which it passed before it was written."""
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made
