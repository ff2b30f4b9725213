"""The page in a real browser, beside the whole bot on the simulated market."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
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
from tests.bot.web.site import app_of, whole_universe
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
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]


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


async def test_closed_candles_are_drawn_with_their_leg(site: Site) -> None:
    """Two shapes a candle, a point a swing, the leg, and a line at each price of the plan; without a leg none."""
    found = {
        "side": "long",
        "phase": "approaching",
        "start": 1.0,
        "end": 2.0,
        "start_ms": 0,
        "end_ms": 1_800_000,
        "entry1": 1.3,
        "stop": 1.1,
        "take_profits": [1.5, 1.6],
        "retraced": 0.65,
        "score": 40.0,
        "swing_points": [
            {"kind": "low", "price": 1.0, "open_ms": 0},
            {"kind": "high", "price": 2.0, "open_ms": 1_800_000},
        ],
    }
    candles = [[900_000 * row, 1.0 + row / 4, 1.2 + row / 4, 1.0, 1.1 + row / 4, 5.0] for row in range(4)]
    drawn = "async ([one, closed]) => (await import('/static/panels.js')).leg(one, closed).outerHTML"
    pair = {"pair": "PEPE/USDT", "tick_size": 0.01}
    html = await site.page.evaluate(drawn, [pair, {"candles": candles, "levels": found}])
    assert (html.count("<rect"), html.count("<circle"), html.count('class="mark"')) == (8, 2, 4)
    assert 'class="line two"' in html
    assert "approaching of a leg for a LONG, 65.0 % back, score 40.0" in html
    bare = {**found, "phase": "none", "side": None}
    html = await site.page.evaluate(drawn, [pair, {"candles": candles, "levels": bare}])
    assert (html.count('class="mark"'), html.count('class="line two"')) == (0, 0)
    assert "no leg that counts" in html


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
    await page.get_by_label("Coin", exact=True).fill("OLDER")
    await page.get_by_label("Coin", exact=True).press("Enter")
    await expect(site.panel("history").locator("tbody tr")).to_have_count(1)
    await page.get_by_label("Coin", exact=True).fill("")
    await page.get_by_label("Coin", exact=True).press("Enter")


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


async def test_a_whole_universe(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,500 pairs stand in order by any part of the score, from the first to the last; only some are drawn."""
    rows = whole_universe(2_500)
    monkeypatch.setattr(type(site.bot.live_status), "markets", lambda _, limit=100, __="": rows[:limit])
    leaders, body = site.panel("leaders"), site.panel("leaders").locator(".body")
    await site.page.set_viewport_size(DESK)  # type: ignore[arg-type]
    await site.page.get_by_label("Show").select_option("2500")
    await expect(leaders.locator("table")).to_have_attribute("aria-rowcount", "2501")
    assert await leaders.locator("tr").count() < 200
    for part in ("wall", "score", "exhaustion"):
        await site.page.get_by_label("Sort by").select_option(part)
        by_part = {row["pair"]: {"score": row["score"], **row["contributions"]}[part] for row in rows}
        expected = sorted(by_part, key=lambda pair: -by_part[pair])
        assert await names(site) == expected[: len(await names(site))]
        await body.evaluate("body => { body.scrollTop = body.scrollHeight; }")
        await expect(leaders.locator("tbody tr:not(.room)").last).to_have_attribute("aria-rowindex", "2501")
        shown = await names(site)
        assert shown == expected[-len(shown) :]
    await body.evaluate("body => { body.scrollTop = 31 * 1200; }")
    await expect(leaders.locator('[aria-rowindex="1210"]')).to_be_visible()
    middle = leaders.locator('[aria-rowindex="1210"] button')
    name = await middle.inner_text()
    await middle.focus()
    await site.page.get_by_label("Find").evaluate("find => find.dispatchEvent(new Event('input'))")  # draws anew
    assert await site.page.evaluate("document.activeElement.textContent") == name
    await site.page.get_by_label("Find").fill("C24")
    found = [row for row in rows if "C24" in row["coin"]]
    await expect(leaders.locator("tbody tr")).to_have_count(len(found))
    await site.page.get_by_label("Find").fill("")
    await site.page.get_by_label("Sort by").select_option("score")
    await site.page.get_by_label("Show").select_option("100")


async def names(site: Site) -> list[str]:
    """Return the pairs that are drawn, in their order."""
    found: list[str] = await site.panel("leaders").locator("tbody tr:not(.room) td:first-child").all_inner_texts()
    return found


async def test_alerts_by_outcome_and_day(site: Site) -> None:
    """The alerts can be narrowed to those that ended in one way, or that came between two days."""
    history, page = site.panel("history"), site.page
    signals = (await site.get("/api/signals"))["signals"]
    for outcome in ("open", "take_profit", "delisted"):
        await page.get_by_label("Outcome").select_option(outcome)
        fitting = [row for row in signals if (row["outcome"] or {"reason": "open"})["reason"] == outcome]
        if fitting:
            await expect(history.locator("tbody tr")).to_have_count(len(fitting))
        else:
            await expect(history).to_contain_text("No alert fits")
    await page.get_by_label("Outcome").select_option("")
    await expect(history.locator("tbody tr")).to_have_count(len(signals))
    day = datetime.fromtimestamp(signals[0]["signal"]["decided_ms"] / 1000)  # noqa: DTZ006 - as the browser's calendar
    for after in (0, 1):
        await page.get_by_label("From", exact=True).fill((day + timedelta(days=after)).date().isoformat())
        if after:
            await expect(history).to_contain_text("No alert fits")
        else:
            await expect(history.locator("tbody tr")).to_have_count(len(signals))
    await page.get_by_label("From", exact=True).fill("")
    await page.get_by_label("To", exact=True).fill((day - timedelta(days=1)).date().isoformat())
    await expect(history).to_contain_text("No alert fits")
    await page.get_by_label("To", exact=True).fill("")
    await expect(history.locator("tbody tr")).to_have_count(len(signals))


async def test_nothing_went_wrong(site: Site) -> None:
    """Through all of this no error stood in the console, and no other host was asked."""
    assert not [line for line in site.console if line.startswith(("error", "warning"))]
    assert {url.partition("//")[2].partition("/")[0] for url in site.requests} == {site.url.partition("//")[2]}
