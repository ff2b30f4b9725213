"""Sockets of the simulated streams: the push of prints, the venue's limits, and for tests what goes wrong."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from aiohttp import WSMsgType, web

from features.facts.venues import VENUES
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.streams.stream_faults import StreamFault, damaged, is_half, spoilt
from fetchers.simulated.streams.stream_wire import Client, Closed, Print, PrintsAhead, SimulatedStream

STREAMS: dict[str, Callable[[SimulatedMarket], SimulatedStream]] = {
    venue.id: import_module(f"fetchers.simulated.streams.{venue.id}").STREAM
    for venue in VENUES.values()
    if venue.has_stream
}
PUSH_MS = 100
PING_MS, PONG_WITHIN_MS = 180_000, 600_000
PENALTY_MS = 120_000  #: without connections, for who was closed with 1008
LARGEST_BACKLOG = 2**20  #: bytes that a client has not read; it is closed beyond
DRIP_MS = 4_000
REPLAYED_MS = 5_000
TEXT = 0x81  #: a whole frame of text
GOING_AWAY = 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsSeen:
    """What one venue's stream has seen."""

    connects: int
    connects_5_min: int  #: the most within any five minutes
    refused: int  #: messages and topics
    closed_for_pace: int
    open: int


@dataclass(slots=True, eq=False)
class _Peer:
    client: Client
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    is_compressed: bool
    ponged_ms: int
    pinged_ms: int
    replays: bool  #: the next push begins with the last seconds
    waiting: list[tuple[int, bytes]] = field(default_factory=list)


class StreamServer:
    """One venue's stream; `faults` are what goes wrong from now on."""

    def __init__(
        self, venue: str, market: SimulatedMarket, now_ms: Callable[[], int], faults: dict[StreamFault, str]
    ) -> None:
        self.stream = STREAMS[venue](market)
        self._market = market
        self._now_ms = now_ms
        self._faults = faults
        self._ahead = PrintsAhead(market, venue, PUSH_MS)
        self._symbols = {self.stream.topic(row.id): row.id for row in market.rows[venue]}
        self._peers: list[_Peer] = []
        self._recent: list[Print] = []
        self._pushing: asyncio.Task[None] | None = None
        self._penalty_until_ms = 0
        self._connects: list[int] = []
        self._most_connects = 0
        self._closed_for_pace = 0
        self._closing = asyncio.Event()

    def seen(self) -> StreamsSeen:
        """Return what came so far."""
        return StreamsSeen(
            connects=len(self._connects),
            connects_5_min=self._most_connects,
            refused=self.stream.refused,
            closed_for_pace=self._closed_for_pace,
            open=len(self._peers),
        )

    async def close(self, code: int = GOING_AWAY) -> None:
        """End all connections."""
        self._closing.set()
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
            self._pushing = None
        await self.end_all(code)

    async def end_all(self, code: int) -> None:
        """End all connections with a code, without one for 1006."""
        for peer in list(self._peers):
            if code == 1006:  # no code is sent: the connection is cut
                peer.transport.abort()
            else:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    await asyncio.wait_for(peer.socket.close(code=code), 1.0)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take a connection until it ends."""
        now_ms = self._now_ms()
        if request.path not in self.stream.paths:
            return web.Response(status=404)
        if "hang" in self._faults:
            self._closing.clear()
            await self._closing.wait()
            return web.Response()
        if "forbidden" in self._faults:
            return web.Response(status=403, text="<html>403 Forbidden</html>", content_type="text/html")
        if "too_many" in self._faults or now_ms < self._penalty_until_ms:
            return web.Response(status=429, headers={"Retry-After": "30"})
        self._connects.append(now_ms)
        self._most_connects = max(self._most_connects, sum(now_ms - at_ms < 300_000 for at_ms in self._connects))
        socket = web.WebSocketResponse(autoping=False, compress=self.stream.is_compressed, timeout=1.0)
        await socket.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        client = Client(route=request.path, opened_ms=now_ms, last_ping_ms=now_ms)
        peer = _Peer(client, socket, transport, bool(socket.compress), now_ms, now_ms, "replay" in self._faults)
        self._peers.append(peer)
        if self._pushing is None:
            self._pushing = asyncio.get_running_loop().create_task(self._push_for_ever())
        try:
            await self._listen(peer)
        finally:
            self._peers.remove(peer)
        return socket

    async def _listen(self, peer: _Peer) -> None:
        async for message in peer.socket:
            if message.type is WSMsgType.PONG:
                peer.ponged_ms = self._now_ms()
            elif message.type is WSMsgType.PING:
                await peer.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                try:
                    replies = self._replies(peer.client, message.data)
                except Closed as closed:
                    self._closed_for_pace += 1
                    self._penalty_until_ms = self._now_ms() + PENALTY_MS
                    await peer.socket.close(code=closed.code, message=closed.words.encode())
                    return
                for reply in replies:
                    await peer.socket.send_str(reply.decode())

    def _replies(self, client: Client, text: str) -> list[bytes]:
        now_ms = self._now_ms()
        before = dict(client.topics)
        is_leaving = "nsub" in text[:40].lower()
        replies = self.stream.message(client, text, now_ms)
        if "unsubscribed_goes_on" in self._faults and is_leaving:
            client.topics |= before
        added = [topic for topic in client.topics if topic not in before]
        if "half" in self._faults:
            for topic in added:
                if is_half(topic):
                    del client.topics[topic]
        for topic in added:
            if symbol := self._symbols.get(topic):
                self._ahead.follow(symbol, now_ms)
        if "no_pong" in self._faults:
            replies = [reply for reply in replies if b"pong" not in reply]
        return replies

    async def _push_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PUSH_MS / 1000)
            now_ms = self._now_ms()
            prints: dict[str, list[Print]] = {}
            for one in self._ahead.take(now_ms):
                prints.setdefault(one.symbol, []).append(one)
            frames = {symbol: self.stream.frames(symbol, found, now_ms) for symbol, found in prints.items()}
            frames = spoilt(self._faults, frames, now_ms)
            self._recent = [one for one in self._recent if now_ms - one.time_ms < REPLAYED_MS]
            self._recent += [one for found in prints.values() for one in found]
            for peer in list(self._peers):
                await self._push(peer, frames, now_ms)

    async def _push(self, peer: _Peer, frames: dict[str, list[bytes]], now_ms: int) -> None:
        client = peer.client
        silence_ms = self.stream.client_silence_ms
        is_over = now_ms - client.opened_ms >= self.stream.life_ms
        is_over |= silence_ms is not None and now_ms - client.last_ping_ms >= silence_ms
        is_over |= silence_ms is None and now_ms - peer.ponged_ms >= PONG_WITHIN_MS
        if is_over or peer.transport.get_write_buffer_size() > LARGEST_BACKLOG:
            peer.transport.abort()
            return
        if silence_ms is None and now_ms - peer.pinged_ms >= PING_MS:
            peer.pinged_ms = now_ms
            await peer.socket.ping()
        if peer.replays and client.topics:
            peer.replays = False
            old: dict[str, list[Print]] = {}
            for one in self._recent:
                old.setdefault(one.symbol, []).append(one)
            frames = {
                symbol: self.stream.frames(symbol, found, now_ms) for symbol, found in old.items()
            }  # this push's prints are the last of them
        mine = [frame for symbol, found in frames.items() if self.stream.sends(client, symbol) for frame in found]
        mine = damaged(self._faults, mine)
        if "drip" in self._faults or peer.waiting:
            peer.waiting += [(now_ms + DRIP_MS, frame) for frame in mine]
            mine = [frame for due_ms, frame in peer.waiting if due_ms <= now_ms or "drip" not in self._faults]
            peer.waiting = peer.waiting[len(mine) :]
        if mine and "stall" not in self._faults:
            await self._send(peer, mine)

    async def _send(self, peer: _Peer, frames: list[bytes]) -> None:
        if peer.transport.is_closing():
            return
        if "reset" in self._faults:
            peer.transport.write(framed(frames[0])[:-5])
            peer.transport.abort()
        elif peer.is_compressed:
            with contextlib.suppress(ConnectionError):
                for frame in frames:
                    await peer.socket.send_str(frame.decode(errors="replace"))
        else:
            peer.transport.write(b"".join(map(framed, frames)))


def framed(payload: bytes) -> bytes:
    """Return a whole frame of text, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 2**16:
        return struct.pack("!BBH", TEXT, 126, size) + payload
    return struct.pack("!BBQ", TEXT, 127, size) + payload
