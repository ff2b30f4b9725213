"""First contact: with nothing but a token, the chat that sends the code from the terminal becomes the bot's owner."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from loguru import logger
from telegram import Message, Update
from telegram.constants import ChatType
from telegram.error import TelegramError
from telegram.ext import ContextTypes, MessageHandler, filters

from bot.chat.bot_api.application import AnyApplication
from bot.chat.bot_api.polling import Polling
from bot.chat.delivery.sender import plain_text
from bot.clock import Clock
from bot.config.settings import Config, TelegramSettings
from storage.store import Store, StoreReader

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  #: nothing that looks like something else
CODE_LENGTH = 6
GUESSES = 5  #: wrong ones of one person; they keep no other out
REST_S = 60.0  #: how long this person is ignored after them
_MOST_GUESSERS = 1000
_PAIRED = "paired"  #: {"chat_id": ..., "user_id": ...} in the store's state


async def with_paired_chat(config: Config, reader: StoreReader) -> Config:
    """Return the settings with the chat of an earlier pairing where they name none."""
    if config.telegram.chat_ids or not config.telegram.bot_token:
        return config
    known = await reader.state.get(_PAIRED)
    return config if known is None else replace(config, telegram=_with_owner(config.telegram, known))


async def unpair(store: Store) -> bool:
    """Forget the paired chat and return whether there was one."""
    was_paired = await store.state.get(_PAIRED) is not None
    if was_paired:
        await store.state.put(_PAIRED, None)
    return was_paired


class Pairing:
    """Shows a code and waits for the private chat that sends it."""

    def __init__(
        self,
        application: AnyApplication,
        store: Store,
        clock: Clock,
        *,
        show: Callable[[str], None],
        draw_code: Callable[[], str] = lambda: "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)),
    ) -> None:
        self._application = application
        self._store = store
        self._clock = clock
        self._show = show
        self._draw_code = draw_code
        self._bot_name = ""
        self._code = ""
        self._wrong: Counter[int] = Counter()  # by user
        self._ignored_until_ms: dict[int, int] = {}  # by user
        self._owner: dict[str, int] = {}
        self._is_found = asyncio.Event()
        self._handler = MessageHandler(filters.COMMAND, self._on_command)
        self._edge = Polling(application, handlers=[self._handler], menus=tuple, clock=clock, notify=self._show_notice)

    @property
    def fault(self) -> str:
        """Return what pairing waits for, "" once it is done, for /health; only the terminal shows the code."""
        if not self._code or self._is_found.is_set():
            return ""
        return f"{self._edge.fault or 'Telegram'}: waiting for /start CODE, the code is in the terminal"

    async def run(self, settings: TelegramSettings) -> TelegramSettings:
        """Return the settings with the chat that sent the code as the one to write to, and its person as admin.

        Raises
        ------
        StartError
            Telegram refuses the token at the start.
        """
        await self._edge.start()
        if not self._edge.fault:
            self._bot_name = f" to @{self._application.bot.username}"
        self._show_code()
        try:
            async with asyncio.TaskGroup() as group:
                polling = group.create_task(self._edge.run(), name="pairing")
                await self._is_found.wait()
                polling.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._application.remove_handler(self._handler)
        await self._store.state.put(_PAIRED, self._owner)
        return _with_owner(settings, self._owner)

    def _show_code(self) -> None:
        self._code = self._draw_code()
        self._show(f"Telegram: send /start {self._code}{self._bot_name} to get the alerts there")

    async def _on_command(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        message, user = update.message, update.effective_user
        if message is None or user is None or message.chat.type != ChatType.PRIVATE or self._is_found.is_set():
            return
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._ignored_until_ms.get(user.id, 0):
            return
        command, _, guess = (message.text or "").partition(" ")
        if command.lower() != "/start" or not guess.strip():
            await _answer(message, "Send /start and the code that the bot shows in its terminal.")
        elif secrets.compare_digest(guess.strip().upper().encode(), self._code.encode()):
            self._owner = {"chat_id": message.chat_id, "user_id": user.id}
            await _answer(message, "This chat gets the alerts from here on. /help lists what you can ask.")
            self._is_found.set()
        else:
            await self._count_wrong(message, user.id, now_ms)

    async def _count_wrong(self, message: Message, user_id: int, now_ms: int) -> None:
        if len(self._wrong) > _MOST_GUESSERS:
            self._wrong.clear()
            self._ignored_until_ms.clear()
        self._wrong[user_id] += 1
        logger.warning("user {} sent a wrong code", user_id)
        if self._wrong[user_id] < GUESSES:
            await _answer(message, "That is not the code.")
            return
        del self._wrong[user_id]
        self._ignored_until_ms[user_id] = now_ms + round(1000 * REST_S)
        await _answer(message, f"That was wrong too often. Try again in {REST_S:.0f} s.")

    async def _show_notice(self, text: str) -> None:
        self._show(f"Telegram: {plain_text(text)}")


async def _answer(message: Message, text: str) -> None:
    try:
        await message.reply_text(text)
    except TelegramError as error:
        logger.warning("an answer was lost: {}", error)


def _with_owner(settings: TelegramSettings, owner: dict[str, Any]) -> TelegramSettings:
    admins = settings.admin_ids or (owner["user_id"],)
    return replace(settings, chat_ids=(str(owner["chat_id"]),), admin_ids=admins)
