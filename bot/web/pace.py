"""How much of the event loop's time requests may take, so that no flood of them delays a tick.

Each lane takes turns, in the order in which its requests came. What a request took is followed by a pause several
times as long, so that a lane, however many ask, leaves most of the loop to the rest of the bot. Strangers, who have
no token, readers and health checks have a lane each: none of them can keep another waiting.
"""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.web.access import Access

PAUSES = 5  #: a lane pauses so many times as long as it worked
LONGEST_PAUSE_S = 0.2  #: an answer that waits for the disk is slow, and costs the loop little
OVERHEAD_S = 0.001  #: of a request beside its handler
_AT_ONCE = 4  #: handlers of a lane that may wait for the disk


class Lane:
    """Requests that take turns."""

    def __init__(self) -> None:
        self._line = asyncio.Lock()  # first come, first served
        self._working = asyncio.Semaphore(_AT_ONCE)
        self._free_s = 0.0  # by the loop's time

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Wait for a turn, then answer."""
        loop = asyncio.get_running_loop()
        async with self._line:
            await self._working.acquire()
            try:
                if (wait_s := self._free_s - loop.time()) > 0:
                    await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                self._working.release()
                raise
        began_s = loop.time()
        try:
            return await handler(request)
        finally:
            self._working.release()
            now_s = loop.time()
            pause_s = min(LONGEST_PAUSE_S, PAUSES * (now_s - began_s + OVERHEAD_S))
            self._free_s = max(self._free_s, now_s) + pause_s


def paced(access: Access) -> Middleware:
    """Let requests take turns; /ws, which lasts, only waits for one, and reading goes on in its own time."""
    health, strangers, readers = Lane(), Lane(), Lane()

    @web.middleware
    async def take_turns(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/health":
            return await health.answer(request, handler)
        lane = readers if access.may_read(request) else strangers
        if request.path != "/ws":
            return await lane.answer(request, handler)
        await lane.answer(request, _nothing)
        return await handler(request)

    return take_turns


async def _nothing(_request: web.Request) -> web.StreamResponse:
    return web.Response()
