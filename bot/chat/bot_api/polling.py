"""Polling kept alive, whatever Telegram says.

It is a plain loop and not PTB's Updater, which lets a lost connection pass in silence and stops at one update that it
cannot read. Updates that waited while the bot was away are fetched, not dropped: bot/chat/asking/stale.py says of those
that are too old that they are. They are confirmed once they have been carried out.
"""

from asyncio import CancelledError, Task, gather, shield, timeout
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger
from telegram import (
    BotCommand,
    BotCommandScope,
    Update,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.ext import BaseHandler

from bot.chat.bot_api.application import UNKNOWN_BOT, AnyApplication, StartError, Timeouts
from bot.chat.bot_api.request import Redirected
from bot.chat.bot_api.translation import LONGEST_WORDS, wait_s
from bot.chat.texts.notices import render_commands_back, render_polling_conflict
from bot.clock import Clock
from bot.tasks import spawn
from features.backoff import backoff
from storage.errors import StorageError

Menu = tuple[BotCommandScope, Sequence[tuple[str, str]]]  #: who sees it, and its commands with what they do


ALLOWED_UPDATES = (Update.MESSAGE, Update.CALLBACK_QUERY, Update.MY_CHAT_MEMBER)


_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


_FIRST_DEAF_PAUSE_S, _LONGEST_DEAF_PAUSE_S = 30.0, 300.0  #: while another program takes the updates


_FINISH_S = 2.0  #: for updates that were fetched when the bot stops


_MOST_UNREADABLE = 20  #: kinds of updates that are named in the log


CONFLICT = "another program uses TELEGRAM_BOT_TOKEN: commands are not received until it is stopped, alerts still go out"


WEBHOOK = (
    "another program has set a webhook for this bot: commands are not received, alerts still go out. "
    "Remove it there, or stop that program and restart SGNL, which removes it"
)


class Polling:
    """The life of the connection: start, poll until cancelled, close."""

    def __init__(
        self,
        application: AnyApplication,
        *,
        handlers: Sequence[BaseHandler[Any, Any, Any]],
        menus: Callable[[], Sequence[Menu]],
        clock: Clock,
        poll_s: int = Timeouts().poll_s,
        notify: Callable[[str], Awaitable[None]] | None = None,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._application = application
        self._draw = draw
        self._handlers = handlers
        self._menus = menus
        self._clock = clock
        self._poll_s = poll_s
        self._notify = notify
        self._is_prepared = False
        self._offset = 0
        self._failures = 0  #: in a row, to get updates
        self._conflict = ""  #: the conflict that a notice was sent of, "" for none
        self._unreadable: set[str] = set()
        self._tasks: set[Task[None]] = set()
        self.fault = ""  #: why no commands arrive now, for /health

    async def start(self) -> None:
        """Check the token; a Telegram that cannot be reached is no reason not to start.

        Raises
        ------
        StartError
            Telegram refuses the token, or TELEGRAM_API_URL leads elsewhere.
        """
        self._application.add_handlers(self._handlers)
        try:
            await self._application.initialize()
        except InvalidToken:
            raise StartError(UNKNOWN_BOT) from None  # PTB's own text shows the token
        except Redirected as error:
            raise StartError(f"TELEGRAM_API_URL: {error}") from None
        except TelegramError as error:
            self._out_of_reach(error)

    async def run(self) -> None:
        """Poll for updates until cancelled, whatever Telegram answers; carry out what was fetched by then."""
        try:
            while True:
                try:
                    await self._prepare()
                    updates = await self._fetch()
                except Exception as error:  # noqa: BLE001 - nothing that Telegram or PTB says ends the hearing
                    await self._rest(error)
                    continue
                await self._note_hearing()
                work = spawn(self._carry_out(updates), name="updates", keep=self._tasks)
                await shield(work)
        except CancelledError:
            with suppress(TimeoutError):
                async with timeout(_FINISH_S):
                    await gather(*self._tasks)
                    await self._confirm()
            raise

    async def _fetch(self) -> list[dict[str, Any]]:
        """Wait for updates, and confirm those before: each has been carried out by now."""
        bot = self._application.bot
        data = {"offset": self._offset, "timeout": self._poll_s, "allowed_updates": list(ALLOWED_UPDATES)}
        read_timeout = self._poll_s + (bot.request.read_timeout or 0)
        # PTB's get_updates gives nothing where it cannot read one of a hundred.
        updates = await bot._post("getUpdates", data, read_timeout=read_timeout)
        if not isinstance(updates, list):
            raise TelegramError("the updates are no list")
        return [update for update in updates if isinstance(update, dict) and isinstance(update.get("update_id"), int)]

    async def _carry_out(self, updates: Sequence[dict[str, Any]]) -> None:
        for raw in updates:
            if (update := self._read(raw)) is not None:
                try:
                    await self._application.process_update(update)
                except Exception:  # noqa: BLE001 - the updates behind it are carried out all the same
                    logger.exception("an update could not be carried out")
            self._offset = max(self._offset, raw["update_id"] + 1)

    def _read(self, raw: dict[str, Any]) -> Update | None:
        """Return an update, None where PTB cannot read it: it is left out, so that it does not come again."""
        try:
            return Update.de_json(raw, self._application.bot)
        except Exception as error:  # noqa: BLE001 - whatever is odd about it, the next ones are read
            kind = ", ".join(name for name in raw if name != "update_id")
            words = f"{kind}: {type(error).__name__} {str(error)[:LONGEST_WORDS]}"
            if words not in self._unreadable and len(self._unreadable) < _MOST_UNREADABLE:
                self._unreadable.add(words)
                logger.warning("an update of Telegram's cannot be read and is left out ({})", words)
            return None

    async def _confirm(self) -> None:
        """Confirm to Telegram what has been carried out, so that the next start does not do it again."""
        if self._offset:
            with suppress(TelegramError):
                data = {"offset": self._offset, "timeout": 0, "limit": 1}
                await self._application.bot._post("getUpdates", data, read_timeout=_FINISH_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._application.shutdown()
        await self._application.bot.shutdown()  # the application does nothing where Telegram was never reached

    async def _prepare(self) -> None:
        if self._is_prepared:
            return
        await self._application.initialize()
        await self._application.bot.delete_webhook()  # polling is refused while one is set
        for scope, commands in self._menus():
            menu = [BotCommand(name, help_text) for name, help_text in commands]
            try:
                await self._application.bot.set_my_commands(menu, scope=scope)
            except (BadRequest, ChatMigrated, Forbidden) as error:
                logger.info("Telegram shows no menu in {} yet: {}", scope.to_dict(), error)
        self._is_prepared = True

    async def _rest(self, error: Exception) -> None:
        """Report why no update comes, each conflict once, and wait, longer each time."""
        if isinstance(error, Conflict):
            self.fault = WEBHOOK if "webhook" in str(error).lower() else CONFLICT
            pause_s = self._pause_s(_FIRST_DEAF_PAUSE_S, _LONGEST_DEAF_PAUSE_S)
            if self._conflict != self.fault:
                self._conflict = self.fault
                logger.error("Telegram: {}", self.fault)
                await self._send_notice(render_polling_conflict(self.fault))
            await self._clock.sleep(pause_s)
            return
        if not isinstance(error, TelegramError):
            logger.opt(exception=error).error("what Telegram says of updates cannot be read")
        self._out_of_reach(error)
        pause_s = self._pause_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        await self._clock.sleep(wait_s(error) if isinstance(error, RetryAfter) else pause_s)

    def _pause_s(self, first_s: float, longest_s: float) -> float:
        self._failures += 1
        return backoff(self._failures - 1, first=first_s, longest=longest_s, draw=self._draw())

    async def _note_hearing(self) -> None:
        if self.fault:
            logger.info("commands are received again")
        if self._conflict:
            await self._send_notice(render_commands_back())
        self.fault = self._conflict = ""
        self._failures = 0

    async def _send_notice(self, text: str) -> None:
        if self._notify is not None:
            try:
                await self._notify(text)
            except StorageError as error:
                logger.error("a notice could not be kept: {}", error)

    def _out_of_reach(self, error: Exception) -> None:
        words = (
            UNKNOWN_BOT if isinstance(error, InvalidToken) else str(error)[:LONGEST_WORDS]
        )  # PTB's own text shows the token
        if not self.fault:
            logger.warning("Telegram cannot be reached ({}): messages wait and go out when it can", words)
        self.fault = f"Telegram cannot be reached: {words}"
