"""Turns of the chats: the pace of bot/chat/delivery/pacing.py on the bot's clock, kept across restarts."""

import asyncio
from typing import Any

from loguru import logger

from bot.chat.delivery.pacing import LONGEST_SPAN_MS, Pacer
from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.clock import Clock
from storage.errors import StorageError
from storage.store import Store

_SENDS = "sends"  #: [[chat, epoch ms]] of the last minute, in the store's state


class Turns:
    """When a chat, by Telegram's number of it, may get its next message."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pacer = Pacer()
        self._sends: list[tuple[str, int]] = []
        self._recalling = asyncio.Lock()
        self._is_recalled = False

    async def recall(self) -> None:
        """Count what the last run sent, once: a restart does not make Telegram forget."""
        async with self._recalling:
            if self._is_recalled:
                return
            now_ms = self._clock.now_ms()
            ahead_ms = now_ms - self._clock.monotonic_ms()
            for chat, sent_ms in await self._store.state.get(_SENDS) or ():
                sent_ms = min(sent_ms, now_ms)  # the clock may have been set back meanwhile
                self._sends.append((chat, sent_ms))
                self._pacer.add(chat, sent_ms - ahead_ms)
            self._is_recalled = True

    def wait_s(self, chat: str, *, is_answer: bool = False) -> float:
        """Return how long until the chat may have one more message, 0 for now."""
        return self._pacer.wait_ms(chat, self._clock.monotonic_ms(), is_answer=is_answer) / 1000

    def count(self, chat: str) -> dict[str, Any]:
        """Count a message that is about to leave; return the state that the next run needs, by key, to be stored."""
        self._pacer.add(chat, self._clock.monotonic_ms())
        if chat == TERMINAL_CHAT:
            return {}
        now_ms = self._clock.now_ms()
        self._sends = [one for one in self._sends if one[1] > now_ms - LONGEST_SPAN_MS] + [(chat, now_ms)]
        return {_SENDS: self._sends}

    async def take(self, chat: str) -> None:
        """Count an answer or a change that is about to leave, and store it for the next run."""
        for key, value in self.count(chat).items():
            try:
                await self._store.state.put(key, value)
            except StorageError as error:
                logger.warning("that chat {} was written to could not be stored: {}", chat, error)

    async def wait(self, chat: str, *, is_urgent: bool) -> None:
        """Wait for the turn of an answer and take it; an urgent one goes at the pace of alerts."""
        await self.recall()
        while wait_s := self.wait_s(chat, is_answer=not is_urgent):
            await self._clock.sleep(wait_s)
        await self.take(chat)
