"""One WebSocket, read in batches: the only WebSocket I/O of the streams, and only FetchErrors out of it.

What a frame costs is the wake-up of the loop for it, not its parsing (docs/streams.md), so the transport is paused
between two readings: the kernel collects what comes, and one wake-up takes all of it.
"""

import asyncio
import contextlib
from typing import Any

import aiohttp
from aiohttp_socks import ProxyError

from fetchers.errors import FetchError, RateLimited, Unreachable
from fetchers.transport.route import Route
from fetchers.transport.session import open_session

DEADLINE_S = 10.0  #: of a handshake, and of a message that does not get away
SOCKETS = 64
LARGEST_MESSAGE = 4 * 2**20
TOO_MANY, REFUSED_BY_EDGE = (418, 429), (403, 451)
TOO_MANY_HOLD_MS, EDGE_HOLD_MS = 120_000, 600_000
DATA = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
WINDOW_BITS = 15  #: of permessage-deflate, as large as it gets


def session_for(url: str, route: Route) -> aiohttp.ClientSession:
    """Return a session for sockets to the host of `url`, by the route that its HTTP requests take."""
    return open_session(_as_http(url), route, sockets=SOCKETS)


def _as_http(url: str) -> str:
    return "http" + url.removeprefix("ws") if url.startswith("ws") else url


class WebSocket:
    """A connection that is open; what comes is kept until `take`."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]", transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._frames: list[bytes] = []
        self._is_paused = False
        self.ended = ""  #: why it is over, "" while it is not
        self.close_code: int | None = None
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, url: str, now_ms: int, *, is_compressed: bool) -> "WebSocket":
        """Return a connection after its handshake.

        Raises
        ------
        RateLimited
            The venue wants to be left alone, or its edge refuses us.
        Unreachable
            Whatever else went wrong.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                socket = await session.ws_connect(
                    _as_http(url),
                    compress=WINDOW_BITS if is_compressed else 0,
                    max_msg_size=LARGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                    decode_text=False,
                )
        except TimeoutError as error:
            raise Unreachable(f"{url}: no handshake within {DEADLINE_S:g} s") from error
        except aiohttp.WSServerHandshakeError as error:
            what = f"{url}: HTTP {error.status} at the handshake"
            if error.status in TOO_MANY:
                raise RateLimited(what, until_ms=now_ms + _hold_ms(error)) from error
            if error.status in REFUSED_BY_EDGE:
                raise RateLimited(what, until_ms=now_ms + EDGE_HOLD_MS) from error
            raise Unreachable(what) from error
        except (aiohttp.ClientError, ProxyError, OSError, ValueError) as error:
            raise Unreachable(f"{url}: {type(error).__name__}: {error}") from error
        return cls(socket, raw_transport(socket))

    async def _read(self) -> None:
        # reading what is buffered does not yield: one wake-up takes all of it
        try:
            while (message := await self._socket.receive()).type in DATA:
                self._frames.append(message.data)
        finally:
            self.close_code = self._socket.close_code
            error = self._socket.exception()
            self.ended = f"{type(error).__name__}: {error}" if error else f"closed with code {self.close_code}"

    @property
    def can_pause(self) -> bool:
        """Whether the raw transport was found; without it only time of the processor is lost."""
        return self._transport is not None

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if self._transport is not None and not self._is_paused and not self._transport.is_closing():
            self._transport.pause_reading()
            self._is_paused = True

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self._is_paused:
            self._transport.resume_reading()
            self._is_paused = False

    def take(self) -> list[bytes]:
        """Return the frames that came since the last call."""
        frames, self._frames = self._frames, []
        return frames

    async def send(self, message: bytes) -> None:
        """Send a text message.

        Raises
        ------
        Unreachable
            It does not get away.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._socket.send_str(message.decode())
        except (TimeoutError, aiohttp.ClientError, OSError, RuntimeError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    async def close(self, *, is_polite: bool = True) -> None:
        """End it: with the closing handshake, or at once where the other side is not to be waited for."""
        self.resume()
        if not is_polite and self._transport is not None:
            self._transport.abort()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, FetchError):
            await self._reader
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._socket.close()


def raw_transport(socket: Any) -> asyncio.Transport | None:
    """Return the transport of the TCP connection under a socket, None where it cannot be found.

    Pausing TLS's own transport stops only what it hands on; the TCP connection under it goes on waking the loop. There
    is no public way down to it.
    """
    transport = getattr(getattr(socket, "_conn", None), "transport", None)
    protocol = getattr(transport, "_ssl_protocol", None)
    return transport if protocol is None else getattr(protocol, "_transport", None)


def _hold_ms(error: aiohttp.WSServerHandshakeError) -> int:
    after = error.headers.get("Retry-After", "") if error.headers else ""
    return max(TOO_MANY_HOLD_MS, 1000 * int(after)) if after.isdecimal() and len(after) < 7 else TOO_MANY_HOLD_MS
