"""Pictures of the page on the simulated market: `python -m tests.page_picture` writes docs/page-*.png."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import expect

from bot.config.settings import HttpSettings
from bot.tasks import spawn
from bot.web.app import serve
from fetchers.simulated.scenario import Planted
from tests.bot.stage import staged
from tests.bot.web.browser import chromium
from tests.bot.web.site import app_of

DOCS = Path(__file__).parent.parent / "docs"
SIZES = {"desk": (1440, 1000), "phone": (390, 844)}
SETUPS = (
    Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit"),
    Planted(coin="LUMEX", venue="binance", start_s=34, hold_s=10, fate="stop_loss"),
    Planted(coin="NIMBA", venue="mexc", start_s=62, hold_s=10, fate="timeout"),
)


async def draw() -> None:
    """Let a bot give three signals, then take a picture for each size and theme."""
    tasks: set[asyncio.Task[None]] = set()
    with TemporaryDirectory() as folder:
        async with chromium() as browser, staged(Path(folder), *SETUPS) as stage, stage.bot() as bot:
            await bot.tick_for(76)
            spawn(bot.parts.live.run(), name="live", keep=tasks)
            async with serve(app_of(bot.parts), HttpSettings(host="127.0.0.1", port=0, token="")) as url:
                for size, (width, height) in SIZES.items():
                    for theme in ("dark", "light"):
                        page = await browser.new_page(
                            viewport={"width": width, "height": height},
                            color_scheme="dark" if theme == "dark" else "light",
                        )
                        await page.goto(url)
                        await expect(page.locator('[data-panel="pair"] svg').first).to_be_visible()
                        await expect(page.locator('[data-panel="control"] p').last).to_be_visible()
                        await page.screenshot(path=DOCS / f"page-{size}-{theme}.png")
                        await page.close()
            for task in tasks:
                task.cancel()


if __name__ == "__main__":
    asyncio.run(draw())
