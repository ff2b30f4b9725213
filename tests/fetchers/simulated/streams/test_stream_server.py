"""The simulated streams are as strict and as odd as the venues' (docs/streams.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from features.settings import FeatureSettings
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.server import Servers, serve
from fetchers.simulated.streams.stream_server import framed
from fetchers.simulated.streams.stream_wire import PrintsAhead
from tests.builders import NOW_MS
from tests.virtual_time import VirtualClock, virtually

PATHS = {"binance": "/market/stream", "bybit": "/v5/public/linear", "mexc": "/edge"}


class Caller:
    """A client that says what it is told to."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        self.socket = socket

    async def say(self, message: Any) -> None:
        """Send a message."""
        await self.socket.send_str(message if isinstance(message, str) else orjson.dumps(message).decode())

    async def hear(self, seconds: float) -> list[Any]:
        """Return what comes in so much time."""
        found = []
        with_end = asyncio.get_running_loop().time() + seconds
        while (left := with_end - asyncio.get_running_loop().time()) > 0:
            try:
                message = await self.socket.receive(left)
            except TimeoutError:
                break
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            found.append(orjson.loads(message.data))
        return found


@asynccontextmanager
async def called(venue: str, path: str = "") -> AsyncIterator[tuple[Servers, Caller]]:
    """Serve a small market and call one venue."""
    clock = VirtualClock()
    market = SimulatedMarket(
        seed=7, coins_per_venue=6, scenario=Scenario(settings=FeatureSettings()), start_ms=NOW_MS - 600_000
    )
    servers = await serve(market, clock.now_ms)
    async with aiohttp.ClientSession() as session:
        url = servers.urls[venue] + (path or PATHS[venue])
        async with session.ws_connect(url, compress=15, autoclose=False) as socket:
            yield servers, Caller(socket)
    await servers.close()


@virtually
async def test_binance_accepts_what_it_never_sends() -> None:
    """A stream on another route, and an unknown one."""
    asked = {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "nopeusdt@aggTrade"], "id": 1}
    async with called("binance", "/public/stream") as (_, caller):
        await caller.say(asked)
        assert await caller.hear(5) == [{"result": None, "id": 1}]
    async with called("binance") as (_, caller):
        await caller.say(asked)
        found = await caller.hear(5)
        assert found[0] == {"result": None, "id": 1}
        assert {one["stream"] for one in found[1:]} == {"btcusdt@aggTrade"}
        numbers = [one["data"]["a"] for one in found[1:]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@virtually
async def test_binance_closes_for_pace() -> None:
    """More than five messages in a second, and nobody is let in for two minutes."""
    async with called("binance") as (servers, caller):
        for i in range(6):
            await caller.say({"method": "SUBSCRIBE", "params": [f"a{i}@aggTrade"], "id": i})
        await caller.hear(1)
        assert caller.socket.close_code == 1008
        assert servers.streams_seen["binance"].closed_for_pace == 1
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(servers.urls["binance"] + PATHS["binance"])
            assert refused.value.status == 429


@virtually
async def test_binance_takes_no_more_than_1024_streams() -> None:
    """And no message that is none."""
    async with called("binance") as (servers, caller):
        await caller.say({"method": "SUBSCRIBE", "params": [f"a{i}@aggTrade" for i in range(1025)], "id": 1})
        await caller.say("{")
        assert ["error" in one for one in await caller.hear(1)] == [True, True]
        assert servers.streams_seen["binance"].refused == 2


@virtually
async def test_bybit_takes_all_topics_or_none() -> None:
    """One that is unknown or subscribed already is named, and keeps the others out."""
    async with called("bybit") as (_, caller):
        for number, topics in enumerate((["BTCUSDT", "NOPEUSDT"], ["BTCUSDT"], ["ETHUSDT", "BTCUSDT"])):
            asked = [f"publicTrade.{topic}" for topic in topics]
            await caller.say({"req_id": str(number), "op": "subscribe", "args": asked})
        await caller.say({"op": "ping"})
        found = await caller.hear(5)
        answers = {one.get("req_id"): one for one in found if "success" in one}
        assert answers["0"]["ret_msg"] == "error:handler not found,topic:publicTrade.NOPEUSDT"
        assert answers["1"]["success"]
        assert answers["2"]["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
        assert answers[""]["ret_msg"] == "pong"
        assert {one["topic"] for one in found if "topic" in one} == {"publicTrade.BTCUSDT"}


@virtually
async def test_bybit_counts_characters() -> None:
    """Of all topics of a connection."""
    async with called("bybit") as (servers, caller):
        rows = [row.id for row in servers.market.rows["bybit"] if row.kind.value == "perpetual"]
        servers.streams["bybit"].stream.topic("A")
        topics = [f"publicTrade.{row}" for row in rows]
        await caller.say({"req_id": "1", "op": "subscribe", "args": topics * (21_000 // sum(map(len, topics)) + 1)})
        (answer,) = (one for one in await caller.hear(0.05) if "success" in one)
        assert not answer["success"]


@virtually
async def test_mexc_names_no_symbol_and_wants_pings() -> None:
    """Repeating is harmless, an unknown method meets silence, and a minute without a ping is the end."""
    async with called("mexc") as (_, caller):
        for symbol in ("BTC_USDT", "BTC_USDT", "NOPE_USDT"):
            await caller.say({"method": "sub.deal", "param": {"symbol": symbol}})
        await caller.say({"method": "sub.nothing", "param": {}})
        found = await caller.hear(55)
        assert [one["channel"] for one in found if "deal" not in one["channel"] or "rs" in one["channel"]] == [
            "rs.sub.deal",
            "rs.sub.deal",
            "rs.error",
        ]
        deals = [one["data"] for one in found if one["channel"] == "push.deal"]
        assert {type(one) for one in deals} == {list, dict}
        await caller.hear(10)
        assert caller.socket.closed or caller.socket.close_code == 1006


@virtually
async def test_what_is_compressed() -> None:
    """Binance and Bybit agree to deflate, MEXC does not."""
    for venue, is_compressed in (("binance", True), ("bybit", True), ("mexc", False)):
        async with called(venue) as (_, caller):
            assert bool(caller.socket.compress) is is_compressed


@virtually
async def test_the_end_of_a_life() -> None:
    """After 24 hours, here less, without a warning."""
    async with called("binance") as (servers, caller):
        servers.streams["binance"].stream.life_ms = 3_000
        await caller.say({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1})
        await caller.hear(5)
        assert caller.socket.close_code == 1006


def test_prints_are_numbered_whoever_listens() -> None:
    """So that a gap shows; each is given once, in its time."""
    market = SimulatedMarket(
        seed=7, coins_per_venue=6, scenario=Scenario(settings=FeatureSettings()), start_ms=NOW_MS - 600_000
    )
    ahead = PrintsAhead(market, "bybit", 100)
    ahead.follow("BTCUSDT", NOW_MS)
    found = [one for at_ms in range(NOW_MS, NOW_MS + 30_001, 100) for one in ahead.take(at_ms)]
    true = market.prints("bybit", "BTCUSDT", NOW_MS, NOW_MS + 29_999)
    assert [one.time_ms for one in found] == true.time_ms.tolist()
    assert [one.number - found[0].number for one in found] == list(range(len(found)))


@pytest.mark.parametrize("size", [5, 200, 70_000])
def test_a_frame(size: int) -> None:
    """Its head is as long as its length needs."""
    frame = framed(b"x" * size)
    assert frame.endswith(b"x" * size)
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)
