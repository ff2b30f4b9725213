"""What the running bot says of itself agrees with what it does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bot.chat.commands.count import render_count
from bot.chat.commands.status import render_status
from bot.config.settings import HttpSettings
from bot.web.app import serve
from fetchers.simulated.scenario import Planted
from tests.bot.stage import RunningBot, staged
from tests.bot.web.site import app_of

SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="timeout")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningBot]:
    """Yield a bot with one signal open."""
    async with staged(tmp_path_factory.mktemp("reports"), SETUP) as stage, stage.bot() as running:
        await running.tick_for(30)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_status(bot: RunningBot) -> None:
    """The status counts ticks, today's signals, what is open, and what each venue keeps and polls."""
    status = bot.live_status.status()
    assert status.ticks == bot.orchestrator.activity.ticks == len(bot.orchestrator.activity.durations_ms)
    assert (status.signals_today, len(status.open_signals)) == (1, 1)
    assert list(status.problems()) == []
    assert {venue.venue: venue.instruments for venue in status.venues} == {
        name: report.kept for name, report in bot.feed.status().items()
    }
    assert all("polled a tick" in venue.note for venue in status.venues)
    assert "Signals today: 1 of 50" in render_status(bot.live_status.status(), "UTC")


async def test_leaderboard(bot: RunningBot) -> None:
    """The leaderboard is sorted, holds the coin of the open signal, and leaves out what may not signal."""
    rows = bot.live_status.markets()
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert any(row["coin"] == "KORVA" for row in rows)
    assert all(row["coin"] != "BTC" for row in rows)
    assert bot.live_status.status().best.startswith(rows[0]["pair"])


async def test_one_pair(bot: RunningBot) -> None:
    """A pair's page says why it is refused, and its contributions add up to its score."""
    market = bot.live_status.market("bybit", "KORVAUSDT")
    assert market is not None
    assert sum(market["contributions"].values()) == market["score"]
    refused = {verdict.name for verdict in market["verdicts"] if not verdict.passed}
    assert {"open_signal", "cooldown"} <= refused
    assert bot.live_status.market("bybit", "NOSUCHUSDT") is None


async def test_over_http(bot: RunningBot) -> None:
    """The web app serves the same over HTTP, NaN as null."""
    app = app_of(bot.parts)
    async with (
        serve(app, HttpSettings(host="127.0.0.1", port=0, token="")) as url,
        aiohttp.ClientSession(url) as session,
    ):

        async def get(path: str) -> tuple[int, dict[str, object]]:
            async with session.get(path) as response:
                return response.status, await response.json()

        assert (await get("/health"))[0] == 200
        status, body = await get("/api/status")
        assert (status, body["problems"]) == (200, [])
        status, body = await get("/api/markets/bybit/KORVAUSDT")
        assert (status, body["coin"]) == (200, "KORVA")
        status, body = await get("/api/signals?symbol=korva")
        signals = body["signals"]
        assert isinstance(signals, list)
        assert (status, [found["signal"]["coin"] for found in signals]) == (200, ["KORVA"])
        assert (await get("/api/markets/bybit/NOSUCH"))[0] == 404


@pytest.mark.parametrize("ahead_ms", [1, 2_000, 3_600_000])
async def test_the_clock_is_behind_the_last_signal(bot: RunningBot, ahead_ms: int) -> None:
    """Everything still answers, and says so in words."""
    limits = bot.orchestrator.ledger.limits
    bot.orchestrator.ledger.limits = replace(limits, signal_times_ms=(bot.stage.clock.now_ms() + ahead_ms,))
    try:
        status = bot.live_status.status()
        assert status.signals_today is None
        assert "clock is behind the last signal" in render_status(bot.live_status.status(), "UTC")
        assert "clock is behind the last signal" in render_count(status, bot.orchestrator.ledger.limits, "UTC")
        served = serve(
            app_of(bot.parts),
            HttpSettings(host="127.0.0.1", port=0, token=""),
        )
        async with served as url, aiohttp.ClientSession() as session:
            for path in ("/health", "/api/status"):
                async with session.get(url + path) as response:
                    assert response.status == 200, await response.text()
    finally:
        bot.orchestrator.ledger.limits = limits


async def test_a_strategy_beyond_the_first(tmp_path: Path) -> None:
    """Its leaderboard, histogram and pair are its own: its parts, its threshold, its gates; a pair has both scores."""
    async with staged(tmp_path, exchanges=("bybit",), STRATEGIES="ups,levels") as stage, stage.bot() as bot:
        await bot.tick_for(4)
        status, (tick,) = bot.live_status, [bot.orchestrator.activity.last_tick]
        assert tick is not None
        assert status.strategies() == ("ups", "levels")
        for strategy in bot.orchestrator.strategies:
            rows = status.markets(5, strategy.name)
            scores = tick.decision.by_strategy[strategy.name].scores
            assert [list(row["contributions"]) for row in rows] == [list(strategy.weights)] * 5
            eligible = tick.features.instruments.is_eligible
            assert [row["score"] for row in rows] == sorted(scores.total[eligible].tolist(), reverse=True)[:5]
            found = status.scores(strategy.name)
            assert (found["strategy"], sum(found["counts"])) == (strategy.name, int(eligible.sum()))
            assert found["threshold"] == strategy.lowest_score(stage.config.scoring)
            one = status.market("bybit", rows[0]["id"], strategy.name)
            assert one is not None
            assert (one["strategy"], one["score"]) == (strategy.name, rows[0]["score"])
            assert one["scores"][strategy.name] == one["score"]
            assert set(one["scores"]) == {"ups", "levels"}
        names = {}
        for name in ("ups", "levels"):
            one = status.market("bybit", rows[0]["id"], name)
            assert one is not None
            names[name] = {verdict.name for verdict in one["verdicts"]}
        assert names["ups"] != names["levels"]
        assert list(status.markets(5)) == list(status.markets(5, "ups"))
