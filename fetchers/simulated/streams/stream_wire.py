"""Shared by the simulated streams: what a venue's stream is, and the prints that it pushes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fetchers.simulated.coins import Row
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind

BLOCK_MS = 10_000  #: prints are made for so long ahead
FIRST_NUMBER = 5_000_000


class Print(NamedTuple):
    """One print of one symbol, and its number there: consecutive, whoever listens."""

    symbol: str
    number: int
    time_ms: int
    price: float
    quantity: float  #: [base]
    is_sell: bool


@dataclass(slots=True, eq=False)
class Client:
    """A connection as the venue sees it."""

    route: str  #: the path it came by
    opened_ms: int
    topics: dict[str, None] = field(default_factory=dict)  #: of any kind, accepted
    last_ping_ms: int = 0
    messages_ms: list[int] = field(default_factory=list)  #: of the last second


class Closed(Exception):
    """The venue ends the connection with a code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class SimulatedStream(Protocol):
    """One venue: messages in, replies and frames out, no sockets."""

    paths: Sequence[str]
    is_compressed: bool
    life_ms: int  #: of a connection
    client_silence_ms: int | None  #: without a ping of the client for so long it is closed
    refused: int  #: topics and messages that were refused

    def message(self, client: Client, text: str, now_ms: int) -> list[bytes]:
        """Take a client's message and return the replies; raise `Closed` where the venue would close."""

    def topic(self, symbol: str) -> str:
        """Return the topic of a symbol's trades."""

    def sends(self, client: Client, symbol: str) -> bool:
        """Return whether a client gets a symbol's trades."""

    def frames(self, symbol: str, prints: Sequence[Print], now_ms: int) -> list[bytes]:
        """Return frames with these prints, oldest first."""


def row_of(market: SimulatedMarket, venue: str, symbol: str) -> Row | None:
    """Return the row of a symbol that trades, None where there is none."""
    place = market.place(venue, symbol)
    if place is None:
        return None
    row = market.rows[venue][place]
    return None if row.kind in (ListingKind.SUSPENDED, ListingKind.PENDING) else row


class PrintsAhead:
    """A venue's prints in the order of time, made in blocks; once followed, a symbol is followed for good."""

    def __init__(self, market: SimulatedMarket, venue: str, slot_ms: int) -> None:
        self._market = market
        self._venue = venue
        self._slot_ms = slot_ms
        self._made_ms: dict[str, int] = {}  # prints before are made
        self._numbers: dict[str, int] = {}
        self._slots: dict[int, list[Print]] = {}
        self._taken = 0  # slots before are taken

    def follow(self, symbol: str, now_ms: int) -> None:
        """Make this symbol's prints from now on."""
        if symbol not in self._made_ms:
            self._made_ms[symbol] = now_ms
            self._numbers[symbol] = FIRST_NUMBER

    def take(self, now_ms: int) -> list[Print]:
        """Return the prints since the last call, up to now."""
        for symbol, made_ms in self._made_ms.items():
            if made_ms <= now_ms:
                self._make(symbol, made_ms, now_ms)
        last = now_ms // self._slot_ms
        due = sorted(slot for slot in self._slots if slot < last)
        return [one for slot in due for one in self._slots.pop(slot)]

    def _make(self, symbol: str, from_ms: int, now_ms: int) -> None:
        # blocks end at different times for different symbols, so that the work is spread
        until_ms = (now_ms // BLOCK_MS + 1) * BLOCK_MS + hash(symbol) % BLOCK_MS
        row = row_of(self._market, self._venue, symbol)
        assert row is not None
        found = self._market.prints(self._venue, symbol, from_ms, until_ms - 1)
        columns = (found.time_ms, found.price_ticks * row.tick, found.quantity, found.is_sell)
        for time_ms, price, quantity, is_sell in zip(*(column.tolist() for column in columns), strict=True):
            number = self._numbers[symbol] = self._numbers[symbol] + 1
            one = Print(symbol, number, time_ms, round(price, row.price_decimals), quantity, is_sell)
            self._slots.setdefault(time_ms // self._slot_ms, []).append(one)
        self._made_ms[symbol] = until_ms
