"""Requests that are too many take their time from nobody but each other, over real sockets."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from bot.web.pace import PAUSES, Lane
from tests.bot.web.test_app import TOKEN, Site, with_token
from tests.bot.web.test_app import site as site  # noqa: PLC0414 - the fixture


async def test_a_flood_leaves_the_loop_to_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside forty clients that ask without a pause for what takes 5 ms, the loop is free for most of the time."""

    def slow(*_: object) -> list[object]:
        time.sleep(0.005)
        return []

    monkeypatch.setattr(site.bot, "markets", slow)
    answered, url = 0, f"{site.url}/api/markets"

    async def flood(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while True:
            async with session.get(url) as reply:
                assert reply.status == 200
                await reply.read()
                answered += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(flood(session)) for _ in range(40)]  # noqa: TID251 - cancelled below
        await asyncio.sleep(1.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert 5 < answered < 1.5 / (0.005 * (1 + PAUSES)) * 1.3


@with_token
async def test_strangers_keep_nobody_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a hundred without the token knock, who has it, and the health check, are answered at once."""
    monkeypatch.setattr("bot.web.pace.OVERHEAD_S", 0.05)  # a stranger's turn takes a quarter of a second
    url = f"{site.url}/api/status"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(session.get(url)) for _ in range(100)]  # noqa: TID251 - cancelled below
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            assert (await site.get("/health"))[0] == 200
            assert (await site.get("/api/status", token=TOKEN))[0] == 200
        assert sum(task.done() for task in tasks) < 50
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_turns_are_in_order_and_survive_who_gives_up() -> None:
    """Who came first is answered first; one that leaves the line takes nobody's turn."""
    lane, order = Lane(), []

    async def answer(number: int) -> None:
        async def handler(_: web.BaseRequest) -> web.Response:
            order.append(number)
            return web.Response()

        await lane.answer(None, handler)  # type: ignore[arg-type]

    tasks = [asyncio.create_task(answer(number)) for number in range(6)]  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4, 5]
