"""Requests to the Bot API by aiohttp, as all others of the bot: half as long to the door as by PTB's own httpx.

What goes wrong says whether the request had left, and never its URL, of which the token is part.
"""

from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from telegram.error import NetworkError
from telegram.request import BaseRequest, RequestData

_UPLOAD_S = 20.0  #: more than for a text
# What aiohttp raises before a byte of the request has left.
_NEVER_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


class NeverLeft(NetworkError):
    """Nothing of the request has reached Telegram."""


class NoAnswer(NetworkError):
    """The request may have reached Telegram; its answer was lost."""


class AiohttpRequest(BaseRequest):
    """PTB's way to the network, through the proxy that HTTPS_PROXY and its like name."""

    def __init__(self, api_url: str, *, connections: int, connect_s: float, answer_s: float) -> None:
        scheme, host = urlsplit(api_url).scheme, urlsplit(api_url).hostname or ""
        self._proxy = None if proxy_bypass(host) else getproxies().get(scheme)
        self._connections = connections
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        """How long an answer may take [s]; a long poll adds its own time to it."""
        return self._answer_s

    async def initialize(self) -> None:
        """Open the session, no connection yet."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(connector=connector, proxy=self._proxy)

    async def shutdown(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Return status and body of the answer.

        Raises
        ------
        NeverLeft, NoAnswer
            There is none.
        """
        del write_timeout, connect_timeout, pool_timeout  # nobody sets them
        await self.initialize()
        assert self._session is not None
        form = aiohttp.FormData(request_data.json_parameters if request_data else ())
        files = request_data.multipart_data if request_data else {}
        for field, (filename, content, content_type) in files.items():
            form.add_field(field, content, filename=filename, content_type=content_type)
        answer_s = self._answer_s if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        # No read timeout but one for the whole: aiohttp #12953, see fetchers/client.py.
        timeout = aiohttp.ClientTimeout(
            total=self._connect_s + answer_s + (_UPLOAD_S if files else 0), connect=self._connect_s
        )
        headers = {"User-Agent": self.USER_AGENT}
        try:
            async with self._session.request(method, url, data=form, headers=headers, timeout=timeout) as answer:
                return answer.status, await answer.read()
        except _NEVER_LEFT as error:
            raise NeverLeft(_words(error)) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise NoAnswer(_words(error)) from None


def _words(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, aiohttp.ClientConnectorError) else name  # others may name the URL
