"""The edge to Telegram: python-telegram-bot wired into our loop, its errors translated, its polling kept alive.

Polling is a plain loop here and not PTB's Updater, which retries a conflict for ever and lets a lost connection pass in
silence. Updates that waited while the bot was away are fetched, not dropped: telegram_commands.py says of those that
are too old that they are.
"""

import os
from asyncio import Lock, TaskGroup
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from loguru import logger
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
    Update,
)
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.ext import Application, ApplicationBuilder, BaseHandler

from bot.clock import Clock
from bot.phone.sender import BadText, Blocked, Content, MaybeSent, Migrated, NotSent, Rejected, SendError
from bot.phone.telegram_request import AiohttpRequest, NeverLeft, NoAnswer
from storage.outbox import Button

AnyApplication = Application[Any, Any, Any, Any, Any, Any]
Menu = tuple[BotCommandScope, Sequence[tuple[str, str]]]  #: who sees it, and its commands with what they do

ALLOWED_UPDATES = (Update.MESSAGE, Update.CALLBACK_QUERY)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_MOST_WAITING = 20  #: commands of one chat; who writes more is not answered
_BUTTONS_A_ROW = 2
_GENERAL_TOPIC = "1"  #: Telegram finds no such thread: what goes to it names none
UNKNOWN_BOT = "TELEGRAM_BOT_TOKEN: Telegram does not know this bot; copy the token from @BotFather again"


class StartError(TelegramError):
    """The bot cannot work with what it was given; the text is for the person who configured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long Telegram may take [s]."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    poll_s: int = 25  #: a long poll without news; Telegram takes whole seconds


def build_application(bot_token: str, api_url: str, timeouts: Timeouts = Timeouts()) -> AnyApplication:
    """Build PTB's application for the Bot API at `api_url`; it opens no connection yet."""
    os.environ.setdefault("PTB_TIMEDELTA", "1")  # PTB's future; without it each flood wait it reads warns of it
    application = (
        ApplicationBuilder()
        .token(bot_token)
        .base_url(f"{api_url}/bot")
        .request(_request(api_url, 8, timeouts))
        .get_updates_request(_request(api_url, 1, timeouts))
        .updater(None)
        .job_queue(None)
        .build()
    )
    application.add_error_handler(_log_error)
    return application


def _request(api_url: str, connections: int, timeouts: Timeouts) -> AiohttpRequest:
    return AiohttpRequest(api_url, connections=connections, connect_s=timeouts.connect_s, answer_s=timeouts.answer_s)


class TelegramSender:
    """Sends one message through the Bot API."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def send(
        self, chat_id: str, content: Content, *, reply_to_message_id: int | None = None, is_silent: bool = False
    ) -> int:
        """Return the id of the message in the chat, or raise a SendError."""
        chat, _, topic = chat_id.partition(":")
        reply = None
        if reply_to_message_id is not None:
            reply = ReplyParameters(message_id=reply_to_message_id, allow_sending_without_reply=True)
        shared: dict[str, Any] = {
            "chat_id": chat,
            "parse_mode": ParseMode.HTML,
            "message_thread_id": int(topic) if topic not in ("", _GENERAL_TOPIC) else None,
            "reply_parameters": reply,
            "disable_notification": is_silent,
            "reply_markup": _keyboard(content.buttons),
        }
        try:
            if content.picture is not None:
                message = await self._bot.send_photo(photo=content.picture, caption=content.html, **shared)
            else:
                message = await self._bot.send_message(
                    text=content.html, link_preview_options=LinkPreviewOptions(is_disabled=True), **shared
                )
        except TelegramError as error:
            raise translate(error) from error
        return message.message_id

    async def edit(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change text and buttons of a message without a picture, or raise a SendError."""
        try:
            await self._bot.edit_message_text(
                chat_id=chat_id.partition(":")[0],
                message_id=message_id,
                text=content.html,
                parse_mode=ParseMode.HTML,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=_keyboard(content.buttons),
            )
        except TelegramError as error:
            if "message is not modified" not in str(error).lower():
                raise translate(error) from error

    async def probe(self) -> None:
        """Ask who the bot is, or raise a SendError."""
        try:
            await self._bot.get_me()
        except TelegramError as error:
            raise translate(error) from error


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    keys = [
        InlineKeyboardButton(
            button.text,
            callback_data=button.press or None,
            copy_text=CopyTextButton(button.copy) if button.copy else None,
        )
        for button in buttons
    ]
    rows = [keys[at : at + _BUTTONS_A_ROW] for at in range(0, len(keys), _BUTTONS_A_ROW)]
    return InlineKeyboardMarkup(rows) if rows else None


def translate(error: TelegramError) -> SendError:
    """Say what an error of PTB means for the message that was being sent."""
    text = str(error)
    match error:
        case RetryAfter():
            return NotSent(text, retry_after_s=_wait_s(error))
        case ChatMigrated():
            return Migrated(str(error.new_chat_id))
        case Forbidden():
            return Blocked(text)
        case BadRequest():
            return BadText(text) if "can't parse entities" in text.lower() else Rejected(text)
        case InvalidToken() | Conflict():
            return NotSent(text)
        case NeverLeft():
            return NotSent(text)
        case NoAnswer():
            return MaybeSent(text)
        # Telegram itself answered, "ok": false, so it did nothing; an answer that is not Telegram's has a cause: that
        # it could not be read. It may hide that it did.
        case NetworkError() if error.__cause__ is None:
            return NotSent(text)
        case _:
            return MaybeSent(text)


def _wait_s(error: RetryAfter) -> float:
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else wait


class TelegramEdge:
    """The life of the connection: start, poll until cancelled, close."""

    def __init__(
        self,
        application: AnyApplication,
        *,
        handlers: Sequence[BaseHandler[Any, Any, Any]],
        menus: Sequence[Menu],
        clock: Clock,
        poll_s: int = Timeouts().poll_s,
    ) -> None:
        self._application = application
        self._menus = menus
        self._clock = clock
        self._poll_s = poll_s
        self._turn: defaultdict[int, Lock] = defaultdict(Lock)
        self._waiting: defaultdict[int, int] = defaultdict(int)
        self.trouble = ""  #: why commands are not heard now, for /health
        application.add_handlers(handlers)

    async def start(self) -> None:
        """Check the token; a Telegram that cannot be reached is no reason not to start.

        Raises
        ------
        StartError
            Telegram refuses the token.
        """
        try:
            await self._application.initialize()
        except InvalidToken:
            raise StartError(UNKNOWN_BOT) from None  # PTB's own text shows the token
        except TelegramError as error:
            self._out_of_reach(error)

    async def run(self) -> None:
        """Hear commands until cancelled, or until another program takes the updates of this token.

        Raises
        ------
        StartError
            Telegram refuses the token.
        """
        try:
            async with TaskGroup() as group:
                await self._poll(group)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _poll(self, group: TaskGroup) -> None:
        offset, pause_s, is_prepared = 0, _FIRST_PAUSE_S, False
        while True:
            try:
                if not is_prepared:
                    await self._prepare()
                    is_prepared = True
                updates = await self._application.bot.get_updates(
                    offset=offset, timeout=self._poll_s, allowed_updates=ALLOWED_UPDATES
                )
            except InvalidToken:
                raise StartError(UNKNOWN_BOT) from None
            except Conflict:
                self.trouble = "another program uses TELEGRAM_BOT_TOKEN: commands are not heard, alerts still go out"
                logger.error("Telegram: {}; stop the other one and restart", self.trouble)
                return
            except TelegramError as error:
                self._out_of_reach(error)
                await self._clock.sleep(_wait_s(error) if isinstance(error, RetryAfter) else pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            self._within_reach()
            pause_s = _FIRST_PAUSE_S
            for update in updates:
                offset = update.update_id + 1
                group.create_task(self._handle(update), name=f"update {update.update_id}")

    async def _handle(self, update: Update) -> None:
        """Handle the commands of a chat one after the other, beside the other chats'; presses at once."""
        chat_id = update.effective_chat.id if update.effective_chat else 0
        if self._waiting[chat_id] >= _MOST_WAITING:
            logger.warning("chat {} asks faster than it can be answered: something was dropped", chat_id)
            return
        self._waiting[chat_id] += 1
        try:
            async with self._turn[chat_id] if update.message is not None else nullcontext():
                await self._application.process_update(update)
        finally:
            self._waiting[chat_id] -= 1

    async def close(self) -> None:
        """Close the connections."""
        await self._application.shutdown()
        await self._application.bot.shutdown()  # the application does nothing where Telegram was never reached

    async def _prepare(self) -> None:
        await self._application.initialize()
        await self._application.bot.delete_webhook()  # polling is refused while one is set
        for scope, commands in self._menus:
            menu = [BotCommand(name, help_text) for name, help_text in commands]
            try:
                await self._application.bot.set_my_commands(menu, scope=scope)
            except (BadRequest, ChatMigrated, Forbidden) as error:
                logger.info("Telegram shows no menu in {} yet: {}", scope.to_dict(), error)

    def _out_of_reach(self, error: TelegramError) -> None:
        if not self.trouble:
            logger.warning("Telegram cannot be reached ({}): messages wait and go out when it can", error)
        self.trouble = f"Telegram cannot be reached: {error}"

    def _within_reach(self) -> None:
        if self.trouble:
            logger.info("Telegram can be reached again")
        self.trouble = ""


async def _log_error(_update: object, context: Any) -> None:
    logger.opt(exception=context.error).error("a Telegram update could not be handled")
