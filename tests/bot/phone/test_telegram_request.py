"""Requests to the Bot API: what is sent, and what is said when no answer comes, by real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from telegram import InputFile
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter  # PTB makes them itself; there is no public way

from bot.phone.telegram_request import AiohttpRequest, NeverLeft, NoAnswer

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
