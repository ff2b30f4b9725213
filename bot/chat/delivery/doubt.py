"""Probe Telegram after a lost answer, before more messages are put in doubt."""

import asyncio

from bot.chat.delivery.sender import Sender


class Doubt:
    """Asks Telegram who the bot is, once for all chats."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._is_open = False
        self._asking = asyncio.Lock()
        self.failures = 0  #: in a row, to get an answer

    def begin(self) -> None:
        """Note that an answer was lost."""
        self._is_open = True

    async def settle(self) -> None:
        """Return once Telegram answers; raise what the sender raises where it does not."""
        async with self._asking:
            if self._is_open:
                self.failures += 1
                await self._sender.probe()
                self._is_open, self.failures = False, 0
