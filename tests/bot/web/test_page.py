"""The page in a real browser, beside the whole bot on the simulated market."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bot.config.settings import HttpSettings
from bot.tasks import spawn
from bot.web.app import serve
from fetchers.simulated.scenario import Planted
from scoring.prices import format_price
from tests.bot.stage import RunningBot, staged
from tests.bot.web.browser import chromium
from tests.bot.web.site import app_of
from tests.storage.builders import make_limits, make_outcome, make_signal

SETUPS = (
    Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="timeout"),
    Planted(coin="TAVRO", venue="binance", start_s=46, hold_s=10, fate="timeout"),
)
PANELS = (
    *("status", "leaders", "scores", "pair", "open", "history", "misses", "equity", "calibration"),
    *("strategies", "control"),
)
DESK, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Site:
    """A bot whose page a browser has open; every request and every word of the console is kept."""

    def __init__(self, url: str, page: Page, bot: RunningBot, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.page = page
        self.bot = bot
        self._session = session
        self.requests: list[str] = []
        self.console: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))

    async def get(self, path: str) -> Any:
        """Ask the API."""
        async with self._session.get(f"{self.url}{path}") as reply:
            return await reply.json()

    def panel(self, name: str) -> Any:
        """Return a panel of the page."""
        return self.page.locator(f'[data-panel="{name}"]')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Yield a bot with one open signal and one that has ended, its page open on a desk."""
    tasks: set[asyncio.Task[None]] = set()
    async with chromium() as browser, staged(tmp_path_factory.mktemp("page"), *SETUPS) as stage, stage.bot() as bot:
        await bot.tick_for(34)
        ended = make_signal(900, coin="OLDER", decided_ms=stage.clock.now_ms() - 3_600_000)
        await bot.store.remember([ended], make_limits(next_id=901), [])
        await bot.store.record_outcome(make_outcome(900, exit_ms=stage.clock.now_ms()), make_limits(next_id=901), [])
        spawn(bot.parts.live.run(), name="live", keep=tasks)
        settings = HttpSettings(host="127.0.0.1", port=0, token="")
        async with serve(app_of(bot.parts), settings) as url, aiohttp.ClientSession() as session:
            page = await browser.new_page(viewport=DESK, color_scheme="dark")  # type: ignore[arg-type]
            site = Site(url, page, bot, session)
            await page.goto(url)
            await expect(site.panel("history")).to_contain_text("OLDER")
            await expect(site.panel("pair").locator("svg").first).to_be_visible()
            yield site
            await page.close()
        for task in tasks:
            task.cancel()


async def test_every_panel_is_filled_as_the_api_says(site: Site) -> None:
    """Each panel shows the figures of the API, prices as the venue prints them."""
    for name in PANELS:
        await expect(site.panel(name).locator(".body")).not_to_be_empty()
        assert "cannot be shown" not in await site.panel(name).inner_text()
    leader = (await site.get("/api/markets"))["markets"][0]
    row = site.panel("leaders").locator("tbody tr").first
    await expect(row).to_contain_text(leader["pair"].split(":")[0])
    await expect(row).to_contain_text(f"{leader['score']:.1f}")
    await expect(row).to_contain_text(format_price(leader["price"], leader["tick_size"]))
    (position,) = (await site.get("/api/positions"))["positions"]
    for name in ("entry", "stop"):
        await expect(site.panel("open")).to_contain_text(format_price(position[name], position["tick_size"]))
    scores = await site.get("/api/scores")
    await expect(site.panel("scores")).to_contain_text(f"{sum(scores['counts'])} pairs")
    await expect(site.panel("scores")).to_contain_text(f"alerts from {scores['threshold']:g}")
    stats = await site.get("/api/stats")
    await expect(site.panel("control")).to_contain_text(stats["total"]["verdict"])
    for venue in (await site.get("/api/status"))["status"]["venues"]:
        await expect(site.panel("status")).to_contain_text(f"{venue['instruments']} pairs")
    gates = (await site.get(f"/api/markets/{leader['venue']}/{leader['id']}"))["verdicts"]
    await expect(site.panel("pair").locator(".gates li")).to_have_count(len(gates))


async def test_filter_sort_and_choose(site: Site) -> None:
    """The leaderboard finds a coin, sorts, and shows the pair that is chosen, by the keyboard too."""
    page, leaders = site.page, site.panel("leaders")
    await page.get_by_label("Find").fill("korva")
    await expect(leaders.locator("tbody tr")).to_have_count(
        sum(row["coin"] == "KORVA" for row in (await site.get("/api/markets"))["markets"])
    )
    await page.get_by_label("Find").fill("")
    await leaders.get_by_role("button", name="Pair", exact=False).first.press("Enter")
    names = await leaders.locator("tbody tr td:first-child").all_inner_texts()
    coin = {row["pair"].split(":")[0]: row["coin"] for row in (await site.get("/api/markets"))["markets"]}
    assert [coin[name] for name in names] == sorted(coin[name] for name in names)
    await leaders.get_by_role("button", name=re.compile("^Score")).click()
    second = leaders.locator("tbody tr").nth(1)
    name = await second.locator("td").first.inner_text()
    await second.get_by_role("button").press("Enter")
    await expect(site.panel("pair")).to_contain_text(name)
    await page.get_by_label("Coin").fill("OLDER")
    await page.get_by_label("Coin").press("Enter")
    await expect(site.panel("history").locator("tbody tr")).to_have_count(1)
    await page.get_by_label("Coin").fill("")
    await page.get_by_label("Coin").press("Enter")


async def test_a_signal_appears_without_a_reload(site: Site) -> None:
    """A planted signal is said aloud and stands among the open ones as soon as it is given."""
    await expect(site.panel("open")).not_to_contain_text("TAVRO")
    await site.page.get_by_label("Refresh").select_option("1")
    await site.bot.tick_for(24)
    await expect(site.page.get_by_role("alert")).to_contain_text("SHORT TAVRO on Binance")
    await expect(site.panel("open")).to_contain_text("TAVRO")
    await expect(site.panel("history")).to_contain_text("TAVRO")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_everybody_can_read_it(site: Site, size: dict[str, int], theme: str) -> None:
    """On a desk and on a phone, dark and light: nothing is wider than the screen, and axe finds nothing serious."""
    await site.page.set_viewport_size(size)  # type: ignore[arg-type]
    if await site.page.evaluate("document.documentElement.dataset.theme") != theme:
        await site.page.get_by_role("button", name=theme.title(), exact=True).click()
    wide = await site.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    found = (await Axe().run(site.page)).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


async def test_2500_rows_are_quick(site: Site) -> None:
    """A leaderboard of a whole universe is drawn and filtered within a fraction of a second."""
    took_ms = await site.page.evaluate(
        """async () => {
            const { leaders } = await import("/static/panels.js");
            const row = (i) => ({ pair: `C${i}/USDT`, coin: `C${i}`, venue: "bybit", id: `C${i}USDT`, score: i % 97,
                price: 1.5, tick_size: 0.01, spread_bps: 2,
                contributions: { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 } });
            const rows = Array.from({ length: 2500 }, (_, i) => row(i));
            const before = performance.now();
            leaders(rows, { find: "", only: "", sort: "score", choose: () => {}, onsort: () => {} });
            return performance.now() - before;
        }"""
    )
    assert took_ms < 2_000, "no measure: only that it is not of another order"


async def test_nothing_went_wrong(site: Site) -> None:
    """Through all of this no error stood in the console, and no other host was asked."""
    assert not [line for line in site.console if line.startswith(("error", "warning"))]
    assert {url.partition("//")[2].partition("/")[0] for url in site.requests} == {site.url.partition("//")[2]}
