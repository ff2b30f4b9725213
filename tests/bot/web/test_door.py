"""Connections that are too many, too slow or no HTTP at all, over real sockets."""

import asyncio
import resource

import pytest

from bot.web import door as web_door
from tests.bot.web.test_app import Site, ask
from tests.bot.web.test_app import site as site  # noqa: PLC0414 - the fixture


@pytest.mark.parametrize(
    "request_",
    [
        "\x00\x01garbage\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nX: {'a' * 9000}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nExpect: coffee\r\nConnection: close\r\n\r\n",
        f"GET /api/signals?since={'0' * 5000} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_answer_names_the_server(site: Site, request_: str) -> None:
    """What is no HTTP is refused without the versions of what runs here."""
    line, answer = await ask(site, request_)
    assert line.split()[1].startswith("4")
    assert "aiohttp" not in answer.lower()
    assert "python" not in answer.lower()
    assert "Server: SGNL" in answer


async def test_a_broken_handler_is_said_in_json(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is a 500 in our own words, without the versions of what runs here."""
    monkeypatch.setattr(site.bot, "status", lambda: 1 / 0)
    status, body, headers = await site.get("/api/status")
    assert (status, body, headers["Server"]) == (500, {"error": "something went wrong here, the log says what"}, "SGNL")


async def test_half_a_request_is_cut(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not end his headers, or never begins, is cut after a while."""
    monkeypatch.setattr(web_door, "REQUEST_S", 0.1)
    assert await ask(site, "GET / HTTP/1.1\r\nX: ") == ("", "")
    assert await ask(site, "") == ("", "")


async def test_connections_are_capped(site: Site) -> None:
    """However many hold half a request open, the next whole one is answered, and files are left for the venues."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    port = int(site.url.rpartition(":")[2])
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(web_door.MOST_CONNECTIONS + 20)]
    for _, writer in idle:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
    assert (await site.get("/health"))[0] == 200
    resets = await asyncio.gather(*(reader.read() for reader, _ in idle[:20]), return_exceptions=True)
    assert all(isinstance(one, OSError) or one == b"" for one in resets)
    assert web_door.Door().capacity <= limits[0] // 4
    for _, writer in idle:
        writer.close()
