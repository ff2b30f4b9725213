"""The login of the page, over real HTTP: the cookie, the link of /web, and who is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.config.settings import HttpSettings
from bot.core.event_queue import EventQueue
from bot.publish.metrics import Metrics
from bot.web import door
from bot.web.access import COOKIE, INVITED_MS, Access
from bot.web.app import build_app, serve
from bot.web.live import Live
from storage.store import Store
from tests.bot.web.test_app import TOKEN, StillBot
from tests.builders import NOW_MS
from tests.hand_clock import HandClock


class Site:
    """A running app with a token, and a browser without cookies yet."""

    def __init__(self, url: str, access: Access, clock: HandClock, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.access = access
        self.clock = clock
        self._session = session

    async def get(self, path: str) -> tuple[int, str]:
        """Return status, and where it leads or its text."""
        async with self._session.get(f"{self.url}{path}", allow_redirects=False) as reply:
            return reply.status, reply.headers.get("Location") or await reply.text()

    async def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> aiohttp.ClientResponse:
        """Send a form."""
        async with self._session.post(f"{self.url}{path}", data=form, headers=headers, allow_redirects=False) as reply:
            await reply.read()
            return reply


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Yield the app."""
    clock, bot = HandClock(NOW_MS), StillBot()
    access = Access(TOKEN, clock.now_ms)
    async with await Store.open(tmp_path / "sgnl.sqlite3") as store:
        app = build_app(bot, store, access, Live(bot, EventQueue("test")), metrics=Metrics().exposition)
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            serve(app, HttpSettings(host="127.0.0.1", port=0, token=TOKEN)) as url,
            aiohttp.ClientSession(cookie_jar=jar) as session,
        ):
            access.url = url
            yield Site(url, access, clock, session)


async def test_the_token_logs_in(site: Site) -> None:
    """The page leads to the login; a right token is kept in a strict cookie that no script reads; a logout ends it."""
    assert await site.get("/") == (303, "/login")
    assert (await site.get("/api/status"))[0] == 401
    assert (await site.get("/login"))[0] == (await site.get("/static/style.css"))[0] == 200
    assert (await site.post("/login", token=f"{TOKEN}x")).headers["Location"] == "/login#wrong"
    assert (await site.get("/"))[0] == 303
    reply = await site.post("/login", token=TOKEN)
    assert reply.headers["Location"] == "/"
    cookie = next(text for text in reply.headers.getall("Set-Cookie") if text.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert (await site.get("/"))[0] == (await site.get("/api/status"))[0] == 200
    await site.post("/logout")
    assert (await site.get("/api/status"))[0] == 401


async def test_a_link_logs_in_once(site: Site) -> None:
    """The key of /web is good once and for five minutes, and stands behind the #, which no log sees."""
    link, late = site.access.invite(), site.access.invite()
    assert link.startswith(f"{site.url}/login#")
    assert (await site.post("/login", key=link.partition("#")[2])).headers["Location"] == "/"
    assert (await site.get("/api/status"))[0] == 200
    await site.post("/logout")
    assert (await site.post("/login", key=link.partition("#")[2])).headers["Location"] == "/login#used"
    await site.clock.advance(INVITED_MS / 1000)
    assert (await site.post("/login", key=late.partition("#")[2])).headers["Location"] == "/login#used"
    assert (await site.get("/api/status"))[0] == 401


async def test_another_site_cannot_log_in(site: Site) -> None:
    """A form on a page of another site is refused, also with the right token."""
    assert (await site.post("/login", {"Origin": "http://evil.example"}, token=TOKEN)).status == 403
    assert (await site.post("/login", token="x" * 5_000)).status == 413


async def test_keys_are_bounded(site: Site) -> None:
    """However often an admin asks, few keys are kept, the latest among them."""
    links = [site.access.invite() for _ in range(1_000)]
    assert len(site.access._invited) <= 100
    assert site.access.redeem(links[-1].partition("#")[2])


async def test_who_sends_no_body_locks_nobody_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins whose body never comes are cut like requests that never come whole, and make room for others."""
    monkeypatch.setattr(door, "REQUEST_S", 0.3)
    host, port = site.url.removeprefix("http://").split(":")
    head = f"POST /login HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100\r\n\r\n".encode()
    open_ones = [await asyncio.open_connection(host, int(port)) for _ in range(door.capacity())]
    for _, writer in open_ones:
        writer.write(head)
        await writer.drain()
    assert (await site.get("/health"))[0] == 200, "one of them made room"
    async with asyncio.timeout(5):
        ends = [await reader.read() for reader, _ in open_ones]
    assert set(ends) == {b""}
    for _, writer in open_ones:
        writer.close()
