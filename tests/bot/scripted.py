"""A real orchestrator and a real database on a feed that says what a test puts into it."""

import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.chat.announcer import ChatAnnouncer
from bot.config.load import load_config
from bot.core.orchestrator import Orchestrator
from features.facts.market import Candles, Instrument, Observation
from fetchers.health import Notice
from fetchers.parsing.tallies import Change
from fetchers.poll_plan import Key, Wanted
from fetchers.universe import Universe
from storage.store import Store
from tests.bot.builders import silent_bot
from tests.builders import instrument
from tests.hand_clock import HandClock


class ScriptedFeed:
    """Implements what the orchestrator uses of `fetchers.feed.Feed`."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.universe = Universe(instruments=tuple(instruments))
        self.next: list[Observation] = []
        self.candles: Candles | None = None
        self.renewed = 0
        self.held: Collection[str] = ()
        self.is_heard_between_ticks = self.is_late = False

    async def poll_quotes(self) -> list[Observation]:
        """Return what is next."""
        found, self.next = self.next, []
        return found

    async def poll_candidates(
        self,
        wanted: Callable[[], Sequence[Wanted]],
        *,
        held: Collection[str],
        urgent: Callable[[], Sequence[Key]],
    ) -> AsyncIterator[list[Observation]]:
        """Return nothing; keep what is held."""
        del urgent
        wanted()
        self.held = held
        yield []

    async def fetch_candles(self, _key: Key, _since_ms: int) -> Candles | None:
        """Return the candles there are."""
        return self.candles

    def notices(self) -> list[Notice]:
        """Return nothing."""
        return []

    def changes(self) -> dict[str, list[Change]]:
        """Return nothing."""
        return {}

    def status(self) -> dict[str, Any]:
        """Return the one venue, well."""
        return {"bybit": SimpleNamespace(kept=len(self.universe.instruments), condition="ok", last_error="")}

    def renew(self) -> None:
        """Count."""
        self.renewed += 1


@dataclass(slots=True, kw_only=True)
class Scripted:
    """The bot, its clock and its feed."""

    clock: HandClock
    feed: ScriptedFeed
    store: Store
    bot: Orchestrator
    announcer: ChatAnnouncer
    ticked_ms: list[int] = field(default_factory=list)  #: by the monotonic clock

    async def tick(self, *observations: Observation, after_s: float = 5.0) -> None:
        """Tick once, with what it is to see."""
        await self.clock.advance(after_s)
        self.feed.next = list(observations)
        await self.bot.tick()


@asynccontextmanager
async def scripted(clock: HandClock, **env: str) -> AsyncIterator[Scripted]:
    """Return the bot on an empty database."""
    feed = ScriptedFeed([instrument(), instrument(id="BTCUSDT", coin="BTC", base="BTC")])
    with tempfile.TemporaryDirectory() as folder:
        async with await Store.open(Path(folder) / "sgnl.db") as store:
            bot = silent_bot(load_config(env), clock, feed, store)
            yield Scripted(clock=clock, feed=feed, store=store, bot=bot.orchestrator, announcer=bot.announcer)
