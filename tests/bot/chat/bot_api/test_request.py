"""Requests to the Bot API: what is sent, and what is said when no answer comes, by real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from telegram import InputFile
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter  # PTB makes them itself; there is no public way

from bot.chat.bot_api.request import AiohttpRequest, NeverLeft, NoAnswer, NotTelegram, TelegramClock
from tests.hand_clock import HandClock

TOKEN = "123456:AAbb-cc_dd"


@dataclass
class Api:
    """Answers by the last part of the path."""

    forms: list[dict[str, Any]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer, hang, hang up, or stop in the middle."""
        form = await request.post()
        self.forms.append({name: _plain(value) for name, value in form.items()})
        self.asked.set()
        match request.match_info["method"]:
            case "redirect":
                return web.Response(status=301, headers={"Location": f"https://api.test{request.path}?x=1"})
            case "page":
                return web.Response(status=403, text="<html>nginx</html>", content_type="text/html")
            case "json":
                return web.json_response({"message": "Forbidden"}, status=403)
            case "lie":
                return web.json_response({"message": "welcome"})
            case "aborted":
                answer = {"ok": False, "error_code": 500, "description": "Internal Server Error: Request aborted"}
                return web.json_response(answer, status=500)
            case "refused":
                answer = {"ok": False, "error_code": 403, "description": "Forbidden: bot was kicked"}
                return web.json_response(answer, status=403, headers={"Set-Cookie": "a=b"})
            case "hang":
                await asyncio.sleep(2)
            case "drop":
                assert request.transport is not None
                request.transport.close()
            case "stop":
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b"{")
                assert request.transport is not None
                request.transport.close()
        return web.json_response({"ok": True})


def _plain(value: Any) -> Any:
    return (value.filename, value.content_type, value.file.read()) if isinstance(value, web.FileField) else value


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Return a server."""
    api = Api()
    application = web.Application()
    application.router.add_post("/bot{token}/{method}", api.handle)
    async with TestServer(application, host="127.0.0.1") as server:
        api.url = f"http://127.0.0.1:{server.port}/bot{TOKEN}"
        yield api


@pytest.fixture
async def request_() -> AsyncIterator[AiohttpRequest]:
    """Return a request of one connection."""
    request = AiohttpRequest("http://127.0.0.1", connections=1, connect_s=0.2, answer_s=0.3)
    await request.initialize()
    yield request
    await request.shutdown()


def parameters(**values: Any) -> RequestData:
    """Return what PTB hands over."""
    return RequestData([RequestParameter.from_input(name, value) for name, value in values.items()])


async def test_a_text(api: Api, request_: AiohttpRequest) -> None:
    """Each parameter is a field of the form, and so is what is no text."""
    data = parameters(chat_id=1, text="5 < 6 & Ünïcode\nnext", disable_notification=True)
    assert await request_.do_request(f"{api.url}/sendMessage", "POST", data) == (200, b'{"ok": true}')
    assert api.forms == [{"chat_id": "1", "text": "5 < 6 & Ünïcode\nnext", "disable_notification": "true"}]


async def test_a_picture(api: Api, request_: AiohttpRequest) -> None:
    """A file goes as it is, with its name and kind, beside the other fields."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    data = parameters(chat_id=1, photo=InputFile(picture, filename="chart.png"))
    await request_.do_request(f"{api.url}/sendPhoto", "POST", data)
    assert api.forms == [{"chat_id": "1", "photo": ("chart.png", "image/png", picture)}]


async def test_nothing_at_all(api: Api, request_: AiohttpRequest) -> None:
    """A call without parameters is a call."""
    assert (await request_.do_request(f"{api.url}/getMe", "POST"))[0] == 200


@pytest.mark.parametrize("method", ["hang", "drop", "stop"])
async def test_an_answer_that_is_lost(api: Api, request_: AiohttpRequest, method: str) -> None:
    """It had left: it may have been done. The words do not show the token."""
    with pytest.raises(NoAnswer) as raised:
        await request_.do_request(f"{api.url}/{method}", "POST", parameters(chat_id=1))
    assert len(api.forms) == 1, "a lost request is not repeated down here"
    assert TOKEN not in f"{raised.value!r} {raised.value.__cause__}"


@pytest.mark.parametrize("method", ["redirect", "page", "json", "lie", "aborted"])
async def test_an_answer_that_is_not_telegrams(api: Api, request_: AiohttpRequest, method: str) -> None:
    """What is not in Telegram's own words, or is an error of its own, says nothing of what became of the request."""
    with pytest.raises(NotTelegram) as raised:
        await request_.do_request(f"{api.url}/{method}", "POST", parameters(chat_id=1))
    assert len(api.forms) == 1, "no redirect is followed"
    assert TOKEN not in str(raised.value)
    assert len(str(raised.value)) < 400


async def test_telegrams_own_refusal(api: Api, request_: AiohttpRequest) -> None:
    """A refusal in Telegram's own words is handed on; no cookie is kept."""
    code, _ = await request_.do_request(f"{api.url}/refused", "POST")
    assert code == 403
    assert request_._session is not None
    assert isinstance(request_._session.cookie_jar, aiohttp.DummyCookieJar)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"SOCKS?"])
async def test_a_proxy_that_lets_nothing_through(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """Where the proxy ends the CONNECT, nothing of the request has left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        request = AiohttpRequest("https://telegram.test", connections=1, connect_s=1, answer_s=1)
        with pytest.raises(NeverLeft) as raised:
            await request.do_request(f"https://telegram.test/bot{TOKEN}/sendMessage", "POST")
        await request.shutdown()
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("date", ["", "soon", "Tue, 14 Nov 1900 22:13:20 GMT"])
def test_a_date_that_says_nothing(date: str) -> None:
    """A Date that cannot be read, or that is years away, tells nothing about the clocks."""
    clock = TelegramClock(HandClock())
    clock.learn(date)
    assert clock.offset_ms == 0


async def test_nobody_there(request_: AiohttpRequest) -> None:
    """Refused, it never left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/bot{TOKEN}/sendMessage"
        with pytest.raises(NeverLeft, match=r"Cannot connect to host 127\.0\.0\.1") as raised:
            await request_.do_request(url, "POST")
    assert TOKEN not in str(raised.value)


async def test_no_connection_free(api: Api, request_: AiohttpRequest) -> None:
    """What waits for a connection too long never left either, and aiohttp's words for that would show the token."""

    async def hang() -> None:
        with pytest.raises(NoAnswer):
            await request_.do_request(f"{api.url}/hang", "POST")

    async with asyncio.TaskGroup() as group:
        group.create_task(hang())
        await api.asked.wait()
        with pytest.raises(NeverLeft) as raised:
            await request_.do_request(f"{api.url}/sendMessage", "POST")
    assert TOKEN not in str(raised.value)


async def test_by_a_proxy(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a proxy, all goes through it: Telegram is not to be reached from everywhere."""
    monkeypatch.setenv("http_proxy", api.url.partition("/bot")[0])
    request = AiohttpRequest("http://telegram.test", connections=1, connect_s=0.2, answer_s=0.3)
    assert (await request.do_request(f"http://telegram.test/bot{TOKEN}/getMe", "POST"))[0] == 200
    await request.shutdown()
    assert len(api.forms) == 1


async def test_a_long_poll_has_its_own_time(api: Api, request_: AiohttpRequest) -> None:
    """PTB adds a poll's time to ours: it is given up only after that."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await request_.do_request(f"{api.url}/hang", "POST", read_timeout=5.0)
