"""What the bot records: a digest for every tick, a file an hour, and a new one after whatever could not be written."""

from pathlib import Path

import numpy as np
import pytest

from bot.config.load import load_config
from bot.core.taping import FILE_MS, RETRY_MS, Taping, digest_of, hold, tick_digest
from bot.wiring import Bot
from features.frame import FeatureFrame
from fetchers.tape.files import read_tape
from fetchers.tape.records import Checkpoint, Gap, Header, TapeTick
from scoring.decide import Decision, decide
from scoring.signals import Limits
from scoring.strategies import STRATEGIES
from storage.store import Store
from tests.bot.builders import silent_bot
from tests.bot.scripted import ScriptedFeed
from tests.builders import NOW_MS, feature_frame, instrument, quotes
from tests.hand_clock import HandClock
from tests.scoring.frames import limits, make_settings


@pytest.fixture
async def bot(tmp_path: Path) -> "Recorded":
    """Return a bot that records, on a feed of one instrument."""
    return await Recorded.begun(tmp_path)


class Recorded:
    """A bot that records, tick by tick."""

    def __init__(self, folder: Path, clock: HandClock, feed: ScriptedFeed, parts: Bot, taping: Taping) -> None:
        self.folder, self.clock, self.feed, self.parts, self.taping = folder, clock, feed, parts, taping

    @classmethod
    async def begun(cls, folder: Path) -> "Recorded":
        """Begin the first file."""
        config = load_config({"TAPE": "on", "DATA_DIR": str(folder), "MIN_SCORE_THRESHOLD": "71"})
        clock, feed = HandClock(), ScriptedFeed([instrument()])
        parts = silent_bot(config, clock, feed, await Store.open(folder / "sgnl.db"))
        assert parts.taping is not None
        parts.taping.begin(clock.now_ms())
        return cls(folder / "tape", clock, feed, parts, parts.taping)

    async def tick(self, after_s: float = 5.0) -> None:
        """Tick once."""
        await self.clock.advance(after_s)
        self.feed.next = [quotes(self.clock.now_ms())]
        await self.parts.orchestrator.tick()

    async def end(self) -> list[list[object]]:
        """End, and return what stands in each file."""
        self.taping.close()
        await self.parts.store.close()
        return [list(read_tape(path)) for path in sorted(self.folder.iterdir())]


async def test_a_file(bot: Recorded) -> None:
    """A file begins with where it comes from and what the bot held; each tick has its inputs and its digest."""
    await bot.tick()
    await bot.parts.orchestrator.ledger.pause(5)
    await bot.tick()
    (note,) = bot.taping.notes()
    assert note.startswith("tape: 0.00 of 10 GB in ")
    ((header, held, first, second),) = await bot.end()
    assert isinstance(header, Header)
    assert isinstance(held, Checkpoint)
    assert header.source == "live"
    assert header.settings["MIN_SCORE_THRESHOLD"] == "71"
    assert not [name for name in header.settings if name.startswith(("TELEGRAM", "HTTP", "MYSQL", "DATA"))]
    assert isinstance(first, TapeTick)
    assert isinstance(second, TapeTick)
    assert first.watched is not None
    assert second.watched is None
    assert [changes["paused_until_ms"] for changes in second.limits] == [5]
    tick = bot.parts.orchestrator.activity.last_tick
    assert tick is not None
    assert second.digest == tick_digest(tick.features, tick.decision) != first.digest


async def test_an_hour(bot: Recorded) -> None:
    """After an hour a new file begins, which stands by itself."""
    await bot.tick()
    await bot.tick(FILE_MS / 1000)
    await bot.tick()
    first, second = await bot.end()
    assert [type(one) for one in first] == [Header, Checkpoint, TapeTick, TapeTick]
    assert [type(one) for one in second] == [Header, Checkpoint, TapeTick]
    headers = [first[0], second[0]]
    assert all(isinstance(one, Header) for one in headers)
    assert [one.part for one in headers if isinstance(one, Header)] == [0, 1]
    assert isinstance(second[2], TapeTick)
    assert second[2].watched is not None


async def test_a_tick_that_failed(bot: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tick that failed took in is not known whole: a new file begins with what the bot holds then."""
    await bot.tick()
    with monkeypatch.context() as broken:
        broken.setattr(bot.parts.orchestrator.ledger, "remember", None)
        with pytest.raises(TypeError):
            await bot.tick()
    await bot.tick(RETRY_MS / 1000)
    await bot.tick()
    first, second = await bot.end()
    assert [type(one) for one in first] == [Header, Checkpoint, TapeTick]
    assert [type(one) for one in second] == [Header, Gap, Checkpoint, TapeTick]
    assert isinstance(second[1], Gap)
    assert second[1].ticks == 2


def decision_on(features: FeatureFrame, with_limits: Limits) -> Decision:
    """Return what is decided on features."""
    return decide(NOW_MS, features, with_limits, (), make_settings(), STRATEGIES.values())


def test_digest() -> None:
    """One bit of one feature, or anything that was decided, makes it another."""
    frame = feature_frame()
    decision = decision_on(frame, limits())
    digest = tick_digest(frame, decision)
    assert tick_digest(feature_frame(), decision_on(frame, limits())) == digest
    assert tick_digest(feature_frame(mark_price=np.nextafter(100.0, 101)), decision) != digest
    assert tick_digest(feature_frame(missing={"book": 1}), decision) != digest
    assert tick_digest(frame, decision_on(frame, limits(paused_until_ms=NOW_MS + 1))) != digest
    assert digest_of([digest]) != digest_of([digest, digest])


async def test_what_is_held(bot: Recorded) -> None:
    """What is held is a copy: the next tick does not change it."""
    assert hold(bot.parts.orchestrator).windows is None
    await bot.tick()
    held = hold(bot.parts.orchestrator)
    assert held.windows is not None
    before = held.windows.tick_ms.copy()
    await bot.tick()
    assert (held.windows.tick_ms == before).all()
    await bot.end()
