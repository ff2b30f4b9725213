"""What a venue's stream looks like: its limits, the messages to it, and what its frames say. No sockets, no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import orjson

from features.facts.market import BoolArray, FloatArray, IntArray
from fetchers.parsing.payload import column, times

Frames = Sequence[bytes]
ContractSizes = Mapping[str, float]  #: by symbol [base per contract]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the venue says to a message of ours."""

    request: int | None = None  #: the number of the message; None where the venue does not repeat it
    error: str = ""  #: its words where it refused
    symbol: str = ""  #: the one that it names in its refusal
    is_repeated: bool = False  #: it refused because the topic is subscribed already


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the frames of one connection said; columns by print, (k,) each, in the order of arrival."""

    symbols: tuple[str, ...]
    ids: IntArray  #: what tells a print from others of its symbol: the venue's number, or a hash
    venue_ms: FloatArray
    price: FloatArray
    quantity: FloatArray  #: [base]
    is_taker_sell: BoolArray
    heard: frozenset[str]  #: symbols of which a frame came, even if without a print
    sent_ms: FloatArray  #: of each data frame, by the venue's clock
    spoilt: frozenset[str] = frozenset()  #: symbols with a row that could not be read: a print of them is missing
    answers: tuple[Answer, ...] = ()
    has_pong: bool = False
    unreadable: int = 0  #: frames and rows that could not be read
    bytes_read: int = 0  #: of all frames


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWire:
    """A venue's stream: constants of its documents (docs/streams.md), messages and the reader of its frames."""

    venue: str
    url: str  #: of the host; settings may name another
    path: str  #: of the trades
    topics_a_connection: int
    topics_a_message: int
    message_apart_ms: int  #: between two messages of ours on one connection
    characters_a_connection: int | None = None  #: of all topics together
    ping_every_ms: int | None = None  #: None: the venue pings, by the protocol's own frames
    silent_ms: int  #: a connection with topics that brings no data for so long is broken
    answers_by_order: bool = False  #: it names no message: the oldest one is meant
    has_ids: bool = True  #: `Heard.ids` tell prints apart; otherwise two prints may be alike
    has_consecutive_ids: bool = False  #: `Heard.ids` grow by one from print to print of a symbol: a gap shows
    is_compressed: bool  #: whether to offer permessage-deflate
    topic: Callable[[str], str]  #: of a symbol's trades
    subscribe: Callable[[Sequence[str], int], bytes]  #: topics, number of the message
    unsubscribe: Callable[[Sequence[str], int], bytes]
    ping: bytes = b""
    read: Callable[[Frames, ContractSizes], Heard]


@dataclass(slots=True)
class Collected:
    """What a venue's reader collects from message to message."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    symbols: list[Any] = field(default_factory=list)  #: of each row, unchecked
    heard: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    sent_ms: list[dict[str, Any]] = field(default_factory=list)  #: what holds the time of each data frame
    answers: list[Answer] = field(default_factory=list)
    has_pong: bool = False
    unreadable: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Field names of a print on a stream, and the values of its side."""

    time: str
    price: str
    quantity: str
    side: str
    taker_sells: Any
    taker_buys: Any
    sent: str  #: of a data frame


def messages(frames: Frames, collected: Collected) -> list[dict[str, Any]]:
    """Return the objects that frames hold; parsed together, which costs half, unless one of them is damaged."""
    try:
        found = orjson.loads(b"[%b]" % b",".join(frames))
    except orjson.JSONDecodeError:
        found = []
    if len(found) != len(frames):  # also where two damaged frames make a good list together
        found = [_message(frame) for frame in frames]
    collected.bytes_read = sum(map(len, frames))
    good = [message for message in found if type(message) is dict]
    collected.unreadable += len(frames) - len(good)
    return good


def _message(frame: bytes) -> Any:
    try:
        return orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None


def heard(
    collected: Collected, wire: Format, ids: Sequence[int | None], contract_sizes: ContractSizes | None = None
) -> Heard:
    """Return the columns of what was collected; a row that is no print costs only itself.

    `ids` are those of the rows, None where a row has none. With `contract_sizes` quantities are contracts, and a row of
    a symbol without a size is left out.
    """
    rows = collected.rows
    venue_ms, price, quantity = times(rows, wire.time), column(rows, wire.price), column(rows, wire.quantity)
    if contract_sizes is not None:
        nan = float("nan")
        sizes = [contract_sizes.get(symbol, nan) if type(symbol) is str else nan for symbol in collected.symbols]
        quantity = quantity * np.array(sizes, dtype=np.float64)
    sides = [row.get(wire.side) for row in rows]
    kind = type(wire.taker_sells)
    is_print = np.isfinite(venue_ms + price + quantity)
    sure = [
        type(symbol) is str and id_ is not None and type(side) is kind and side in (wire.taker_sells, wire.taker_buys)
        for symbol, id_, side in zip(collected.symbols, ids, sides, strict=True)
    ]
    is_print &= np.array(sure, dtype=bool)
    chosen = is_print.tolist()
    of_bad_rows = compress(collected.symbols, (~is_print).tolist())
    return Heard(
        symbols=tuple(compress(collected.symbols, chosen)),
        ids=np.fromiter(compress(ids, chosen), np.int64),
        venue_ms=venue_ms[is_print],
        price=price[is_print],
        quantity=quantity[is_print],
        is_taker_sell=np.array([side == wire.taker_sells for side in compress(sides, chosen)], dtype=bool),
        heard=frozenset(collected.heard),
        spoilt=frozenset(collected.spoilt).union(one for one in of_bad_rows if type(one) is str),
        sent_ms=(sent := times(collected.sent_ms, wire.sent))[np.isfinite(sent)],
        answers=tuple(collected.answers),
        has_pong=collected.has_pong,
        bytes_read=collected.bytes_read,
        unreadable=collected.unreadable + len(rows) - int(is_print.sum()),
    )
