"""A headless Chromium of the system, for tests and pictures of the page."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = "SGNL_REQUIRE_BROWSER"


def find_chromium() -> str:
    """Return its path; skip the test where there is none, and fail it where `SGNL_REQUIRE_BROWSER` is set, as in CI."""
    if (found := next(filter(None, map(shutil.which, NAMES)), None)) is None:
        words = f"no Chromium on this machine: apt install chromium (one of {', '.join(NAMES)} in PATH)"
        if os.environ.get(REQUIRED):
            pytest.fail(words)
        pytest.skip(words)
    return found


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start one; it ends with the context."""
    path = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()
