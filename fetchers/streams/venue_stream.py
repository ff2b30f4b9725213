"""All sockets of one venue, polled by `pump`: nothing is pushed into a decision.

Each connection has a slice of the symbols, so that one loss is a part of the venue. What is lost is not covered any
more before anything else is done about it. A connection that will soon be too old is replaced before it ends: both
bring the same prints for a while, and each is given once.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from loguru import logger

from features.facts.market import Prints
from fetchers.errors import FetchError, RateLimited
from fetchers.streams.channel import Channel, State
from fetchers.streams.prints import Brought, PrintMerger
from fetchers.streams.stream_report import ChannelReport, StreamReport
from fetchers.streams.topics import Stage, Topics
from fetchers.streams.volume_check import VolumeCheck
from fetchers.streams.web_socket import WebSocket, session_for
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
POLICY_VIOLATION, POLICY_HOLD_MS = 1008, 120_000  #: said to who sent too much; coming back at once makes it worse


@dataclass(slots=True, eq=False)
class _Connection:
    number: int
    name: str
    topics: Topics
    channel: Channel
    socket: WebSocket | None = None
    opening: "asyncio.Task[WebSocket] | None" = None
    replaces: "_Connection | None" = None
    was_live: bool = False  # a line in the log says when that changes


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
        self._connections: list[_Connection] = []
        self._made = 0
        self._merger = PrintMerger(wire)
        self._volumes = VolumeCheck()
        self._connects = RateBudget({CONNECTS: Sliding(MOST_CONNECTS, CONNECTS_WINDOW_MS)}, headroom=0.0)
        self._opened_ms = 0
        self._pumped_ms: int | None = None
        self._lateness_ms = 0
        self._held_until_ms = 0
        self._covered: frozenset[str] = frozenset()
        self._prints = self._unreadable = 0

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
        await asyncio.gather(*(self._end(one) for one in connections))
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

    def _add(self, name: str, now_ms: int) -> _Connection:
        self._made += 1
        one = _Connection(self._made, name, Topics(self._wire), Channel(self._wire, now_ms, self._draw))
        self._connections.append(one)
        return one

    async def pump(self, now_ms: int) -> tuple[Prints, ...]:
        """Read what the sockets have, say what is due to the venue, and return the prints."""
        if self._pumped_ms is not None:
            self._lateness_ms = now_ms - self._pumped_ms - PUMP_MS
        self._pumped_ms = now_ms
        await self._open_due(now_ms)
        reading = [one for one in self._connections if one.socket is not None]
        for one in reading:
            assert one.socket is not None
            one.socket.resume()
        if reading:
            await asyncio.sleep(READ_S)
        brought = [found for one in reading if (found := self._read(one, now_ms)) is not None]
        await self._end_faulty(now_ms)
        self._set_covered(now_ms)
        merged = self._merger.merge(brought, now_ms, self.clock_offset_ms)
        await self._speak(now_ms)
        await self._replace_old(now_ms)
        if merged is None:
            return ()
        self._prints += merged.block.shape[1]
        return (merged,)

    def _read(self, one: _Connection, now_ms: int) -> Brought | None:
        socket = one.socket
        if socket is None:  # closed while the others were awaited
            return None
        socket.pause()
        frames = socket.take()
        if not frames:
            return None
        heard = self._wire.read(frames, self._sizes)
        self._unreadable += heard.unreadable
        for answer in heard.answers:
            if answer.error:
                logger.warning("{} {}: a message was refused: {}", self.venue, one.name, answer.error)
            one.topics.answered(answer, now_ms)
        one.topics.heard(heard.heard, now_ms)
        self._volumes.heard(heard.heard)
        lag_ms = now_ms + self.clock_offset_ms - heard.sent_ms
        one.channel.received(now_ms, len(heard.sent_ms), np.asarray(lag_ms), has_pong=heard.has_pong)
        if not one.was_live and one.channel.state is State.LIVE:
            one.was_live = True
            logger.info("{} {}: live", self.venue, one.name)
        return one.number, heard

    async def _open_due(self, now_ms: int) -> None:
        for one in list(self._connections):
            if one.opening is not None and one.opening.done():
                await self._opened(one, now_ms)
            if not one.topics.symbols and one.replaces is None:
                self._connections.remove(one)
                await self._end(one)
            elif one.channel.is_due(now_ms) and self._may_open(now_ms):
                self._opened_ms = now_ms
                one.channel.connecting()
                opening = WebSocket.open(self._session, self._url, now_ms, is_compressed=self._wire.is_compressed)
                one.opening = asyncio.get_running_loop().create_task(opening)  # `_opened` takes its result

    def _may_open(self, now_ms: int) -> bool:
        if now_ms < self._held_until_ms or now_ms - self._opened_ms < OPEN_APART_MS:
            return False
        cost = {CONNECTS: 1.0}
        if self._connects.take(cost, now_ms) > 0:
            return False
        self._connects.done(cost, now_ms)
        return True

    async def _opened(self, one: _Connection, now_ms: int) -> None:
        assert one.opening is not None
        opening, one.opening = one.opening, None
        try:
            one.socket = opening.result()
        except RateLimited as error:
            self._held_until_ms = max(self._held_until_ms, error.until_ms)
            self._lost(one, now_ms, str(error), hold_ms=max(0, error.until_ms - now_ms))
        except FetchError as error:
            self._lost(one, now_ms, str(error))
        else:
            one.channel.connected(now_ms)

    async def _end_faulty(self, now_ms: int) -> None:
        for one in list(self._connections):
            if one.socket is None:
                continue
            fault = one.channel.fault(now_ms)
            if not (one.socket.ended or fault):
                continue
            socket, one.socket = one.socket, None
            hold_ms = POLICY_HOLD_MS if socket.close_code == POLICY_VIOLATION else 0
            self._lost(one, now_ms, socket.ended or fault, close_code=socket.close_code, hold_ms=hold_ms)
            await socket.close(is_polite=False)

    def _lost(
        self, one: _Connection, now_ms: int, error: str, *, close_code: int | None = None, hold_ms: int = 0
    ) -> None:
        if one.was_live or not one.channel.error:
            logger.warning("{} {}: lost, {}", self.venue, one.name, error)
        one.was_live = False
        one.topics.restart()
        one.channel.lost(now_ms, error, close_code=close_code, hold_ms=hold_ms)
        for heir in self._connections:
            if heir.replaces is one:  # it need not come back
                heir.replaces = None
                self._connections.remove(one)
                break

    async def _speak(self, now_ms: int) -> None:
        for one in list(self._connections):
            if one.socket is None or not one.channel.is_open or not one.topics.may_send(now_ms):
                continue
            if one.channel.ping_is_due(now_ms):
                message: bytes | None = self._wire.ping
                one.channel.pinged(now_ms)
                one.topics.sent(now_ms)
            else:
                message = one.topics.next_message(now_ms)
            if message is None:
                continue
            try:
                await one.socket.send(message)
            except FetchError as error:
                one.socket.ended = one.socket.ended or str(error)

    async def _replace_old(self, now_ms: int) -> None:
        for one in list(self._connections):
            old = one.replaces
            if old is not None:
                if one.topics.is_complete() and one.channel.live_ms(now_ms) >= OVERLAP_MS:
                    one.replaces = None
                    self._connections.remove(old)
                    await self._end(old)
            elif one.channel.is_old(now_ms) and not any(heir.replaces is one for heir in self._connections):
                heir = self._add(one.name, now_ms)
                heir.topics.add(one.topics.symbols)
                heir.replaces = one

    async def _end(self, one: _Connection) -> None:
        if one.opening is not None:
            one.opening.cancel()
            (result,) = await asyncio.gather(one.opening, return_exceptions=True)
            if isinstance(result, WebSocket):
                await result.close()
        if one.socket is not None:
            socket, one.socket = one.socket, None
            await socket.close()

    def retire(self, now_ms: int) -> None:
        """Take all connections for too old now, as after 23 hours."""
        for one in self._connections:
            one.channel.retire(now_ms)

    def _set_covered(self, now_ms: int) -> None:
        covered: set[str] = set()
        for one in self._connections:
            if one.channel.state in (State.LIVE, State.LAGGING):
                covered |= one.topics.covered(now_ms)
        self._covered = frozenset(covered)
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
        sockets = [one.socket for one in self._connections if one.socket is not None]
        return StreamReport(
            venue=self.venue,
            channels=tuple(self._channel_report(one, now_ms) for one in self._connections),
            prints=self._prints,
            gaps=self._merger.gaps,
            repeated=self._merger.repeated,
            late=self._merger.late,
            unreadable=self._unreadable,
            refused_messages=sum(one.topics.refused for one in self._connections),
            held_until_ms=self._held_until_ms,
            is_paused_between_readings=all(socket.can_pause for socket in sockets),
        )

    def _channel_report(self, one: _Connection, now_ms: int) -> ChannelReport:
        return ChannelReport(
            name=one.name,
            state=one.channel.state,
            wanted=len(one.topics),
            heard=one.topics.count(Stage.HEARD),
            accepted=one.topics.count(Stage.ACCEPTED),
            refused=one.topics.count(Stage.REFUSED),
            covered=sum(symbol in self._covered for symbol in one.topics.symbols),
            messages_per_s=one.channel.messages_per_s(now_ms),
            lag_p50_ms=one.channel.lag_ms(50),
            lag_p95_ms=one.channel.lag_ms(95),
            resyncs=one.topics.resyncs,
            losses=one.channel.reconnects,
            close_code=one.channel.close_code,
            error=one.channel.error,
        )
