"""All sockets of one venue, polled by `pump`: nothing is pushed into a decision.

Each connection has a slice of the symbols, so that one loss is a part of the venue. What is lost is not covered any
more before anything else is done about it. A connection that will soon be too old is replaced before it ends: both
bring the same prints for a while, and each is given once.
"""

import asyncio
from collections.abc import Callable, Mapping

from loguru import logger

from features.facts.market import Prints
from fetchers.streams.channel import State
from fetchers.streams.connection import Connection
from fetchers.streams.prints import Brought, PrintMerger
from fetchers.streams.stream_report import StreamReport
from fetchers.streams.volume_check import VolumeCheck
from fetchers.streams.web_socket import session_for
from fetchers.streams.wire import StreamWire
from fetchers.transport.budget import RateBudget
from fetchers.transport.pools import Sliding
from fetchers.transport.route import ANY_ROUTE, Route

PUMP_MS = 100  #: between two readings
READ_S = 0.002  #: in which all sockets hand over what the kernel has
LATE_PUMP_MS = 250  #: a reading so much too late is our own lag
OPEN_APART_MS = 250
CONNECTS, CONNECTS_WINDOW_MS = "connects", 300_000
MOST_CONNECTS = 200  #: of the 300 in five minutes that the strictest venue allows
OVERLAP_MS = 5_000  #: for which an old connection and the one in its place are both read


class VenueStream:
    """The trade streams of one venue; `draw` returns random numbers in [0, 1)."""

    def __init__(
        self, wire: StreamWire, *, draw: Callable[[], float], base_url: str | None = None, route: Route = ANY_ROUTE
    ) -> None:
        self.clock_offset_ms = 0.0  #: by which the venue's clock is ahead, as the REST client has measured it
        self._wire = wire
        self._draw = draw
        self._route = route
        self._url = (base_url or wire.url).rstrip("/") + wire.path
        self._sizes: Mapping[str, float] = {}
        self._connections: list[Connection] = []
        self._made = 0
        self._merger = PrintMerger(wire)
        self._volumes = VolumeCheck()
        self._connects = RateBudget({CONNECTS: Sliding(MOST_CONNECTS, CONNECTS_WINDOW_MS)}, headroom=0.0)
        self._opened_ms = 0
        self._pumped_ms: int | None = None
        self._lateness_ms = 0
        self._held_until_ms = 0
        self._covered: frozenset[str] = frozenset()
        self._prints = self._unreadable = self._bytes_read = 0

    @property
    def venue(self) -> str:
        """Its id."""
        return self._wire.venue

    async def start(self) -> None:
        """Create the session; sockets are opened by `pump`."""
        self._session = session_for(self._url, self._route)

    async def close(self) -> None:
        """Close all sockets and the session."""
        connections, self._connections = self._connections, []
        await asyncio.gather(*(one.end() for one in connections))
        self._set_covered(0)
        await self._session.close()

    def want(self, contract_sizes: Mapping[str, float], now_ms: int) -> None:
        """Want the prints of these symbols, given with the size of their contract [base], and of no others."""
        self._sizes = dict(contract_sizes)
        held = {symbol for one in self._connections for symbol in one.topics.symbols}
        for one in self._connections:
            one.topics.remove([symbol for symbol in one.topics.symbols if symbol not in contract_sizes])
        new = [symbol for symbol in contract_sizes if symbol not in held]
        replaced = {id(one.replaces) for one in self._connections}
        for one in [one for one in self._connections if id(one) not in replaced]:
            room = one.topics.room()
            one.topics.add(new[:room])
            new = new[room:]
        while new:
            one = self._add(f"trades {len(self._connections) + 1}", now_ms)
            room = one.topics.room()
            one.topics.add(new[:room])
            new = new[room:]
        self._merger.forget(contract_sizes)
        self._volumes.forget(contract_sizes)
        self._set_covered(now_ms)

    def _add(self, name: str, now_ms: int) -> Connection:
        self._made += 1
        one = Connection(self._wire, self._made, name, now_ms, self._draw)
        self._connections.append(one)
        return one

    async def pump(self, now_ms: int) -> tuple[Prints, ...]:
        """Read what the sockets have, say what is due to the venue, and return the prints."""
        if self._pumped_ms is not None:
            self._lateness_ms = now_ms - self._pumped_ms - PUMP_MS
        self._pumped_ms = now_ms
        await self._open_due(now_ms)
        brought = await self._read(now_ms)
        self._merger.set_covered(self._merger.covered - {one for _, heard in brought for one in heard.spoilt}, now_ms)
        for one in list(self._connections):
            if await one.end_faulty(now_ms):
                self._leave_to_heir(one)
        self._set_covered(now_ms)
        merged = self._merger.merge(brought, now_ms, self.clock_offset_ms)
        for one in list(self._connections):
            await one.speak(now_ms)
        await self._replace_old(now_ms)
        if merged is None:
            return ()
        self._prints += merged.block.shape[1]
        return (merged,)

    async def _open_due(self, now_ms: int) -> None:
        for one in list(self._connections):
            if not one.take_opened(now_ms):
                self._held_until_ms = max(self._held_until_ms, one.held_until_ms)
                self._leave_to_heir(one)
            if not one.topics.symbols:
                if not self._leave_to_heir(one):
                    self._connections.remove(one)
                await one.end(is_polite=False)
            elif one.channel.is_due(now_ms) and self._may_open(now_ms):
                self._opened_ms = now_ms
                one.open(self._session, self._url, now_ms)

    def _may_open(self, now_ms: int) -> bool:
        if now_ms < self._held_until_ms or now_ms - self._opened_ms < OPEN_APART_MS:
            return False
        cost = {CONNECTS: 1.0}
        if self._connects.take(cost, now_ms) > 0:
            return False
        self._connects.done(cost, now_ms)
        return True

    async def _read(self, now_ms: int) -> list[Brought]:
        reading = [one for one in self._connections if one.has_socket]
        for one in reading:
            one.resume()
        if reading:
            await asyncio.sleep(READ_S)
        brought = []
        for one in reading:
            heard = one.read(now_ms, self._sizes, self.clock_offset_ms)
            if heard is not None:
                self._volumes.heard(heard.heard)
                self._unreadable += heard.unreadable
                self._bytes_read += heard.bytes_read
                brought.append((one.number, heard))
        return brought

    def _leave_to_heir(self, lost: Connection) -> bool:
        """Forget a connection in whose place another one comes; false where none does."""
        for heir in self._connections:
            if heir.replaces is lost:
                heir.replaces = None
                self._connections.remove(lost)
                return True
        return False

    async def _replace_old(self, now_ms: int) -> None:
        for one in list(self._connections):
            old = one.replaces
            if old is not None:
                if one.topics.is_complete() and one.channel.live_ms(now_ms) >= OVERLAP_MS:
                    one.replaces = None
                    self._connections.remove(old)
                    await old.end(is_polite=False)
            elif one.channel.is_old(now_ms) and not any(heir.replaces is one for heir in self._connections):
                heir = self._add(one.name, now_ms)
                heir.topics.add(one.topics.symbols)
                heir.replaces = one

    def retire(self, now_ms: int) -> None:
        """Take all connections for too old now, as after 23 hours."""
        for one in self._connections:
            one.channel.retire(now_ms)

    def _set_covered(self, now_ms: int) -> None:
        self._covered = frozenset().union(*(one.covered(now_ms) for one in self._connections))
        self._merger.set_covered(self._covered, now_ms)

    def covered(self, _now_ms: int) -> frozenset[str]:
        """Return the symbols whose prints surely come, as of the last `pump`."""
        return self._covered

    def covered_from_ms(self, symbol: str) -> int | None:
        """Return since when a symbol's prints are whole, None where they are not."""
        return self._merger.covered_from_ms(symbol)

    def is_lagging(self, now_ms: int) -> bool:
        """Return whether what is known of the market is late: the venue's data, or our own reading of it."""
        since_ms = 0 if self._pumped_ms is None else now_ms - self._pumped_ms - PUMP_MS
        if max(since_ms, self._lateness_ms) > LATE_PUMP_MS:
            return True
        return any(one.channel.state is State.LAGGING for one in self._connections)

    def volume_seen(self, symbol: str, volume_24h: float, now_ms: int) -> None:
        """Take a 24 h volume of the quotes: of a symbol that trades but is silent the subscription is renewed."""
        if symbol not in self._covered or not self._volumes.is_silent(symbol, volume_24h, now_ms):
            return
        for one in self._connections:
            one.topics.ask_again(symbol, now_ms)
        logger.info("{} {}: trades, but its stream is silent; asked for again", self.venue, symbol)
        self._set_covered(now_ms)

    def report(self, now_ms: int) -> StreamReport:
        """Return how all is doing."""
        return StreamReport(
            venue=self.venue,
            channels=tuple(one.report(now_ms, self._covered) for one in self._connections),
            bytes_read=self._bytes_read,
            prints=self._prints,
            gaps=self._merger.gaps,
            repeated=self._merger.repeated,
            late=self._merger.late,
            unreadable=self._unreadable,
            refused_messages=sum(one.topics.refused for one in self._connections),
            held_until_ms=self._held_until_ms,
            is_paused_between_readings=all(one.can_pause for one in self._connections),
        )
