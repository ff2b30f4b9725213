"""A command, and the parts of the running bot that it may use."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeAlias

from bot.chat.announcer import ChatAnnouncer
from bot.chat.commands.arguments import UsageError, parse_days, parse_id
from bot.chat.delivery.chat_states import ChatStates
from bot.chat.delivery.sender import Content
from bot.chat.delivery.sounds import Sounds
from bot.chat.recipients import Recipients
from bot.chat.texts.listing import Listing
from bot.clock import Clock
from bot.config.settings import Config
from bot.core.live_status import LiveStatus
from bot.core.orchestrator import Orchestrator
from bot.core.performance import ended_since
from bot.logs import LogFile
from features.facts.market import Instrument
from scoring.records import Row
from scoring.signals import Outcome, Signal
from storage.store import Store
from storage.symbols import symbol_key

DAY_MS = 86_400_000
MOST_LISTED = 200
NOTHING_SCORED = "Nothing has been scored yet, try again in a moment"

Said: TypeAlias = Content | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """The running bot, as commands read and steer it."""

    config: Config
    clock: Clock
    store: Store
    orchestrator: Orchestrator
    announcer: ChatAnnouncer
    recipients: Recipients
    chat_states: ChatStates
    sounds: Sounds
    live_status: LiveStatus
    invite: Callable[[], str]  #: return a link that opens the web page once
    log_file: LogFile | None = None
    _drawing: asyncio.Lock = field(default_factory=asyncio.Lock)  # matplotlib's style is one for the whole process

    @property
    def timezone(self) -> str:
        """The zone that times are shown in."""
        return self.config.scoring.timezone

    async def find_signal(self, text: str) -> tuple[Signal, Outcome | None]:
        """Return the alert of a number such as #42 and its end, or raise UsageError."""
        signal_id = parse_id(text)
        if (found := await self.store.signals.get(signal_id)) is None:
            raise UsageError(f"There is no alert #{signal_id}; /signals lists them")
        return found

    def find_instruments(self, coin: str) -> list[Instrument]:
        """Return the coin's pairs, the best score first, or raise UsageError with the nearest names."""
        if found := self.live_status.find(coin):
            return found
        if self.orchestrator.activity.last_tick is None:
            raise UsageError(NOTHING_SCORED)
        coins = {one.coin for one in self.orchestrator.activity.last_tick.features.instruments}
        near = get_close_matches(symbol_key(coin), coins, n=3)
        raise UsageError(f"{coin} is not watched" + (f", did you mean {' or '.join(near)}?" if near else ""))

    async def ended_in(self, argument: str, default_days: int) -> tuple[list[Row], list[Row], int]:
        """Return what has ended in the days asked for: alerts, controls, and how many of other settings."""
        return await ended_since(self.store, self.clock.now_ms() - parse_days(argument, default_days) * DAY_MS)

    async def picture(self, draw: Callable[[], bytes], caption: str) -> Content:
        """Return a picture, drawn on a thread: one at a time."""
        async with self._drawing:
            return Content(text=caption, picture=await asyncio.to_thread(draw))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as people know it."""

    name: str
    help: str
    answer: Callable[[CommandContext, str], Awaitable[Said]]
    is_steering: bool = False  #: for admins only
    is_confidential: bool = False  #: and only where no one else reads it: in private or in the operator's chat
    cost: int = 1  #: of what one user may wait for at a time
    aliases: tuple[str, ...] = ()
