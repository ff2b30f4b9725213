"""The whole job over HTTP: poll, decide, store, tell, follow, go on after a restart."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from loguru import logger

from bot.cli.demo import OVERRIDES, demo_settings, scenario_for
from bot.config.load import load_config
from bot.core.orchestrator import FAILED_TICKS
from bot.tasks import spawn
from features.facts.market import Observation
from features.missing import Missing
from fetchers.feed import Feed
from fetchers.simulated.scenario import Fate, Planted
from scoring.signals import ExitReason
from storage.errors import StorageError
from storage.store import Store
from tests.bot.builders import silent_bot
from tests.bot.stage import staged
from tests.hand_clock import HandClock
from tests.scoring.frames import ideal

pytestmark = pytest.mark.long

FATES: dict[Fate, ExitReason] = {
    "take_profit": ExitReason.TAKE_PROFIT,
    "stop_loss": ExitReason.STOP_LOSS,
    "timeout": ExitReason.TIMEOUT,
}
SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit")
CALM_MARKET = Planted(coin="KORVA", venue="bybit", start_s=10_000, hold_s=10, fate="timeout")


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what changes is an attribute, which nobody signals
            await asyncio.sleep(0.002)


async def test_demo_scenario(tmp_path: Path) -> None:
    """Every planted setup alerts exactly once and meets its fate, no decoy does, and no venue's limit is exceeded."""
    planted = scenario_for(demo_settings(), 120).planted
    async with staged(tmp_path, *planted) as stage, stage.bot() as bot:
        await bot.tick_for(120)
        seen_by_us = stage.config.venues.exchanges
        ended = {signal.coin: outcome for signal, outcome in await bot.store.signals.find()}
        assert len(ended) == bot.orchestrator.activity.signals
        assert {coin: outcome and outcome.reason for coin, outcome in ended.items()} == {
            setup.coin: FATES[setup.fate] for setup in planted if setup.lacks is None
        }
        assert {name: seen.refused for name, seen in stage.servers.requests.items()} == dict.fromkeys(seen_by_us, 0)


@pytest.mark.parametrize("venue", ["binance", "bybit", "mexc", "lbank"])
async def test_one_venue(tmp_path: Path, venue: str) -> None:
    """On each venue a setup is found, alerted once in plain text, followed to its target and counted net of costs."""
    flow_venue = "bybit" if venue == "lbank" else venue
    setup = Planted(coin="KORVA", venue=venue, flow_venue=flow_venue, start_s=22, hold_s=10, fate="take_profit")
    async with staged(tmp_path, setup, exchanges={venue, flow_venue}) as stage, stage.bot() as bot:
        await bot.tick_for(60)
        ((signal, outcome),) = await bot.store.signals.find()
        assert (signal.coin, signal.venue) == ("KORVA", venue)
        assert signal.score >= 72
        assert sum(signal.contributions.values()) == signal.score
        assert all(verdict.passed for verdict in signal.verdicts)
        assert signal.borrowed == ("OI and flow: Bybit" if venue == "lbank" else "")
        assert outcome is not None
        assert outcome.reason is ExitReason.TAKE_PROFIT
        assert ideal(outcome).net_percent == pytest.approx(ideal(outcome).gross_percent - 0.1)
        text = stage.terminal.getvalue()
        assert text.count("SHORT KORVA") == 1
        assert text.count("TP hit: KORVA") == 1


async def test_restart(tmp_path: Path) -> None:
    """A bot killed with a signal open settles it from what happened meanwhile, and does not alert it again."""
    async with staged(tmp_path, SETUP) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(30)
            assert len(bot.orchestrator.ledger.open_signals) == 1
        await stage.clock.advance(40)
        async with stage.bot() as bot:
            assert len(bot.orchestrator.ledger.open_signals) == 1
            await bot.tick_for(10)
            ((_, outcome),) = await bot.store.signals.find()
            assert outcome is not None
            assert outcome.reason is ExitReason.TAKE_PROFIT
            assert outcome.note == "", "the first reply's prints reach back to the last look"
        assert stage.terminal.getvalue().count("Alerts like it") == 1


async def test_pause(tmp_path: Path) -> None:
    """While paused nothing is alerted, and the pause outlives a restart."""
    async with staged(tmp_path, SETUP) as stage:
        async with stage.bot() as bot:
            await bot.orchestrator.ledger.pause(None)
        async with stage.bot() as bot:
            await bot.tick_for(40)
            assert await bot.store.signals.find() == []
            assert bot.orchestrator.activity.funnels["ups"].refused["paused"] > 0


async def test_disk_trouble(tmp_path: Path) -> None:
    """A signal that cannot be stored is neither sent nor counted, and goes out once the disk is well again."""
    async with staged(tmp_path, SETUP) as stage, stage.bot() as bot:
        await bot.tick_for(20)
        good = bot.store.remember
        left = 1

        async def full_disk(*arguments: object, **named: object) -> None:
            nonlocal left
            if arguments[0] and left:
                left -= 1
                raise StorageError("the disk is full")
            await good(*arguments, **named)  # type: ignore[arg-type]

        bot.store.remember = full_disk  # type: ignore[method-assign]
        with pytest.raises(StorageError):
            await bot.tick_for(10)
        assert bot.orchestrator.ledger.limits.next_id == 1
        await bot.tick_for(6)
        assert [signal.id for signal, _ in await bot.store.signals.find()] == [1]
        assert stage.terminal.getvalue().count("Alerts like it") == 1


async def test_nothing_between_ticks_clears_a_fault(tmp_path: Path) -> None:
    """A tick that failed is said until one has worked; what fails between two ticks is tried again after the next."""
    async with staged(tmp_path, REFRESH_INTERVAL="15", QUOTES_INTERVAL="1") as stage, stage.bot() as bot:
        await bot.tick_for(1)
        heard, stop = 0, asyncio.Event()
        good = bot.feed.listen

        async def listen() -> list[list[Observation]]:
            nonlocal heard
            heard += 1
            if heard == 3:
                raise ZeroDivisionError("between two ticks")
            return await good()

        async def broken() -> list[Observation]:
            raise ZeroDivisionError("in a tick")

        bot.feed.listen = listen  # type: ignore[method-assign]
        bot.feed.poll_quotes = broken  # type: ignore[method-assign, assignment]
        running = spawn(bot.orchestrator.run(stop), name="run", keep=bot.tasks)
        await until(lambda: heard == 2)
        assert bot.orchestrator.fault == "ZeroDivisionError: in a tick"
        await until(lambda: heard == 3)
        await asyncio.sleep(0.25)  # two more readings, were they made
        stop.set()
        await running
        assert (heard, bot.orchestrator.fault) == (3, "ZeroDivisionError: between two ticks")


async def test_guard(tmp_path: Path) -> None:
    """One bad tick is survived and seen in /health; too many in a row end the run."""
    async with staged(tmp_path, REFRESH_INTERVAL="0.2") as stage, stage.bot() as bot:
        await bot.tick_for(1)
        good = bot.feed.poll_quotes
        left = 1

        async def broken(*_arguments: object) -> list[Observation]:
            nonlocal left
            left -= 1
            if left >= 0:
                raise ZeroDivisionError("no such number")
            return await good()

        bot.feed.poll_quotes = broken  # type: ignore[method-assign, assignment]
        stop = asyncio.Event()
        running = spawn(bot.orchestrator.run(stop), name="run", keep=bot.tasks)
        await until(lambda: bot.orchestrator.fault != "")
        assert list(bot.live_status.status().problems()) == ["ZeroDivisionError: no such number"]
        await until(lambda: bot.orchestrator.fault == "")
        stop.set()
        await running
        left = FAILED_TICKS
        with pytest.raises(RuntimeError, match="5 ticks in a row failed, the last: ZeroDivisionError: no such number"):
            await bot.orchestrator.run(asyncio.Event())


async def test_blind_venue(tmp_path: Path) -> None:
    """A venue blind for two minutes is told of once, and once when it is back; the others are watched on."""
    async with staged(tmp_path, CALM_MARKET, exchanges={"bybit", "lbank"}) as stage, stage.bot() as bot:
        await bot.tick_for(4)
        stage.servers.faults["lbank"]["/cfd/openApi/v1/pub/marketData"] = "empty"
        await bot.tick_for(150)
        assert stage.terminal.getvalue().count("LBank has been blind for") == 1
        del stage.servers.faults["lbank"]["/cfd/openApi/v1/pub/marketData"]
        await bot.tick_for(30)
        assert stage.terminal.getvalue().count("LBank is back") == 1
        assert bot.orchestrator.fault == ""


async def test_warm_restart(tmp_path: Path) -> None:
    """A bot that starts again goes on with the windows of the last one: nothing warms up anew, but for the prints."""
    async with staged(tmp_path, CALM_MARKET, exchanges={"binance", "bybit"}) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(60)
            await bot.orchestrator.stop()
            before = bot.orchestrator.activity.last_tick
        await stage.clock.advance(3)
        async with stage.bot() as bot:
            await bot.tick_for(2)
            after = bot.orchestrator.activity.last_tick
        assert before is not None
        assert after is not None
        for part in ("momentum", "open_interest_change", "exhaustion", "btc_return"):
            was_there = np.count_nonzero(before.features.missing[part] == Missing.PRESENT)
            is_there = np.count_nonzero(after.features.missing[part] == Missing.PRESENT)
            assert was_there > 0
            assert is_there >= 0.8 * was_there, part


@pytest.mark.parametrize("away_s", [-30, 100])
async def test_windows_of_no_use(tmp_path: Path, away_s: int) -> None:
    """Windows older than all that is looked at, and such from the future, are not gone on with."""
    async with staged(tmp_path, CALM_MARKET, exchanges={"bybit"}) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(10)
            await bot.orchestrator.stop()
        other = HandClock(stage.clock.now_ms() + 1000 * away_s)
        async with await Store.open(tmp_path / "sgnl.db") as store:
            feed = Feed((), settings=stage.config.universe, now_ms=other.now_ms, sleep=other.sleep, spawn=_no_task)
            again = silent_bot(stage.config, other, feed, store).orchestrator
            said: list[str] = []
            sink = logger.add(lambda message: said.append(str(message)), format="{message}")
            await again.restore()
            logger.remove(sink)
            assert again.market.state.ticks == 0
            assert any(line.startswith("the windows begin empty: those kept are ") for line in said)


async def test_damaged_windows(tmp_path: Path) -> None:
    """Windows that cannot be read cost warmth and nothing else."""
    async with staged(tmp_path, CALM_MARKET, exchanges={"bybit"}) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(4)
            await bot.orchestrator.stop()
        windows = tmp_path / "sgnl.db.windows"
        windows.write_bytes(windows.read_bytes()[:1000])
        async with stage.bot() as bot:
            await bot.tick_for(4)
            assert bot.orchestrator.activity.ticks == 2


async def test_restart_without_the_venue(tmp_path: Path) -> None:
    """An open signal whose venue cannot be reached at the start is not delisted: it waits, and is settled later."""
    async with staged(tmp_path, SETUP) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(30)
            assert len(bot.orchestrator.ledger.open_signals) == 1
        stage.servers.faults["bybit"]["/v5/market/instruments-info"] = "empty"
        async with stage.bot() as bot:
            await bot.tick_for(10)
            assert len(bot.orchestrator.ledger.open_signals) == 1
            del stage.servers.faults["bybit"]["/v5/market/instruments-info"]
            await bot.tick_for(90)
            ((_, outcome),) = await bot.store.signals.find()
            assert outcome is not None
            assert outcome.reason is ExitReason.TAKE_PROFIT


async def test_restart_without_the_exchange(tmp_path: Path) -> None:
    """An open signal on a venue that is watched no more ends without a result."""
    async with staged(tmp_path, SETUP) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(30)
        urls = {f"{venue.upper()}_URL": url for venue, url in stage.servers.urls.items()}
        stage.config = load_config(OVERRIDES | urls | {"EXCHANGES": "binance"})
        async with stage.bot() as bot:
            await bot.tick_for(4)
            ((_, outcome),) = await bot.store.signals.find()
            assert outcome is not None
            assert (outcome.reason, outcome.ideal) == (ExitReason.NO_LONGER_WATCHED, None)


def _no_task(*_arguments: object) -> asyncio.Task[None]:
    raise AssertionError("nothing is to be started")
