"""The web app: what the bot knows as JSON, for reading only.

With a token every path but /health asks for it, and /health then tells strangers (a container's health check cannot
easily carry one) nothing but whether all is well.
"""

import asyncio
import errno
import hmac
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.config.load import is_loopback
from bot.config.settings import HttpSettings
from bot.core.performance import Filters, as_plain, make_report
from bot.core.status import BotStatus
from bot.web.door import HEADERS, Door, json_response, timed
from scoring.signals import Outcome, Signal
from storage.store import StoreReader

ENDPOINTS = {
    "/health": "200, or 503 with the reasons",
    "/metrics": "the figures for Prometheus",
    "/api/status": "the bot and its venues",
    "/api/markets": "the leaderboard",
    "/api/markets/{venue}/{id}": "one pair: features, sub-scores, gates and what is missing",
    "/api/signals?symbol=&since=&limit=": "signals and their outcomes, newest first; since in epoch milliseconds",
    "/api/signals/{id}": "one of them, and the controls that were drawn with it",
    "/api/near_misses?since=&limit=": "near misses and what they would have made, newest first",
    "/api/stats?days=": "what signals have made, beside what chance made; every day without days",
}
LARGEST = 2**53  #: what JSON's readers count up to
_DIGITS = len(str(LARGEST))
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
_DAY_MS, _MOST_DAYS = 86_400_000, 36_500
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SHOWN = 40  #: characters of a bad value that an answer shows


class WebError(Exception):
    """The web app cannot listen; the text names the setting to change."""


class StatusSource(Protocol):
    """The running bot as the app reads it."""

    def status(self) -> BotStatus:
        """Return the bot's state now."""

    def markets(self) -> Sequence[Mapping[str, Any]]:
        """Return the leaderboard, best first; numbers may be NaN or numpy's."""

    def market(self, venue: str, instrument_id: str) -> Mapping[str, Any] | None:
        """Return everything known of one pair, None where it is not watched."""


def build_app(
    bot: StatusSource,
    history: StoreReader,
    token: str,
    hosts: Collection[str] = (),
    *,
    metrics: Callable[[BotStatus], bytes],
) -> web.Application:
    """Return the application; `token` "" asks nobody for one, `hosts` are names to be asked by beside loopback's.

    `metrics` gives the figures for Prometheus as text.
    """
    app = web.Application(middlewares=[timed, _errors_as_json, _host_check(hosts), _token_check(token)])
    app.on_response_prepare.append(_add_headers)
    app.add_routes(_Pages(bot, history, token, metrics).routes())
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
        assert runner.server is not None
        factory = Door().factory(runner.server)
        try:
            listener = await asyncio.get_running_loop().create_server(factory, settings.host, settings.port)
        except OSError as error:
            raise WebError(_explain(error, settings)) from error
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            yield f"http://{host}:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
    finally:
        await runner.cleanup()


def _explain(error: OSError, settings: HttpSettings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT: port {settings.port} on {settings.host} is in use by another program, choose another"
    if error.errno == errno.EACCES:
        return f"HTTP_PORT: port {settings.port} on {settings.host} is not allowed, choose one above 1023"
    return f"HTTP_HOST: cannot listen on {settings.host}, port {settings.port} ({error.strerror})"


class _Pages:
    def __init__(
        self, bot: StatusSource, history: StoreReader, token: str, metrics: Callable[[BotStatus], bytes]
    ) -> None:
        self._bot = bot
        self._history = history
        self._token = token
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/health", self.health),
            web.get("/metrics", self.metrics),
            web.get("/api/status", self.status),
            web.get("/api/markets", self.markets),
            web.get("/api/markets/{venue}/{id}", self.market),
            web.get("/api/signals", self.signals),
            web.get("/api/signals/{id:[0-9]{1,18}}", self.signal),
            web.get("/api/near_misses", self.near_misses),
            web.get("/api/stats", self.stats),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        return json_response({"name": "SGNL", "paths": ENDPOINTS})

    async def health(self, request: web.Request) -> web.Response:
        status = self._bot.status()
        problems = list(status.problems())
        answer: dict[str, Any] = {"status": "unwell" if problems else "ok"}
        if _may_read(request, self._token):
            answer |= {
                "problems": problems,
                "funnels": status.funnels,
                "venues": {venue.venue: venue.state for venue in status.venues},
                "replies": {venue.venue: venue.replies for venue in status.venues},
                "incidents": status.incidents,
            }
        return json_response(answer, 503 if problems else 200)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(self._bot.status()), headers={"Content-Type": _METRICS_TYPE})

    async def status(self, _request: web.Request) -> web.Response:
        status = self._bot.status()
        return json_response({"status": status, "problems": list(status.problems())})

    async def markets(self, _request: web.Request) -> web.Response:
        return json_response({"markets": self._bot.markets()})

    async def market(self, request: web.Request) -> web.Response:
        venue, instrument_id = request.match_info["venue"], request.match_info["id"]
        market = self._bot.market(venue, instrument_id)
        if market is None:
            raise web.HTTPNotFound(text=f"{venue} {instrument_id} is not watched")
        return json_response(market)

    async def signals(self, request: web.Request) -> web.Response:
        if unknown := request.query.keys() - {"symbol", "since", "limit"}:
            raise web.HTTPBadRequest(text=f"{_short(min(unknown))}: is not known here, expected symbol, since or limit")
        found = await self._history.signals.find(
            symbol=request.query.get("symbol") or None,
            since_ms=_whole(request, "since", 0, LARGEST),
            limit=_whole(request, "limit", 1, 1000) or 100,
        )
        return json_response({"signals": [_signal(pair) for pair in found]})

    async def signal(self, request: web.Request) -> web.Response:
        signal_id = int(request.match_info["id"])
        found = await self._history.signals.get(signal_id) if signal_id <= LARGEST else None
        if found is None:
            raise web.HTTPNotFound(text=f"there is no signal {signal_id}")
        controls = await self._history.controls.of_signal(signal_id)
        drawn = [{"control": control, "outcome": outcome} for control, outcome in controls]
        return json_response(_signal(found) | {"controls": drawn})

    async def near_misses(self, request: web.Request) -> web.Response:
        if unknown := request.query.keys() - {"since", "limit"}:
            raise web.HTTPBadRequest(text=f"{_short(min(unknown))}: is not known here, expected since or limit")
        found = await self._history.near_misses.find(
            _whole(request, "since", 0, LARGEST) or 0, _whole(request, "limit", 1, 1000) or 100
        )
        return json_response({"near_misses": [{"near_miss": one, "outcome": outcome} for one, outcome in found]})

    async def stats(self, request: web.Request) -> web.Response:
        if unknown := request.query.keys() - {"days"}:
            raise web.HTTPBadRequest(text=f"{_short(min(unknown))}: is not known here, expected days")
        days = _whole(request, "days", 1, _MOST_DAYS)
        since_ms = 0 if days is None else self._bot.status().now_ms - days * _DAY_MS
        return json_response(as_plain(await make_report(self._history, Filters(since_ms=since_ms))))


def _signal(pair: tuple[Signal, Outcome | None]) -> dict[str, Any]:
    signal, outcome = pair
    return {"signal": signal, "outcome": outcome}


def _whole(request: web.Request, name: str, low: int, high: int) -> int | None:
    """The query's number, None where it is not given."""
    text = request.query.get(name)
    if not text:
        return None
    # The digits are counted first: int() refuses thousands of them with an error of its own.
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and low <= int(text) <= high):
        raise web.HTTPBadRequest(text=f'{name}: was "{_short(text)}", expected a whole number from {low} to {high}')
    return int(text)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _may_read(request: web.Request, token: str) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    return not token or hmac.compare_digest(given, f"Bearer {token}".encode())


def _host_check(hosts: Collection[str]) -> Middleware:
    """Refuse what a page of another site lets a browser ask for, also by a name that it made lead here."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if not _is_ours(request, host, hosts):
            raise web.HTTPForbidden(
                text=f'Host: was "{_short(host)}", expected localhost, the address of this machine or one of HTTP_HOSTS'
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}:
            raise web.HTTPForbidden(text="Origin: pages of other sites may not read this")
        return await handler(request)

    return check


def _is_ours(request: web.Request, host: str, hosts: Collection[str]) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found["address"] or found["name"]).lower().removesuffix(".")
    if name in hosts or is_loopback(name) or name.endswith(".localhost"):
        return True
    local = request.get_extra_info("sockname")
    return local is not None and name == local[0]  # an address, not a name, so nobody else can make it lead here


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
        answer = json_response({"error": error.text}, error.status)
        answer.headers.update(
            {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
        )
        return answer


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
