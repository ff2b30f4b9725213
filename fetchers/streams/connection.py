"""One connection of a venue: its socket beside what is asked for on it and how it fares."""

import asyncio
from collections.abc import Callable, Collection

import aiohttp
import numpy as np
from loguru import logger

from fetchers.errors import FetchError, RateLimited
from fetchers.streams.channel import Channel, State
from fetchers.streams.stream_report import ChannelReport
from fetchers.streams.topics import Stage, Topics
from fetchers.streams.web_socket import WebSocket
from fetchers.streams.wire import ContractSizes, Heard, StreamWire

MOST_SOCKETS = 1_000_000  #: of one connection in the life of a bot
POLICY_VIOLATION, POLICY_HOLD_MS = 1008, 120_000  #: said to who sent too much; coming back at once makes it worse


class Connection:
    """One connection, opened again and again; `draw` returns random numbers in [0, 1)."""

    def __init__(self, wire: StreamWire, number: int, name: str, now_ms: int, draw: Callable[[], float]) -> None:
        self._number = number
        self.name = name
        self.topics = Topics(wire)
        self.channel = Channel(wire, now_ms, draw)
        self.replaces: Connection | None = None  #: an older one, until this one is heard
        self.held_until_ms = 0  #: the venue said so at a handshake
        self._wire = wire
        self._socket: WebSocket | None = None
        self._opening: asyncio.Task[WebSocket] | None = None
        self._was_live = False  # a line in the log says when that changes

    @property
    def number(self) -> int:
        """Another one for each socket of each connection."""
        return self._number * MOST_SOCKETS + self.channel.losses

    @property
    def has_socket(self) -> bool:
        """Whether there is something to read."""
        return self._socket is not None

    @property
    def can_pause(self) -> bool:
        """Whether its socket wakes the loop only when it is read; true while there is none."""
        return self._socket is None or self._socket.can_pause

    def open(self, session: aiohttp.ClientSession, url: str, now_ms: int) -> None:
        """Begin to open a socket."""
        self.channel.connecting()
        opening = WebSocket.open(session, url, now_ms, is_compressed=self._wire.is_compressed)
        self._opening = asyncio.get_running_loop().create_task(opening)  # `take_opened` takes its result

    def take_opened(self, now_ms: int) -> bool:
        """Take the socket if it is open by now; false where it could not be opened."""
        if self._opening is None or not self._opening.done():
            return True
        opening, self._opening = self._opening, None
        try:
            self._socket = opening.result()
        except RateLimited as error:
            self.held_until_ms = error.until_ms
            self._lost(now_ms, str(error), hold_ms=max(0, error.until_ms - now_ms))
        except FetchError as error:
            self._lost(now_ms, str(error))
        else:
            self.channel.connected(now_ms)
        return self.has_socket

    def resume(self) -> None:
        """Let the socket hand over what the kernel has."""
        if self._socket is not None:
            self._socket.resume()

    def read(self, now_ms: int, contract_sizes: ContractSizes, clock_offset_ms: float) -> Heard | None:
        """Return what came since the last reading, None where nothing did."""
        if self._socket is None:
            return None
        self._socket.pause()
        frames = self._socket.take()
        if not frames:
            return None
        heard = self._wire.read(frames, contract_sizes)
        for answer in heard.answers:
            if answer.error:
                logger.warning("{} {}: a message was refused: {}", self._wire.venue, self.name, answer.error)
            self.topics.answered(answer, now_ms)
        self.topics.heard(heard.heard - heard.spoilt, now_ms)
        for symbol in heard.spoilt:
            self.topics.ask_again(symbol, now_ms)
        lag_ms = np.asarray(now_ms + clock_offset_ms - heard.sent_ms)
        if self.topics.symbols.isdisjoint(heard.heard):
            lag_ms = lag_ms[:0]  # of nothing that is wanted, so it is no data
        self.channel.received(now_ms, len(lag_ms), lag_ms, has_pong=heard.has_pong)
        if not self._was_live and self.channel.state is State.LIVE:
            self._was_live = True
            logger.info("{} {}: live", self._wire.venue, self.name)
        return heard

    async def end_faulty(self, now_ms: int) -> bool:
        """End the socket if it is over or not worth keeping; true where it was."""
        if self._socket is None:
            return False
        fault = self._socket.ended or self.channel.fault(now_ms)
        if not fault:
            return False
        socket, self._socket = self._socket, None
        hold_ms = POLICY_HOLD_MS if socket.close_code == POLICY_VIOLATION else 0
        self._lost(now_ms, fault, close_code=socket.close_code, hold_ms=hold_ms)
        await socket.close(is_polite=False)
        return True

    def _lost(self, now_ms: int, error: str, *, close_code: int | None = None, hold_ms: int = 0) -> None:
        if self._was_live or not self.channel.error:
            logger.warning("{} {}: lost, {}", self._wire.venue, self.name, error)
        self._was_live = False
        self.topics.restart()
        self.channel.lost(now_ms, error, close_code=close_code, hold_ms=hold_ms)

    async def speak(self, now_ms: int) -> None:
        """Send what is due, one message at most."""
        if self._socket is None or not self.channel.is_open:
            return
        if self.channel.ping_is_due(now_ms) and self.topics.take_turn(now_ms):
            self.channel.pinged(now_ms)
            message: bytes | None = self._wire.ping
        else:
            message = self.topics.next_message(now_ms)
        if message is None:
            return
        try:
            await self._socket.send(message)
        except FetchError as error:
            if self._socket is not None:
                self._socket.ended = self._socket.ended or str(error)

    def covered(self, now_ms: int) -> set[str]:
        """Return the symbols whose prints surely come."""
        return self.topics.covered(now_ms) if self.channel.brings_data else set()

    async def end(self, *, is_polite: bool = True) -> None:
        """End it for good; who reads the others meanwhile does not wait for the venue's farewell."""
        if self._opening is not None:
            self._opening.cancel()
            (result,) = await asyncio.gather(self._opening, return_exceptions=True)
            if isinstance(result, WebSocket):
                await result.close(is_polite=is_polite)
        if self._socket is not None:
            socket, self._socket = self._socket, None
            await socket.close(is_polite=is_polite)

    def report(self, now_ms: int, covered: Collection[str]) -> ChannelReport:
        """Return how it is doing."""
        lag_p50_ms, lag_p95_ms = self.channel.lags_ms()
        return ChannelReport(
            name=self.name,
            state=self.channel.state,
            wanted=len(self.topics),
            heard=self.topics.count(Stage.HEARD),
            unheard=tuple(self.topics.at(Stage.ACCEPTED)),
            refused=self.topics.count(Stage.REFUSED),
            covered=sum(symbol in covered for symbol in self.topics.symbols),
            messages_per_s=self.channel.messages_per_s(now_ms),
            lag_p50_ms=lag_p50_ms,
            lag_p95_ms=lag_p95_ms,
            resyncs=self.topics.resyncs,
            losses=self.channel.losses,
            close_code=self.channel.close_code,
            error=self.channel.error,
        )
