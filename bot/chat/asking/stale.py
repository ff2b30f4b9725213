"""Commands that waited too long while the bot was away: they are ignored, and one line says it of all in a chat."""

import asyncio
from collections.abc import Sequence

from loguru import logger
from telegram import Message

from bot.chat.asking.asker import address_of
from bot.chat.asking.waiting import Waiting
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Content

MAX_AGE_S = 60  #: what waited longer while the bot was away may no longer be meant
_MOST_NAMED = 5
_YIELDS = 20


class StaleCommands:
    """Collects them by chat."""

    def __init__(self, delivery: Delivery, waiting: Waiting) -> None:
        self._delivery = delivery
        self._waiting = waiting
        self._stale: dict[str, list[tuple[str, float]]] = {}  # by chat: old commands and their ages [s]

    def note(self, message: Message, name: str, age_s: float) -> None:
        """Collect one; the line that names it follows."""
        logger.warning("/{} was sent {:.0f} s ago: ignored", name, age_s)
        address = address_of(message)
        if address not in self._stale:
            self._stale[address] = []
            self._waiting.later(self._say(message, self._stale[address]))
        self._stale[address].append((name, age_s))

    async def _say(self, message: Message, stale: list[tuple[str, float]]) -> None:
        seen = -1
        while seen < len(stale):  # the rest of the batch
            seen = len(stale)
            for _ in range(_YIELDS):
                await asyncio.sleep(0)
        self._stale.pop(address_of(message), None)
        await self._delivery.replies.send(address_of(message), Content(text=render_stale(stale)), message.message_id)


def render_stale(stale: Sequence[tuple[str, float]]) -> str:
    """Return what is said of commands that waited too long, (name, age [s]) each."""
    names = list(dict.fromkeys(f"/{name}" for name, _ in stale))
    age = f"{max(age_s for _, age_s in stale) / 60:.0f} min old"
    if len(stale) == 1:
        return f"{names[0]} is {age}, so it was ignored. Send it again if you still mean it."
    shown = ", ".join(names[:_MOST_NAMED]) + (" and others" if len(names) > _MOST_NAMED else "")
    return f"{len(stale)} commands are up to {age}, so they were ignored: {shown}. Send again what you still mean."
