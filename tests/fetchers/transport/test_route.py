"""The way requests leave, through real proxies on loopback."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from fetchers.transport.route import DIRECT, Route, proxy_for
from fetchers.transport.session import open_session

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()


class Proxy:
    """An HTTP or SOCKS5 proxy that leads every name to one server, and notes what it was asked."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.asked: list[tuple[str, int]] = []
        self.logins: list[bytes] = []

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer an absolute GET by handing it on."""
        head = await reader.readuntil(b"\r\n\r\n")
        _method, url, _ = head.split(b" ", 2)
        host, _, path = url.removeprefix(b"http://").partition(b"/")
        name, _, port = host.partition(b":")
        self.asked.append((name.decode(), int(port or 80)))
        theirs, ours = await asyncio.open_connection(*self.target)
        ours.write(head.replace(url, b"/" + path, 1))
        await asyncio.gather(_pipe(reader, ours), _pipe(theirs, writer), return_exceptions=True)

    async def socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask for a login, take a name, connect (RFC 1928, RFC 1929)."""
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        writer.write(b"\x05\x02" if 2 in methods else b"\x05\x00")
        if 2 in methods:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            self.logins.append(user + b":" + password)
            writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the name is looked up by the proxy"
        name = await reader.readexactly((await reader.readexactly(1))[0])
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        self.asked.append((name.decode(), port))
        theirs, ours = await asyncio.open_connection(*self.target)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(_pipe(reader, ours), _pipe(theirs, writer), return_exceptions=True)


@asynccontextmanager
async def proxied(kind: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Serve a venue, and a proxy before it; yields the proxy and where it listens."""

    async def hello(request: web.Request) -> web.Response:
        return web.json_response({"host": request.headers["Host"]})

    app = web.Application()
    app.router.add_get("/time", hello)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    proxy = Proxy((host, port))
    server = await asyncio.start_server(getattr(proxy, kind), "127.0.0.1", 0)
    try:
        yield proxy, "{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        await runner.cleanup()


async def fetch(url: str, route: Route) -> str:
    """Return the host that the server was asked for."""
    async with open_session(url, route, sockets=2) as session, session.get(f"{url}/time") as answer:
        return str((await answer.json())["host"])


async def test_http_proxy() -> None:
    """A name that nobody here can look up is reached through the proxy."""
    async with proxied("http") as (proxy, where):
        assert await fetch("http://fapi.test", Route(proxy=f"http://{where}")) == "fapi.test"
        assert proxy.asked == [("fapi.test", 80)]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_socks_proxy(scheme: str) -> None:
    """So through SOCKS, with a login; the proxy looks the name up."""
    async with proxied("socks5") as (proxy, where):
        assert await fetch("http://fapi.test", Route(proxy=f"{scheme}://me:secret@{where}")) == "fapi.test"
        assert (proxy.asked, proxy.logins) == ([("fapi.test", 80)], [b"me:secret"])


async def test_the_environments_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY and ALL_PROXY count where no setting does, less NO_PROXY and the machine itself."""
    assert proxy_for("https://fapi.test", Route()) is None
    monkeypatch.setenv("ALL_PROXY", "socks5://all.test:1080")
    assert proxy_for("https://fapi.test", Route()) == "socks5://all.test:1080"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    assert proxy_for("https://fapi.test", Route()) == "http://proxy.test:3128"
    assert proxy_for("https://fapi.test", Route(proxy="http://mine.test:1")) == "http://mine.test:1"
    assert proxy_for("https://fapi.test", Route(proxy=DIRECT)) is None
    monkeypatch.setenv("NO_PROXY", "fapi.test")
    assert proxy_for("https://fapi.test", Route()) is None
    for here in ("http://127.0.0.1:8080", "http://[::1]:1", "https://localhost"):
        assert proxy_for(here, Route()) is None


async def test_a_proxy_nobody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error that names what can be used, and not HTTP spoken to a SOCKS port."""
    monkeypatch.setenv("HTTPS_PROXY", "socks4://proxy.test:1080")
    with pytest.raises(ValueError, match="socks5"):
        proxy_for("https://fapi.test", Route())


async def test_a_password_is_not_shown() -> None:
    """Not in the record, and not in the error of a proxy that is away."""
    route = Route(proxy="http://me:secret@127.0.0.1:1")
    assert "secret" not in repr(route)
    with pytest.raises(aiohttp.ClientError) as caught:
        await fetch("http://fapi.test", route)
    assert "secret" not in str(caught.value)
