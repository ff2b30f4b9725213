"""The OpenAPI document is true: every answer, to whatever is asked, is one that it describes."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yarl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot.config.settings import HttpSettings
from bot.web.app import serve
from bot.web.openapi import document
from fetchers.simulated.scenario import Planted
from tests.bot.stage import RunningBot, staged
from tests.bot.web.site import app_of

SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="timeout")
DOCUMENT = document()
ODD = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1",
        "100",
        "5001",
        "9" * 30,
        "٣",
        "1.5",
        "NaN",
        "short",
        "SHORT",
        "korva",
        "KORVAUSDT",
        "bybit",
        "ups",
    ]
) | st.text(max_size=12)
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Site:
    """A bot that holds still, over HTTP."""

    def __init__(self, url: str, session: aiohttp.ClientSession, bot: RunningBot) -> None:
        self.url = url
        self.bot = bot
        self._session = session

    async def check(self, path: str, parts: dict[str, str], query: dict[str, str]) -> int:
        """Ask, hold the answer against the document, and return its status."""
        filled = re.sub(r"\{(\w+)\}", lambda name: yarl.URL.build(path=f"/{parts[name[1]]}").raw_path[1:], path)
        url = yarl.URL(f"{self.url}{filled}", encoded=True).with_query(query)
        async with self._session.get(url) as reply:
            status, body = reply.status, await reply.json()
        answers = DOCUMENT["paths"][path]["get"]["responses"]
        assert str(status) in answers, (status, url, body)
        schema = answers[str(status)]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(body)
        return status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Yield a bot with a signal, controls and near misses."""
    async with staged(tmp_path_factory.mktemp("openapi"), SETUP) as stage, stage.bot() as bot:
        await bot.tick_for(34)
        async with (
            serve(app_of(bot.parts), HttpSettings(host="127.0.0.1", port=0, token="")) as url,
            aiohttp.ClientSession() as session,
        ):
            yield Site(url, session, bot)


async def test_the_document_is_whole(site: Site) -> None:
    """It is served, is a schema of itself, and names every path of the API that the app has."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    routes = {
        re.sub(r":[^}]*", "", route.resource.canonical)
        for route in app_of(site.bot.parts).router.routes()
        if route.resource
    }
    assert {path for path in routes if path.startswith("/api/")} - {"/api/openapi.json"} | {"/health"} == DOCUMENT[
        "paths"
    ].keys()


async def test_what_there_is(site: Site) -> None:
    """Every path answers 200 where there is what it asks for, as the document says."""
    parts = {"venue": "bybit", "id": "KORVAUSDT"}
    for path in DOCUMENT["paths"]:
        own = {"id": "1"} if path == "/api/signals/{id}" else parts
        has_none = path.startswith(("/api/candles/", "/api/levels/"))  # no strategy of the stage keeps candles
        assert await site.check(path, own, {}) == (404 if has_none else 200), path


async def test_whatever_is_asked(site: Site) -> None:
    """Whatever stands in the path and the query, the answer is described and never an error of the server."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(DOCUMENT["paths"])))
        about: list[dict[str, Any]] = DOCUMENT["paths"][path]["get"]["parameters"]
        parts = {one["name"]: data.draw(ODD.filter(_fits_in_a_path)) for one in about if one["in"] == "path"}
        if path == "/api/signals/{id}":
            parts["id"] = str(data.draw(st.integers(0, 10**18 - 1)))
        names = [one["name"] for one in about if one["in"] == "query"]
        query = data.draw(st.dictionaries(st.sampled_from([*names, "unknown"]), ODD, max_size=3))
        status = asyncio.run_coroutine_threadsafe(site.check(path, parts, query), loop).result(10)
        assert status < 500

    await asyncio.to_thread(ask)


def _fits_in_a_path(text: str) -> bool:
    return bool(text) and text not in (".", "..") and not set(text) & set("/?#%\\") and text.isprintable()
