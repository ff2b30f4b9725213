"""The web app's connections: how many there may be, how long each may take, and the answer to what is no HTTP."""

import asyncio
import resource
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from loguru import logger

from bot.web.replies import HEADERS, json_response

REQUEST_S = 10.0  #: from the connection to the end of the request's headers
REPLY_S = 60.0  #: from the handler's end to the next request: for a slow reader
KEEPALIVE_S = 15.0
MOST_CONNECTIONS = 200
_LOG_EVERY_S = 60.0


def capacity() -> int:
    """Return how many connections there may be: fewer than would take the files of the venues' and Telegram's calls."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 4)


class Door:
    """Lets in fewer connections than would take the files that the venues' and Telegram's calls need."""

    def __init__(self) -> None:
        self.capacity = capacity()
        self.connections: dict[Connection, None] = {}  # in the order in which they came
        self.cut = 0  #: connections that took too long, or had to make room
        self._logged_s = -_LOG_EVERY_S

    def factory(self, server: web.Server) -> "Callable[[], Connection]":
        """Return what makes the protocol of each new connection."""
        loop = asyncio.get_running_loop()
        return lambda: Connection(
            server, door=self, loop=loop, access_log=None, keepalive_timeout=KEEPALIVE_S, lingering_time=1.0
        )

    def enter(self, connection: "Connection") -> None:
        """Make room for one more: by the oldest that waits for its request, or where all are served by none."""
        if len(self.connections) >= self.capacity:
            waiting = (one for one in self.connections if not one.is_served)
            self.count_cut()
            if (oldest := next(waiting, None)) is None:
                connection.cut()
                return
            oldest.cut()
        self.connections[connection] = None

    def count_cut(self) -> None:
        """Count a connection that is cut, and say so from time to time."""
        self.cut += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            logger.warning(
                "web app: {} connections cut since the start: too slow, or more than {} at once",
                self.cut,
                self.capacity,
            )


class Connection(web.RequestHandler):
    """One connection; it is cut where its request or the reading of the reply takes too long."""

    def __init__(self, server: web.Server, *, door: Door, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self.is_served = False  #: a handler is at work
        self._door = door
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(REQUEST_S)
        self._door.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        self._stop_timer()
        self._door.connections.pop(self, None)
        super().connection_lost(exc)

    def cut(self) -> None:
        """End it at once, whatever is under way."""
        self._door.connections.pop(self, None)
        self._stop_timer()
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what a handler broke on, in our own words, and close the connection."""
        if status >= web.HTTPInternalServerError.status_code:
            super().handle_error(request, status, exc, message)  # for its log
        text = "something went wrong here, the log says what" if status >= 500 else "this is no HTTP request"
        answer = json_response({"error": text}, status)
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._door.count_cut()
        self.cut()

    async def serve(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Let a handler take its time, then begin to wait for its reply to be read."""
        self._stop_timer()
        self.is_served = True
        try:
            return await handler(request)
        finally:
            self.is_served = False
            if self.transport is not None:
                self._wait(REPLY_S)


@web.middleware
async def whole(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take in the request's body, by the clock of the request: who sends none is cut, or makes room."""
    if request.can_read_body:
        try:
            await request.read()
        except (ConnectionError, web.RequestPayloadError):
            raise web.HTTPBadRequest(text="the request was cut short") from None
    return await handler(request)


@web.middleware
async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Stop the connection's clock while a handler is at work; until then it may be cut to make room."""
    connection = request.protocol
    return await (connection.serve(handler, request) if isinstance(connection, Connection) else handler(request))
