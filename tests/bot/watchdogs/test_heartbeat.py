"""The page that is asked for while all is well."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bot.tasks import beside
from bot.watchdogs.heartbeat import Heartbeat
from fetchers.transport.route import Route
from tests.hand_clock import HandClock


class Page:
    """A page on the loopback that counts who asks."""

    def __init__(self) -> None:
        self.asked, self.status, self.url = 0, 200, ""

    async def answer(self, _request: web.Request) -> web.Response:
        """Answer with the status of the test's choice."""
        self.asked += 1
        return web.Response(status=self.status)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Yield a page that is served."""
    page, app = Page(), web.Application()
    app.router.add_get("/ping/{id}", page.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    page.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ping/a-secret"
    yield page
    await runner.cleanup()


async def test_while_all_is_well(page: Page) -> None:
    """It is asked for once a minute, not at all while something is wrong, and again within seconds after that."""
    clock, problems = HandClock(), ["every venue is blind"]
    heartbeat = Heartbeat(page.url, Route(), clock, lambda: problems)
    async with beside(heartbeat.run(), name="heartbeat"):
        for expected, seconds in ((0, 300), (1, 5), (1, 59), (2, 1), (3, 60)):
            await clock.wait_for_sleepers(1)
            if expected:
                problems.clear()
            await clock.advance(seconds)
            await clock.wait_for_sleepers(1)
            assert page.asked == expected
        problems.append("no tick has ended for 20 s")
        await clock.advance(600)
    assert page.asked == 3
    assert heartbeat.fault == ""


@pytest.mark.parametrize("status", [404, 500, 0])
async def test_a_page_that_is_ill(page: Page, status: int) -> None:
    """What is wrong with the page is said in /status, without its URL, and is over with the next good answer."""
    clock = HandClock()
    page.status = status or 200
    url = page.url if status else "http://127.0.0.1:1/ping/a-secret"
    heartbeat = Heartbeat(url, Route(), clock, list)
    async with beside(heartbeat.run(), name="heartbeat"):
        await clock.wait_for_sleepers(1)
        assert (f"HTTP {status}" if status else "it cannot be reached") in heartbeat.fault
        assert "a-secret" not in heartbeat.fault
        if status:
            page.status = 200
            await clock.advance(60)
            await clock.wait_for_sleepers(1)
            assert heartbeat.fault == ""


async def test_by_the_proxy(page: Page) -> None:
    """It leaves by the way of all others."""
    clock = HandClock()
    route = Route(proxy=page.url.partition("/ping")[0])
    heartbeat = Heartbeat("http://nowhere.test/ping/1", route, clock, list)
    async with beside(heartbeat.run(), name="heartbeat"):
        await clock.wait_for_sleepers(1)
    assert (page.asked, heartbeat.fault) == (1, "")
