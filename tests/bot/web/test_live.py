"""What happens, over a real WebSocket: at once, thinned to what a client wants, and never waiting for a slow one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bot.config.settings import HttpSettings
from bot.tasks import spawn
from bot.web import live
from bot.web.app import serve
from fetchers.simulated.scenario import Planted
from tests.bot.stage import RunningBot, staged
from tests.bot.web.site import app_of

SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="timeout")
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Listener:
    """A client of /ws."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> tuple[str, Any]:
        """Return the next message."""
        message = await self.socket.receive_json(timeout=5)
        return message["type"], message["data"]


class Site:
    """A bot, its web app, and clients of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, bot: RunningBot) -> None:
        self.url = url
        self.bot = bot
        self.session = session

    async def listen(self, **options: Any) -> Listener:
        """Connect, and take the heartbeat that greets."""
        listener = Listener(await self.session.ws_connect(f"{self.url}/ws", **options))
        assert (await listener.next())[0] == "heartbeat"
        return listener


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Yield a bot whose first signal is about to come."""
    async with staged(tmp_path_factory.mktemp("live"), SETUP) as stage, stage.bot() as bot:
        await bot.tick_for(20)
        tasks: set[asyncio.Task[None]] = set()
        running = spawn(bot.parts.live.run(), name="live", keep=tasks)
        settings = HttpSettings(host="127.0.0.1", port=0, token="")
        async with serve(app_of(bot.parts), settings) as url, aiohttp.ClientSession() as session:
            yield Site(url, session, bot)
        running.cancel()


async def test_a_signal_comes_as_it_is_given(site: Site) -> None:
    """Signal, leaderboard, open signals and heartbeat, the same as the API has them."""
    listener = await site.listen()
    await site.bot.tick_for(10)
    kinds: dict[str, Any] = {}
    while "signal" not in kinds or "position" not in kinds:
        kind, data = await listener.next()
        kinds[kind] = data
    assert kinds["signal"]["signal"]["coin"] == "KORVA"
    async with site.session.get(f"{site.url}/api/signals") as reply:
        assert (await reply.json())["signals"][0] == kinds["signal"]
    while not kinds["position"]["positions"]:
        kind, kinds[kind] = await listener.next()
    (position,) = kinds["position"]["positions"]
    assert (position["coin"], position["side"], position["entry"]) == (
        "KORVA",
        "short",
        kinds["signal"]["signal"]["levels"]["entry"],
    )
    assert (
        kinds["leaderboard"]["markets"][0]["contributions"].keys() == kinds["signal"]["signal"]["contributions"].keys()
    )
    await listener.socket.close()


async def test_as_often_as_wanted(site: Site) -> None:
    """Who wants it every 30 s gets one leaderboard in 20 s of ticks, who wants 1 s each; odd wishes change nothing."""
    slow, quick, odd = await site.listen(), await site.listen(), await site.listen()
    await slow.socket.send_json({"refresh_s": 30})
    await quick.socket.send_json({"refresh_s": 1})
    for text in ("no JSON", "[]", '{"refresh_s": "1"}', '{"refresh_s": true}', "{}"):
        await odd.socket.send_str(text)
    await asyncio.sleep(0.05)
    before = site.bot.orchestrator.activity.ticks
    await site.bot.tick_for(20)
    ticks = site.bot.orchestrator.activity.ticks - before
    counts = []
    for listener in (slow, quick, odd):
        count = 0
        while True:
            try:
                message = await listener.socket.receive_json(timeout=0.3)
            except TimeoutError:
                break
            count += message["type"] == "leaderboard"
        counts.append(count)
        await listener.socket.close()
    assert counts[:2] == [1, ticks]
    assert 1 < counts[2] < ticks, "every 5 s, as without a word"


async def test_a_slow_reader_is_dropped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not read is let go; the others and the ticks do not wait for it."""
    monkeypatch.setattr(live, "_MOST_WAITING", 10)
    slow, good = await site.listen(), await site.listen()
    for listener, refresh_s in ((slow, 1), (good, 2)):
        await listener.socket.send_json({"refresh_s": refresh_s})
    await asyncio.sleep(0.05)
    client = min(site.bot.parts.live._clients, key=lambda one: one.refresh_s)

    async def stuck(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(client.socket, "send_str", stuck)
    tasks: set[asyncio.Task[None]] = set()
    heard: list[str] = []

    async def read() -> None:
        while True:
            heard.append((await good.next())[0])

    spawn(read(), name="a good reader", keep=tasks)
    await site.bot.tick_for(12)
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    assert (site.bot.parts.live.dropped, len(site.bot.parts.live._clients)) == (1, 1)
    assert heard.count("heartbeat") >= 6
    while (message := await slow.socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        pass  # what was under way before
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    await good.socket.close()


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
async def test_other_sites_are_refused(site: Site, headers: dict[str, str]) -> None:
    """A page of another site cannot listen through the browser of whoever reads it."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.listen(headers=headers)
    assert refused.value.status == 403


async def test_a_long_message_ends_the_connection(site: Site) -> None:
    """Nobody fills the memory with wishes."""
    listener = await site.listen()
    await listener.socket.send_str("x" * 10_000)
    message = await listener.socket.receive(timeout=5)
    while message.type is aiohttp.WSMsgType.TEXT:
        message = await listener.socket.receive(timeout=5)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_stop_waits_for_no_reader(site: Site) -> None:
    """However many readers of /ws never answer a goodbye, the web app has let them go within three seconds."""
    live = site.bot.parts.live
    before = live.clients
    host, port = "127.0.0.1", int(site.url.rpartition(":")[2])
    request = (
        f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    deaf = [await asyncio.open_connection(host, port) for _ in range(20)]
    for reader, writer in deaf:
        writer.write(request.encode())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert live.clients == before + len(deaf)
    began_s = asyncio.get_running_loop().time()
    await live.close()
    assert asyncio.get_running_loop().time() - began_s < 3
    for _, writer in deaf:
        writer.close()
