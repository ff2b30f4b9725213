"""The web app: what the bot knows as JSON, for reading only.

With a token every path but /health asks for it, and /health then tells strangers (a container's health check cannot
easily carry one) nothing but whether all is well.
"""

import errno
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.config import HttpSettings
from bot.status import BotStatus
from scoring.signals import Outcome, Signal

ENDPOINTS = {
    "/health": "200, or 503 with the reasons",
    "/api/status": "the bot and its venues",
    "/api/markets": "the leaderboard",
    "/api/markets/{venue}/{id}": "one pair: features, sub-scores, gates and what is missing",
    "/api/signals?symbol=&since=&limit=": "signals and their outcomes, newest first; since in epoch milliseconds",
    "/api/signals/{id}": "one of them",
}
LARGEST = 2**53  #: what JSON's readers count up to
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "SGNL",  # in place of the versions of aiohttp and Python
    "X-Content-Type-Options": "nosniff",
}


class WebError(Exception):
    """The web app cannot listen; the text names the setting to change."""


class StatusSource(Protocol):
    """What the app asks of the running bot."""

    def status(self) -> BotStatus:
        """Return the bot's state now."""

    def markets(self) -> Sequence[Mapping[str, Any]]:
        """Return the leaderboard, best first; numbers may be NaN or numpy's."""

    def market(self, venue: str, instrument_id: str) -> Mapping[str, Any] | None:
        """Return everything known of one pair, None where it is not watched."""


class SignalSource(Protocol):
    """What the app asks of the database."""

    async def signals(
        self, symbol: str | None = None, since_ms: int | None = None, limit: int = 100
    ) -> list[tuple[Signal, Outcome | None]]:
        """Return signals with their outcomes, newest first."""

    async def signal(self, signal_id: int) -> tuple[Signal, Outcome | None] | None:
        """Return one, None where there is no such id."""


def build_app(bot: StatusSource, history: SignalSource, token: str) -> web.Application:
    """Return the application; `token` "" asks nobody for one."""
    app = web.Application(middlewares=[_errors_as_json, _token_check(token)])
    app.on_response_prepare.append(_add_headers)
    app.add_routes(_Pages(bot, history, token).routes())
    return app


@asynccontextmanager
async def serve(app: web.Application, settings: HttpSettings) -> AsyncIterator[str]:
    """Listen while the context lasts, which is given the base URL.

    Raises
    ------
    WebError
        The address or the port cannot be had.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise WebError(_explain(error, settings)) from error
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _explain(error: OSError, settings: HttpSettings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT: port {settings.port} on {settings.host} is in use by another program, choose another"
    if error.errno == errno.EACCES:
        return f"HTTP_PORT: port {settings.port} on {settings.host} is not allowed, choose one above 1023"
    return f"HTTP_HOST: cannot listen on {settings.host}, port {settings.port} ({error.strerror})"


class _Pages:
    def __init__(self, bot: StatusSource, history: SignalSource, token: str) -> None:
        self._bot = bot
        self._history = history
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/health", self.health),
            web.get("/api/status", self.status),
            web.get("/api/markets", self.markets),
            web.get("/api/markets/{venue}/{id}", self.market),
            web.get("/api/signals", self.signals),
            web.get("/api/signals/{id:[0-9]{1,18}}", self.signal),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        return _json({"name": "SGNL", "paths": ENDPOINTS})

    async def health(self, request: web.Request) -> web.Response:
        status = self._bot.status()
        problems = list(status.problems())
        answer: dict[str, Any] = {"status": "unwell" if problems else "ok"}
        if _may_read(request, self._token):
            answer |= {
                "problems": problems,
                "funnels": status.funnels,
                "venues": {venue.venue: venue.state for venue in status.venues},
                "incidents": status.incidents,
            }
        return _json(answer, 503 if problems else 200)

    async def status(self, _request: web.Request) -> web.Response:
        status = self._bot.status()
        return _json({"status": status, "problems": list(status.problems())})

    async def markets(self, _request: web.Request) -> web.Response:
        return _json({"markets": self._bot.markets()})

    async def market(self, request: web.Request) -> web.Response:
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        market = self._bot.market(venue, instrument_id)
        if market is None:
            raise web.HTTPNotFound(text=f"{venue} {instrument_id} is not watched")
        return _json(market)

    async def signals(self, request: web.Request) -> web.Response:
        if unknown := request.query.keys() - {"symbol", "since", "limit"}:
            raise web.HTTPBadRequest(text=f"{min(unknown)}: is not known here, expected symbol, since or limit")
        found = await self._history.signals(
            symbol=request.query.get("symbol") or None,
            since_ms=_whole(request, "since", 0, LARGEST),
            limit=_whole(request, "limit", 1, 1000) or 100,
        )
        return _json({"signals": [_signal(pair) for pair in found]})

    async def signal(self, request: web.Request) -> web.Response:
        signal_id = int(request.match_info["id"])
        found = await self._history.signal(signal_id) if signal_id <= LARGEST else None
        if found is None:
            raise web.HTTPNotFound(text=f"there is no signal {signal_id}")
        return _json(_signal(found))


def _signal(pair: tuple[Signal, Outcome | None]) -> dict[str, Any]:
    signal, outcome = pair
    return {"signal": signal, "outcome": outcome}


def _whole(request: web.Request, name: str, low: int, high: int) -> int | None:
    """The query's number, None where it is not given."""
    text = request.query.get(name)
    if not text:
        return None
    if not text.isdecimal() or not low <= int(text[:20]) <= high:
        raise web.HTTPBadRequest(text=f'{name}: was "{text}", expected a whole number from {low} to {high}')
    return int(text)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        # orjson writes NaN as null
        body=orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY),
        content_type="application/json",
    )


def _may_read(request: web.Request, token: str) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    return not token or hmac.compare_digest(given, f"Bearer {token}".encode())


def _token_check(token: str) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/health" and not _may_read(request, token):
            raise web.HTTPUnauthorized(
                text="expected the header Authorization: Bearer HTTP_TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    return check


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = _json({"error": error.text}, error.status)
        answer.headers.update(
            {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
        )
        return answer


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
