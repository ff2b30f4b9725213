"""Requests to the Bot API by aiohttp, as all others of the bot: half as long to the door as by PTB's own httpx.

What goes wrong says whether the request had left, and never its URL, of which the token is part. Only an answer in
Telegram's own words is handed to PTB: whatever is between us and the Bot API answers 403, 404 or 502 for itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp_socks import ProxyError
from telegram.error import NetworkError
from telegram.request import BaseRequest, RequestData

from bot.chat.texts.phrases import duration_text
from bot.clock import Clock, SystemClock
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.transport.session import open_session

_UPLOAD_S = 20.0  #: more than for a text
_LONGEST_WORDS = 300  #: a proxy's page can be as long as it likes
_CLOCK_IS_OFF_S = 5.0
_LONGEST_OFFSET_MS = 86_400_000  #: a Date further off than a day is some cache's and no clock's


@dataclass(slots=True)
class TelegramClock:
    """How far this machine's clock is off Telegram's, by the Date of Telegram's answers."""

    clock: Clock = field(default_factory=SystemClock)
    offset_ms: int = 0  #: Telegram's time less ours; 0 before the first answer

    def now_ms(self) -> int:
        """Return the time in Telegram's count [epoch ms]."""
        return self.clock.now_ms() + self.offset_ms

    def learn(self, date: str) -> None:
        """Take the Date header of an answer that has just come; it counts whole seconds."""
        try:
            told_ms = round(1000 * parsedate_to_datetime(date).timestamp()) + 500
        except ValueError:
            return  # no Date, or none that says a time: the offset stays as it was
        offset_ms = told_ms - self.clock.now_ms()
        if abs(offset_ms) <= _LONGEST_OFFSET_MS:
            self.offset_ms = offset_ms

    def notes(self) -> Iterator[str]:
        """Yield that this machine's clock is off Telegram's, where it is, for /status."""
        offset_s = self.offset_ms / 1000
        if abs(offset_s) >= _CLOCK_IS_OFF_S:
            way = "behind" if offset_s > 0 else "ahead of"
            yield f"this machine's clock is {duration_text(abs(offset_s))} {way} Telegram's: set it by NTP"


class NeverLeft(NetworkError):
    """Nothing of the request has reached Telegram."""


class NoAnswer(NetworkError):
    """The request may have reached Telegram; its answer was lost."""


class NotTelegram(NoAnswer):
    """Something else answered, or Telegram with an error of its own: the request may have been carried out."""


class Redirected(NotTelegram):
    """The server sends us elsewhere; no redirect is followed, which would make a GET of what was to be sent."""

    def __init__(self, base_url: str) -> None:
        super().__init__(f"it redirects to {base_url}: set TELEGRAM_API_URL to that")


class AiohttpRequest(BaseRequest):
    """PTB's way to the network, by the same rule for proxies as the venues (fetchers/transport/route.py)."""

    def __init__(
        self,
        api_url: str,
        *,
        route: Route = ANY_ROUTE,
        connections: int,
        connect_s: float,
        answer_s: float,
        telegram_clock: TelegramClock | None = None,
    ) -> None:
        self._api_url = api_url
        self._route = route
        self._connections = connections
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._session: aiohttp.ClientSession | None = None
        self.telegram_clock = telegram_clock or TelegramClock()

    @property
    def read_timeout(self) -> float:
        """How long an answer may take [s]; a long poll adds its own time to it."""
        return self._answer_s

    async def initialize(self) -> None:
        """Open the session, no connection yet."""
        if self._session is None:
            self._session = open_session(
                self._api_url, self._route, sockets=self._connections, trace_configs=[_tracing()]
            )

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
        """Return Telegram's code and the body of its answer.

        Raises
        ------
        NeverLeft
            No connection was made, through a proxy not as far as Telegram.
        NoAnswer
            The request had left, and no answer of Telegram's says what became of it.
        """
        del write_timeout, connect_timeout, pool_timeout  # nobody sets them
        await self.initialize()
        assert self._session is not None
        form = aiohttp.FormData(request_data.json_parameters if request_data else ())
        files = request_data.multipart_data if request_data else {}
        for name, (filename, content, content_type) in files.items():
            form.add_field(name, content, filename=filename, content_type=content_type)
        answer_s = self._answer_s if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        # No read timeout but one for the whole: aiohttp #12953, see fetchers/transport/client.py.
        timeout = aiohttp.ClientTimeout(
            total=self._connect_s + answer_s + (_UPLOAD_S if files else 0), connect=self._connect_s
        )
        headers = {"User-Agent": self.USER_AGENT}
        progress = SimpleNamespace(is_connected=False)
        try:
            async with self._session.request(
                method,
                url,
                data=form,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as answer:
                body = await answer.read()
        except (TimeoutError, aiohttp.ClientError, ProxyError, OSError) as error:
            raise (NoAnswer if progress.is_connected else NeverLeft)(_words(error)) from None
        code = _code(answer.status, answer.headers, body, url)
        self.telegram_clock.learn(answer.headers.get("Date", ""))
        return code, body


def _code(status: int, headers: Mapping[str, str], body: bytes, url: str) -> int:
    """Return the code of an answer in Telegram's own words; they count, and not the status of who hands them on.

    Raises
    ------
    NotTelegram
        The words are not Telegram's, or they speak of an error on its side: of a 5xx it is not known whether it was
        raised before the request was carried out (tdlib: "Request aborted") or after (telegram-bot-api, at its end).
    """
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise Redirected(_base_url(urljoin(url, headers.get("Location", ""))))
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    match said:
        case {"ok": True} if status < HTTPStatus.MULTIPLE_CHOICES:
            return status
        case {"ok": False, "error_code": int(code), "description": str(words)}:
            if max(code, status) >= HTTPStatus.INTERNAL_SERVER_ERROR or code < HTTPStatus.BAD_REQUEST:
                raise NotTelegram(f"HTTP {status}: {words[:_LONGEST_WORDS]}")
            return code
    raise NotTelegram(f"HTTP {status}, not in Telegram's words")


def _base_url(url: str) -> str:
    """Return what TELEGRAM_API_URL would have to be for that, the token cut off."""
    return url.partition("/bot")[0].partition("?")[0][:_LONGEST_WORDS]


def _tracing() -> aiohttp.TraceConfig:
    """Return what notes in a request's context that it has a connection, from which on bytes of it may leave.

    One through a proxy is made once the proxy has answered CONNECT.
    """

    async def connected(_session: object, context: SimpleNamespace, _parameters: object) -> None:
        context.trace_request_ctx.is_connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _words(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, aiohttp.ClientConnectorError) else name  # others may name the URL
