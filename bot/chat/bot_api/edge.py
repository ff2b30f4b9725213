"""The edge to Telegram: python-telegram-bot wired into our loop, its errors translated, its polling kept alive.

Polling is a plain loop here and not PTB's Updater, which lets a lost connection pass in silence and stops at one update
that it cannot read. Updates that waited while the bot was away are fetched, not dropped: telegram_commands.py says of
those that are too old that they are. They are confirmed once they have been carried out.
"""

import os
import re
from asyncio import CancelledError, Task, gather, shield, timeout
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from loguru import logger
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    ChatFullInfo,
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberMember,
    ChatMemberOwner,
    ChatMemberRestricted,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
    Update,
)
from telegram.constants import ChatAction, ChatType, ParseMode
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

from bot.chat.bot_api.request import AiohttpRequest, NeverLeft, NoAnswer, Redirected, TelegramClock
from bot.chat.delivery.sender import (
    BadText,
    Blocked,
    Content,
    FoundChat,
    MaybeSent,
    Migrated,
    NoTopic,
    NotSent,
    Rejected,
    SendError,
)
from bot.chat.texts.notices import render_deaf, render_hearing
from bot.clock import Clock
from bot.config.chat_ids import is_person
from bot.tasks import spawn
from features.backoff import backoff
from fetchers.transport.route import ANY_ROUTE, Route
from storage.errors import StorageError
from storage.messages import Button

AnyApplication = Application[Any, Any, Any, Any, Any, Any]
Menu = tuple[BotCommandScope, Sequence[tuple[str, str]]]  #: who sees it, and its commands with what they do

ALLOWED_UPDATES = (Update.MESSAGE, Update.CALLBACK_QUERY, Update.MY_CHAT_MEMBER)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_FIRST_DEAF_PAUSE_S, _LONGEST_DEAF_PAUSE_S = 30.0, 300.0  #: while another program takes the updates
_FINISH_S = 2.0  #: for what was fetched when the bot is told to stop
_LONGEST_WORDS = 300
_MOST_UNREADABLE = 20  #: kinds of updates that are named in the log
_BUTTONS_A_ROW = 2
_NO_TOPIC = ("message thread not found", "topic_deleted", "topic_id_invalid")
_CHAT_REFUSES = (
    "chat not found",
    "not enough rights",
    "need administrator rights",
    "have no rights to send",
    "have no write access",
    "group chat was deactivated",
    "bot is not a member",
    "user is deactivated",
    "user not found",
    "topic_closed",
    "topic closed",
)
_ABOUT_THE_CHAT = re.compile(
    r"\b(CHAT|CHANNEL|TOPIC|PEER|USER|INPUT_USER)_[A-Z_]+\b|\b[A-Z_]+_(FORBIDDEN|ADMIN_REQUIRED|RESTRICTED)\b",
    re.IGNORECASE,  # PTB writes the first letter large and the others small
)
_GENERAL_TOPIC = "1"  #: Telegram finds no such thread: what goes to it names none
UNKNOWN_BOT = "TELEGRAM_BOT_TOKEN: Telegram does not know this bot; copy the token from @BotFather again"


CONFLICT = "another program uses TELEGRAM_BOT_TOKEN: commands are not heard until it is stopped, alerts still go out"
WEBHOOK = (
    "another program has set a webhook for this bot: commands are not heard, alerts still go out. "
    "Remove it there, or stop that program and restart SGNL, which removes it"
)


class StartError(TelegramError):
    """The bot cannot work with what it was given; the text is for the person who configured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long Telegram may take [s]."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    poll_s: int = 25  #: a long poll without news; Telegram takes whole seconds


def build_application(
    bot_token: str,
    api_url: str,
    timeouts: Timeouts = Timeouts(),
    telegram_clock: TelegramClock | None = None,
    route: Route = ANY_ROUTE,
) -> AnyApplication:
    """Build PTB's application for the Bot API at `api_url`; it opens no connection yet.

    `telegram_clock` learns of the Date of each answer.
    """
    os.environ.setdefault("PTB_TIMEDELTA", "1")  # PTB's future; without it each flood wait it reads warns of it
    application = (
        ApplicationBuilder()
        .token(bot_token)
        .base_url(f"{api_url}/bot")
        .request(_request(api_url, 8, timeouts, telegram_clock, route))
        .get_updates_request(_request(api_url, 1, timeouts, telegram_clock, route))
        .updater(None)
        .job_queue(None)
        .build()
    )
    application.add_error_handler(_log_error)
    return application


def _request(
    api_url: str, connections: int, timeouts: Timeouts, clock: TelegramClock | None, route: Route
) -> AiohttpRequest:
    return AiohttpRequest(
        api_url,
        route=route,
        connections=connections,
        connect_s=timeouts.connect_s,
        answer_s=timeouts.answer_s,
        telegram_clock=clock,
    )


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

    async def look_up(self, chat_id: str) -> FoundChat:
        """Return what Telegram knows of a chat, and why the bot could not write there, or raise a SendError."""
        name, _, topic = chat_id.partition(":")
        try:
            chat = await self._bot.get_chat(name)
            if chat.type == ChatType.PRIVATE:
                await self._bot.send_chat_action(chat.id, ChatAction.TYPING)  # refused where the person blocked the bot
                problem = ""
            else:
                member = await self._bot.get_chat_member(chat.id, int(self._bot.token.partition(":")[0]))
                problem = _lack_of_rights(chat, member)
        except BadRequest as error:
            hint = f"; {await self._hint(name)}" if "chat not found" in str(error).lower() else ""
            raise Blocked(f"{str(error)[:_LONGEST_WORDS]}{hint}") from error
        except TelegramError as error:
            raise translate(error) from error
        if topic not in ("", _GENERAL_TOPIC) and not is_person(name) and not chat.is_forum and not problem:
            problem = "the group has no topics"
        return FoundChat(id=str(chat.id), title=chat.effective_name or "", problem=problem)

    async def _hint(self, name: str) -> str:
        """Return what may be wrong with the name of a chat that Telegram does not know."""
        if name.startswith("@"):
            return "is the name right, and is the bot in the channel or group?"
        if not name.startswith("-100"):
            whole = f"-100{name.removeprefix('-')}"  # what the web client shows of a supergroup or channel lacks it
            with suppress(TelegramError):
                await self._bot.get_chat(whole)
                return f"did you mean {whole}?"
        if is_person(name):
            return "press Start in the chat with the bot"
        return "add the bot to the group or channel; the ids of channels and most groups begin with -100"


def _lack_of_rights(chat: ChatFullInfo, member: ChatMember) -> str:
    """Return why the bot could not write to a group or channel, "" where it can."""
    match member:
        case ChatMemberOwner():
            return ""
        case ChatMemberAdministrator():
            may_post = chat.type != ChatType.CHANNEL or member.can_post_messages
            return "" if may_post else "the bot may not post messages in the channel"
        case ChatMemberRestricted() if member.is_member and member.can_send_messages:
            return ""
        case ChatMemberRestricted() if member.is_member:
            return "the bot may not write in the group"
        case ChatMemberMember() if chat.type == ChatType.CHANNEL:
            return "the bot is no administrator of the channel"
        case ChatMemberMember():
            may_all = chat.permissions is None or chat.permissions.can_send_messages is not False
            return "" if may_all else "only administrators may write in the group, and the bot is none"
    return "the bot is not in the group or channel"


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
    text = str(error)[:_LONGEST_WORDS]
    match error:
        case RetryAfter():
            return NotSent(text, retry_after_s=_wait_s(error))
        case ChatMigrated():
            return Migrated(str(error.new_chat_id))
        case Forbidden():
            return Blocked(text)
        case BadRequest():
            return _refusal(text)
        case InvalidToken() | Conflict() | NeverLeft():
            return NotSent(text)
        case NoAnswer():
            return MaybeSent(text)
        # What telegram_request.py lets through is Telegram's own refusal, here with a code that PTB does not know;
        # what PTB itself stumbled over has a cause.
        case NetworkError() if error.__cause__ is None:
            return Rejected(text)
        case _:
            return MaybeSent(text)


def _refusal(text: str) -> SendError:
    """Return what a 400 is about: the text, the topic, the chat or this one message.

    Telegram gives all of them the same code, so its words decide: telegram-bot-api turns a 403 of the server that is
    all in capitals into a 400 (Client.cpp, fail_query_with_error).
    """
    words = text.lower()
    if "can't parse entities" in words:
        return BadText(text)
    if any(phrase in words for phrase in _NO_TOPIC):
        return NoTopic(text)
    if _ABOUT_THE_CHAT.search(text) or any(phrase in words for phrase in _CHAT_REFUSES):
        return Blocked(text)
    return Rejected(text)


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
        self._deaf_for = ""  #: why no commands are heard, where that has been said
        self._unreadable: set[str] = set()
        self._tasks: set[Task[None]] = set()
        self.trouble = ""  #: why commands are not heard now, for /health

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
        """Hear commands until cancelled, whatever Telegram says; what was fetched by then is carried out."""
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
        except Exception as error:  # noqa: BLE001 - whatever is odd about it, the next ones are heard
            kind = ", ".join(name for name in raw if name != "update_id")
            words = f"{kind}: {type(error).__name__} {str(error)[:_LONGEST_WORDS]}"
            if words not in self._unreadable and len(self._unreadable) < _MOST_UNREADABLE:
                self._unreadable.add(words)
                logger.warning("an update of Telegram's cannot be read and is left out ({})", words)
            return None

    async def _confirm(self) -> None:
        """Tell Telegram what has been carried out, so that the next start does not do it again."""
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
        """Say why nothing is heard, each reason once, and wait, longer each time."""
        if isinstance(error, Conflict):
            self.trouble = WEBHOOK if "webhook" in str(error).lower() else CONFLICT
            pause_s = self._pause_s(_FIRST_DEAF_PAUSE_S, _LONGEST_DEAF_PAUSE_S)
            if self._deaf_for != self.trouble:
                self._deaf_for = self.trouble
                logger.error("Telegram: {}", self.trouble)
                await self._say(render_deaf(self.trouble))
            await self._clock.sleep(pause_s)
            return
        if not isinstance(error, TelegramError):
            logger.opt(exception=error).error("what Telegram says of updates cannot be read")
        self._out_of_reach(error)
        pause_s = self._pause_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        await self._clock.sleep(_wait_s(error) if isinstance(error, RetryAfter) else pause_s)

    def _pause_s(self, first_s: float, longest_s: float) -> float:
        self._failures += 1
        return backoff(self._failures - 1, first=first_s, longest=longest_s, draw=self._draw())

    async def _note_hearing(self) -> None:
        if self.trouble:
            logger.info("commands are heard again")
        if self._deaf_for:
            await self._say(render_hearing())
        self.trouble = self._deaf_for = ""
        self._failures = 0

    async def _say(self, html: str) -> None:
        if self._notify is not None:
            try:
                await self._notify(html)
            except StorageError as error:
                logger.error("a notice could not be kept: {}", error)

    def _out_of_reach(self, error: Exception) -> None:
        words = (
            UNKNOWN_BOT if isinstance(error, InvalidToken) else str(error)[:_LONGEST_WORDS]
        )  # PTB's own text shows the token
        if not self.trouble:
            logger.warning("Telegram cannot be reached ({}): messages wait and go out when it can", words)
        self.trouble = f"Telegram cannot be reached: {words}"


async def _log_error(_update: object, context: Any) -> None:
    logger.opt(exception=context.error).error("a Telegram update could not be handled")
