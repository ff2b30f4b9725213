"""A decision between two ticks: when it is worth it, and that it is the tick's own."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.looks import APART_MS, LookTrigger, hot_keys
from bot.replay import Replay
from bot.tasks import spawn
from features.facts.market import Observation
from fetchers.poll_plan import Key
from fetchers.simulated.scenario import Planted
from fetchers.tape.files import read_tape
from fetchers.tape.records import TapeTick
from scoring.signals import Limits
from scoring.strategies.ups_short.bound import hot_bound, upper_bound
from tests.bot.stage import RunningBot, staged
from tests.builders import NOW_MS, prints_of, quotes, trades
from tests.scoring.frames import UPS, column, make_settings, passing

A, B, LENDER = ("binance", "AUSDT"), ("binance", "BUSDT"), ("bybit", "AUSDT")
COLUMN: Mapping[Key, int] = {A: 0, B: 1, LENDER: 2}


def looked_at(trigger: LookTrigger, sweeps_ms: list[float], hot: list[Key], *open_keys: Key) -> list[Key]:
    """Return whom a trigger chooses in a market in which the first instrument borrows from the last."""
    frame = replace(passing(3), borrows_flow=np.array([True, False, False]), lender=np.array([2, -1, -1]))
    return trigger.choose(frame, COLUMN, hot, open_keys, np.array(sweeps_ms))


def test_who_becomes_hot_is_looked_at_once() -> None:
    """And again when its sweep, or its lender's, has grown; who is merely hot is not."""
    trigger = LookTrigger()
    assert looked_at(trigger, [0, 5, 5], [A]) == [A]
    assert looked_at(trigger, [0, 9, 5], [A]) == []
    assert looked_at(trigger, [0, 9, 6], [A]) == [A]
    assert looked_at(trigger, [0, 9, 6], [B, A]) == [B]
    assert looked_at(trigger, [0, 9, 6], []) == []
    assert looked_at(trigger, [0, 9, 6], [A], B) == [A]
    assert looked_at(trigger, [0, 10, 6], [], B, ("mexc", "GONE_USDT")) == [B]


def test_what_a_tick_has_looked_at_needs_no_look() -> None:
    """Whoever is hot and had no book in the tick is looked at after it."""
    trigger = LookTrigger()
    trigger.saw([A], np.array([0.0, 5.0, 6.0]))
    assert looked_at(trigger, [0, 5, 6], [A, B]) == [B]


def test_nothing_is_computed_without_need() -> None:
    """Prints that are no new sweep are not worth it; new prices are; and not before the last look is far enough."""
    trigger = LookTrigger()
    prints: list[Observation] = [prints_of(trades()), trades()]
    before, grown = np.array([5.0, 0.0]), np.array([5.0, 7.0])
    assert trigger.is_worth_features(prints, before, NOW_MS)
    trigger.choose(passing(2), {A: 0, B: 1}, [], [], before)
    assert not trigger.is_worth_features(prints, before, NOW_MS)
    assert trigger.is_worth_features(prints, grown, NOW_MS)
    assert trigger.is_worth_features([*prints, quotes()], before, NOW_MS)
    trigger.note(NOW_MS, 0, is_look=True)
    assert not trigger.is_worth_features(prints, grown, NOW_MS + APART_MS - 1)
    assert trigger.is_worth_features(prints, grown, NOW_MS + APART_MS)
    trigger.note(NOW_MS, 30, is_look=False)
    assert not trigger.is_worth_features(prints, grown, NOW_MS + 599)
    assert trigger.is_worth_features(prints, grown, NOW_MS + 600)


def test_hot_is_who_would_pass_with_any_book() -> None:
    """A sweep in fresh prints is needed, and the bound is at most that of unknown prints; the best comes first."""
    nan = math.nan
    frame = passing(
        5,
        sweep_multiple=column([10.0, 0.0, nan, 10.0, 5.0]),
        sweep_age_s=column([1.0, nan, nan, 1.0, 1.0]),
        ask_share=column([0.9, 0.9, 0.9, nan, 0.9]),
        bid_depth_usdt=column([1e5, 1e5, 1e5, nan, 1e5]),
        taker_sell_share=column([0.9, 0.9, 0.9, 0.9, 0.2]),
    )
    settings = make_settings()
    hot, bound = hot_bound(frame, settings), upper_bound(frame, settings)
    assert np.isneginf(hot).tolist() == [False, True, True, False, False]
    assert (hot <= bound).all()
    places: dict[Key, int] = {("binance", str(place)): place for place in range(5)}
    found = hot_keys(frame, places, (UPS,), Limits.fresh(), settings, ())
    assert found == sorted(found, key=lambda key: -hot[places[key]])
    assert ("binance", "3") in found


SETUPS = (
    Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit"),
    Planted(coin="TAVRO", venue="bybit", start_s=38, hold_s=10, fate="stop_loss"),
)


async def test_a_look_decides_like_a_tick(tmp_path: Path) -> None:
    """Each setup alerts once, though ticks and looks decide, and a replay of both in their order gives the same."""
    names: dict[str, Any] = {"QUOTES_INTERVAL": "0.5", "TAPE": "on", "DATA_DIR": str(tmp_path), "REFRESH_INTERVAL": "4"}
    async with staged(tmp_path, *SETUPS, exchanges={"bybit"}, **names) as stage, stage.bot() as bot:
        for _ in range(14):
            await bot.tick_for(4)
            look = bot.orchestrator.look([("bybit", "KORVAUSDT"), ("bybit", "TAVROUSDT")])
            await bot.until_done(spawn(look, name="look", keep=bot.tasks))
        rows = sorted((signal.coin, signal.decided_ms) for signal, _ in await bot.store.signals.find())
        assert stage.servers.requests["bybit"].refused == 0
    files = sorted((tmp_path / "tape").iterdir())
    ticks = [one for path in files for one in read_tape(path) if isinstance(one, TapeTick)]
    looks = [one for one in ticks if one.is_look]
    assert [coin for coin, _ in rows] == ["KORVA", "TAVRO"]
    assert {one.decided_ms for one in looks} & {decided_ms for _, decided_ms in rows}
    assert not any(one.watched or one.quotes for one in looks)
    assert any(one.heard for one in ticks)
    async with Replay() as replay:
        done = await replay.play(files)
    assert (done.differs_ms, done.digest) == (None, done.recorded_digest)
    assert sorted((signal.coin, signal.decided_ms) for signal, _ in done.rows) == rows


def exposition(bot: RunningBot) -> bytes:
    """Return the bot's figures."""
    return bot.parts.metrics.exposition(bot.live_status.status())


async def test_a_sweep_by_stream_is_looked_at_at_once(tmp_path: Path) -> None:
    """Setups alert between ticks, each once, and a replay of streams, ticks and looks gives the same."""
    names: dict[str, Any] = {"STREAMS": "on", "TAPE": "on", "DATA_DIR": str(tmp_path), "REFRESH_INTERVAL": "4"}
    async with staged(tmp_path, *SETUPS, exchanges={"bybit"}, **names) as stage, stage.bot() as bot:
        await bot.tick_for(56)
        rows = sorted((signal.coin, signal.decided_ms) for signal, _ in await bot.store.signals.find())
        assert stage.servers.requests["bybit"].refused == 0
        assert stage.servers.streams_seen["bybit"].connects
        (venue,) = bot.live_status.status().venues
        assert "streams cover 12 of 12" in venue.note
        assert b'sgnl_stream_symbols{channel="trades 1",venue="bybit",what="covered"} 12.0' in exposition(bot)
    files = sorted((tmp_path / "tape").iterdir())
    ticks = [one for path in files for one in read_tape(path) if isinstance(one, TapeTick)]
    looks = [one for one in ticks if one.is_look]
    assert [coin for coin, _ in rows] == ["KORVA", "TAVRO"]
    assert {decided_ms for _, decided_ms in rows} <= {one.decided_ms for one in looks}
    # its first sweep ends 0.7 s after a whole second; replies take some of the hand clock's time here
    ended_ms = [NOW_MS + 1000 * one.start_s + 700 for one in SETUPS]
    assert all(at_ms - end_ms < 2000 for (_, at_ms), end_ms in zip(rows, ended_ms, strict=True))
    async with Replay() as replay:
        done = await replay.play(files)
    assert (done.differs_ms, done.digest) == (None, done.recorded_digest)
    assert sorted((signal.coin, signal.decided_ms) for signal, _ in done.rows) == rows
