"""The feed that keeps what it hands on: nothing that a decision depends on changes within a tick."""

from types import SimpleNamespace
from typing import Any, cast

from fetchers.base import MarketFeed
from fetchers.health import Condition
from fetchers.tape.recording import RecordingFeed, conditions, watched
from fetchers.universe import Universe
from tests.bot.scripted import ScriptedFeed
from tests.builders import instrument, order_book, quotes


async def begun() -> tuple[Any, RecordingFeed]:
    """Return a feed and its recorder, in a tick whose polls are over."""
    feed = ScriptedFeed([instrument()])
    feed.next = [quotes()]
    recording = RecordingFeed(cast("MarketFeed", feed))
    assert recording.universe is feed.universe
    assert len(await recording.poll_quotes()) == 1
    async for _ in recording.poll_candidates(list, held=()):
        pass
    return feed, recording


async def test_a_tick_sees_one_universe() -> None:
    """A reload and a venue's fall within a tick are seen by the next one."""
    feed, recording = await begun()
    before, feed.universe = feed.universe, Universe(instruments=())
    feed.status = lambda: {"bybit": SimpleNamespace(condition="blind")}
    assert recording.universe is before
    assert recording.status()["bybit"].condition == "ok"
    taken = recording.take()
    assert taken is not None
    assert watched(taken.universe).instruments == before.instruments
    assert recording.universe is feed.universe
    assert recording.status()["bybit"].condition == "blind"
    assert recording.take() is None


async def test_what_is_kept() -> None:
    """Replies, portions and candles are kept as they were handed on; empty portions need not be."""
    feed, recording = await begun()
    assert await recording.fetch_candles(("bybit", "PEPEUSDT"), 5) is None
    taken = recording.take()
    assert taken is not None
    assert len(taken.quotes) == 1
    assert taken.portions == []
    assert [(one.key, one.since_ms) for one in taken.candles] == [(("bybit", "PEPEUSDT"), 5)]
    feed.next = [order_book()]
    await recording.poll_quotes()
    assert recording.unfinished == 0
    await recording.poll_quotes()
    assert recording.unfinished == 1, "the tick before was never taken"
    recording.renew()
    assert feed.renewed == 1
    assert (recording.notices(), recording.changes()) == ([], {})


def test_conditions() -> None:
    """Of a report the condition stands on the tape."""
    report: Any = SimpleNamespace(condition=Condition.HELD)
    assert conditions({"mexc": report}) == {"mexc": "held"}
