"""The web app: the page, the JSON API and what happens over a WebSocket, in the bot's own loop, for reading only."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from aiohttp import web

from bot.config.settings import HttpSettings
from bot.core.status import BotStatus
from bot.web.access import Access, errors_as_json, host_check, token_check
from bot.web.api import Api
from bot.web.door import Door, timed, whole
from bot.web.live import Live
from bot.web.openapi import document
from bot.web.pace import paced
from bot.web.page import Page
from bot.web.replies import HEADERS, json_response
from bot.web.source import StatusSource
from storage.store import StoreReader

LARGEST_BODY = 2_000  #: bytes, of a login


class WebError(Exception):
    """The web app cannot listen; the text names the setting to change."""


def build_app(
    bot: StatusSource,
    history: StoreReader,
    access: Access,
    live: Live,
    hosts: Collection[str] = (),
    *,
    metrics: Callable[[BotStatus], bytes],
) -> web.Application:
    """Return the application; `hosts` are names to be asked by beside loopback's.

    `metrics` gives the figures for Prometheus as text.
    """
    app = web.Application(
        client_max_size=LARGEST_BODY,
        middlewares=[errors_as_json, whole, paced(access), timed, host_check(hosts), token_check(access)],
    )
    app.on_response_prepare.append(_add_headers)
    app.add_routes(Api(bot, history, access, metrics).routes())
    app.add_routes(Page(access).routes())
    app.add_routes([web.get("/ws", live.handle), web.get("/api/openapi.json", _openapi)])
    return app


@asynccontextmanager
async def serve(app: web.Application, settings: HttpSettings, door: Door | None = None) -> AsyncIterator[str]:
    """Listen while the context lasts, which is given the base URL; `door` counts the connections.

    Raises
    ------
    WebError
        The address or the port cannot be had.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        assert runner.server is not None
        factory = (door or Door()).factory(runner.server)
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


async def _openapi(_request: web.Request) -> web.Response:
    return json_response(document())


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]
