"""A URL requested every minute while all is well, so that its watcher learns of a bot that is unwell or gone."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import aiohttp
from aiohttp_socks import ProxyError
from loguru import logger

from bot.clock import Clock
from fetchers.transport.route import Route
from fetchers.transport.session import open_session

_EVERY_S = 60.0
_LOOK_AGAIN_S = 5.0  #: while all is not well
_ANSWER_S = 10.0


class Heartbeat:
    """Asks for HEARTBEAT_URL, until cancelled."""

    def __init__(self, url: str, route: Route, clock: Clock, problems: Callable[[], Iterable[str]]) -> None:
        self._url = url
        self._route = route
        self._clock = clock
        self._problems = problems
        self.fault = ""  #: why the last request failed; the URL is a secret

    async def run(self) -> None:
        """Ask while there is no problem."""
        async with open_session(self._url, self._route, sockets=1) as session:
            while True:
                if any(self._problems()):
                    await self._clock.sleep(_LOOK_AGAIN_S)
                else:
                    await self._beat(session)
                    await self._clock.sleep(_EVERY_S)

    def notes(self) -> Iterator[str]:
        """Yield why the last request failed, for /status."""
        if self.fault:
            yield f"HEARTBEAT_URL: {self.fault}"

    async def _beat(self, session: aiohttp.ClientSession) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S), session.get(self._url) as answer:
                fault = "" if answer.ok else f"the answer was HTTP {answer.status}"
        except TimeoutError:
            fault = f"no answer within {_ANSWER_S:.0f} s"
        except (aiohttp.ClientError, ProxyError, OSError, ValueError) as error:
            fault = f"it cannot be reached ({type(error).__name__})"  # its text may hold the URL
        if fault and not self.fault:
            logger.warning("HEARTBEAT_URL: {}", fault)
        self.fault = fault
