"""/ws: what happens, as it happens; and the leaderboard, the open signals and a heartbeat as often as a client wants.

A client may send {"refresh_s": 1 to 30}. It is sent {"type": ..., "data": ...}: signal, exit and venue at once, then
leaderboard, position and heartbeat with each tick that its refresh allows. Who reads too slowly is dropped.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from bot.core.event_queue import EventQueue
from bot.core.events import Event, SignalEnded, SignalGiven, TickEnded, VenueChanged
from bot.tasks import spawn
from bot.web.door import capacity
from bot.web.replies import to_json
from bot.web.source import StatusSource

SHORTEST_REFRESH_S, LONGEST_REFRESH_S, REFRESH_S = 1.0, 30.0, 5.0
_MOST_WAITING = 64  #: messages of a client that reads slowly
_PING_S = 20.0
_GOODBYE_S = 2.0
_LARGEST_MESSAGE = 256  #: bytes that a client may send


class _Client:
    def __init__(self, transport: asyncio.Transport | None) -> None:
        self.transport = transport
        # not compressed: each client would need its own compressor, of time in the loop and of memory
        self.socket = web.WebSocketResponse(
            heartbeat=_PING_S, max_msg_size=_LARGEST_MESSAGE, timeout=1.0, compress=False
        )
        self.refresh_s = REFRESH_S
        self.next_ms = 0.0  #: when the next leaderboard is due
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    async def send(self) -> None:
        while True:
            await self.socket.send_str((await self.waiting.get()).decode())


class Live:
    """Hands what has happened to every client."""

    def __init__(self, bot: StatusSource, queue: EventQueue) -> None:
        self._bot = bot
        self._queue = queue
        self._clients: set[_Client] = set()
        self.most = capacity() // 2  #: readers; the other half of the connections is for short requests, as /health
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0  #: clients that read too slowly, since the start

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    @property
    def waiting(self) -> int:
        """How many events wait to be handed on."""
        return len(self._queue)

    async def run(self) -> None:
        """Hand events on until cancelled."""
        async for event in self._queue.events():
            if self._clients:
                self._publish(event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it leaves."""
        if len(self._clients) >= self.most:
            raise web.HTTPServiceUnavailable(text=f"there are {self.most} readers already")
        client = _Client(request.transport)
        await client.socket.prepare(request)
        self._clients.add(client)
        sending = spawn(client.send(), name="web client", keep=self._tasks)
        client.waiting.put_nowait(self._heartbeat())
        try:
            async for message in client.socket:
                if message.type is WSMsgType.TEXT and (refresh_s := _refresh_s(message.data)) is not None:
                    client.refresh_s, client.next_ms = refresh_s, 0.0
        finally:
            self._clients.discard(client)
            sending.cancel()
        return client.socket

    async def close(self) -> None:
        """Let every client go, side by side; who does not say goodbye within a moment is cut."""
        leaving = [spawn(_say_goodbye(client), name="web client leaves", keep=self._tasks) for client in self._clients]
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=_GOODBYE_S)
            for task in late:
                task.cancel()
        for client in self._clients:
            if client.transport is not None:
                client.transport.abort()

    def _publish(self, event: Event) -> None:
        match event:
            case SignalGiven(signal):
                self._send("signal", {"signal": signal, "outcome": None})
            case SignalEnded(signal, outcome):
                self._send("exit", {"signal": signal, "outcome": outcome})
            case VenueChanged(notice):
                self._send("venue", notice)
            case TickEnded(tick):
                due = [client for client in self._clients if client.next_ms <= tick.ended_ms]
                for client in due:  # a little early rather than one tick late
                    client.next_ms = tick.ended_ms + 900 * client.refresh_s
                if due:
                    self._send("leaderboard", {"markets": self._bot.markets()}, due)
                    self._send("position", {"positions": self._bot.positions()}, due)
                    self._hand_over(self._heartbeat(), due)

    def _heartbeat(self) -> bytes:
        status = self._bot.status()
        body = {"now_ms": status.now_ms, "ticks": status.ticks, "problems": list(status.problems())}
        return to_json({"type": "heartbeat", "data": body})

    def _send(self, kind: str, data: Any, to: list[_Client] | None = None) -> None:
        self._hand_over(to_json({"type": kind, "data": data}), list(self._clients) if to is None else to)

    def _hand_over(self, message: bytes, clients: list[_Client]) -> None:
        for client in self._clients.intersection(clients):  # less those dropped since
            try:
                client.waiting.put_nowait(message)
            except asyncio.QueueFull:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.discard(client)
        self.dropped += 1
        logger.warning("web page: a client reads too slowly and is dropped ({} since the start)", self.dropped)
        if client.transport is not None:
            client.transport.abort()


async def _say_goodbye(client: _Client) -> None:
    with suppress(ConnectionError):
        await client.socket.close(code=WSCloseCode.GOING_AWAY, message=b"SGNL stops")


def _refresh_s(text: str) -> float | None:
    """Return what a client asks for, None where it asks for nothing that is understood."""
    try:
        asked: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    refresh_s = asked.get("refresh_s") if isinstance(asked, Mapping) else None
    if isinstance(refresh_s, bool) or not isinstance(refresh_s, int | float):
        return None
    return min(max(float(refresh_s), SHORTEST_REFRESH_S), LONGEST_REFRESH_S)
