"""Who may say what to the bot in Telegram, and how its answers get there; what it answers is in bot/phone/answers.py.

Admins may say everything anywhere. Whoever writes in a chat or group the alerts go to may read, and nobody else is
answered.
"""

from collections.abc import Callable, Collection, Sequence
from html import escape
from typing import Any

from loguru import logger
from telegram import (
    BotCommandScopeChat,
    BotCommandScopeChatMember,
    CallbackQuery,
    Chat,
    Message,
    Update,
)
from telegram.constants import ChatType
from telegram.error import TelegramError
from telegram.ext import BaseHandler, CallbackQueryHandler, ContextTypes, MessageHandler, filters

from bot.phone.answer_texts import Listing
from bot.phone.answers import BY_NAME, COMMANDS, Answers, Command, Said
from bot.phone.arguments import UsageError
from bot.phone.delivery import Delivery
from bot.phone.messages import render_help
from bot.phone.sender import Content
from bot.phone.telegram_edge import Menu
from scoring.signals import Signal
from storage.outbox import Button
from storage.sqlite import Store

STALE = "This button is out of date."
NOT_ALLOWED = "Only my admins may do that."
_MAX_AGE_S = 60  # what waited longer while the bot was away may no longer be meant
_LONGEST_PRESS = 64  #: bytes Telegram lets a button carry


class Commands:
    """Answers those who may ask; refuses everybody else once."""

    def __init__(
        self,
        answers: Answers,
        delivery: Delivery,
        store: Store,
        *,
        admin_ids: Collection[int],
        chat_ids: Collection[str],
        now_ms: Callable[[], int],
    ) -> None:
        self._answers = answers
        self._delivery = delivery
        self._store = store
        self._admin_ids = admin_ids
        self._chats = tuple(dict.fromkeys(chat_id.partition(":")[0].lower() for chat_id in chat_ids))
        self._now_ms = now_ms
        self._refused: set[int] = set()

    def handlers(self) -> list[BaseHandler[Any, Any, Any]]:
        """Return what PTB's application calls."""
        return [MessageHandler(filters.COMMAND, self._on_command), CallbackQueryHandler(self._on_press)]

    def menus(self) -> list[Menu]:
        """Return who sees which commands; a narrower scope wins over a wider one."""
        readers = [(command.name, command.help) for command in _commands(is_admin=False)]
        admins = [(command.name, command.help) for command in _commands(is_admin=True)]
        private = {str(admin_id) for admin_id in self._admin_ids}
        menus: list[Menu] = [(BotCommandScopeChat(chat), readers) for chat in self._chats if chat not in private]
        for admin_id in sorted(self._admin_ids):
            menus.append((BotCommandScopeChat(admin_id), admins))
            groups = (chat for chat in self._chats if not chat.isdigit())
            menus += [(BotCommandScopeChatMember(group, admin_id), admins) for group in groups]
        return menus

    async def _on_command(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        message, user = update.message, update.effective_user
        if message is None or message.text is None or user is None:
            return
        name, _, argument = message.text.partition(" ")
        name, _, addressee = name.removeprefix("/").partition("@")
        if addressee and addressee.lower() != context.bot.username.lower():
            return
        name, is_admin = name.lower(), user.id in self._admin_ids
        if not is_admin and not self._is_ours(message.chat):
            content = self._refuse(user.id, name)
        else:
            content = await self._answer(name, argument.strip(), message, is_admin=is_admin)
        if content is not None:
            await self._delivery.reply(_address(message), content, message.message_id)

    async def _answer(self, name: str, argument: str, message: Message, *, is_admin: bool) -> Content | None:
        age_s = self._now_ms() / 1000 - message.date.timestamp()
        if age_s > _MAX_AGE_S:
            logger.warning("/{} was sent {:.0f} s ago: ignored", name, age_s)
            old = f"/{escape(name)} is {age_s / 60:.0f} min old, so it was ignored."
            return Content(html=f"{old} Send it again if you still mean it.")
        if name in {"start", "help"}:
            return Content(html=render_help((command.name, command.help) for command in _commands(is_admin=is_admin)))
        if name not in BY_NAME:
            # In a group it may be meant for another bot.
            is_private = message.chat.type == ChatType.PRIVATE
            return Content(html=f"/{escape(name)} is no command of mine, /help lists them.") if is_private else None
        command = BY_NAME[name]
        if command.is_steering and not is_admin:
            user = message.from_user
            return self._refuse(user.id if user else 0, name, NOT_ALLOWED)
        try:
            return paged(await command.answer(self._answers, argument), command.name, argument)
        except UsageError as error:
            return Content(html=escape(str(error)))

    def _refuse(self, user_id: int, command: str, words: str = "") -> Content | None:
        if user_id in self._refused:
            return None
        self._refused.add(user_id)
        logger.warning("user {} may not steer the bot and was refused: /{}", user_id, command)
        hint = f"If that is you, put your id {user_id} into TELEGRAM_ADMIN_IDS."
        return Content(html=f"{words or 'Sorry, I only answer my owner.'} {hint}")

    async def _on_press(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        query = update.callback_query
        if query is None:
            return
        message = query.message
        if not isinstance(message, Message) or not message.is_accessible:
            await _say(query, STALE)
            return
        is_admin = query.from_user.id in self._admin_ids
        if not is_admin and not self._is_ours(message.chat):
            await _say(query, NOT_ALLOWED)
            return
        action, _, rest = (query.data or "").partition(":")
        presses = {"why": self._on_why, "chart": self._on_why, "mute": self._on_mute, "page": self._on_page}
        if action not in presses:
            await _say(query, STALE)
        elif action == "mute" and not is_admin:
            await _say(query, NOT_ALLOWED)
        else:
            await presses[action](query, message, action, rest, is_admin)

    async def _on_why(self, query: CallbackQuery, message: Message, action: str, rest: str, _is_admin: bool) -> None:  # noqa: FBT001 - the presses share one form
        if await self._signal(rest) is None:
            await _say(query, STALE)
        elif await _say(query, ""):
            await self._reply_to_press(message, BY_NAME[action], rest)

    async def _on_mute(self, query: CallbackQuery, _message: Message, _action: str, rest: str, _is_admin: bool) -> None:  # noqa: FBT001 - the presses share one form
        signal = await self._signal(rest)
        if signal is None:
            await _say(query, STALE)
        elif await _say(query, f"{signal.coin} is muted for 1 h."):
            await self._answers.mute_for_an_hour(signal)

    async def _on_page(self, query: CallbackQuery, message: Message, _action: str, rest: str, is_admin: bool) -> None:  # noqa: FBT001 - the presses share one form
        number, _, rest = rest.partition(":")
        name, _, argument = rest.partition(":")
        command = BY_NAME.get(name)
        if command is None or not number.isdecimal() or (command.is_steering and not is_admin):
            await _say(query, STALE if command is None or not number.isdecimal() else NOT_ALLOWED)
        elif await _say(query, ""):
            content = paged(await command.answer(self._answers, argument), name, argument, int(number))
            await self._delivery.turn_page(_address(message), message.message_id, content)

    async def _reply_to_press(self, message: Message, command: Command, argument: str) -> None:
        try:
            content = paged(await command.answer(self._answers, argument), command.name, argument)
        except UsageError as error:
            content = Content(html=escape(str(error)))
        await self._delivery.reply(_address(message), content, message.message_id)

    def _is_ours(self, chat: Chat) -> bool:
        if chat.type == ChatType.CHANNEL:
            return False  # an answer to one reader would stand there for all
        names = {self._delivery.target(chat_id) for chat_id in self._chats}
        return str(chat.id) in names or f"@{chat.username}".lower() in names

    async def _signal(self, text: str) -> Signal | None:
        """Return the alert a button belongs to, None where this bot knows none of the number."""
        found = await self._store.signal(int(text)) if text.isdecimal() and len(text) <= 15 else None
        return found[0] if found else None


def paged(said: Said, name: str, argument: str, number: int = 0) -> Content:
    """Return what was said, of a list one page with buttons for the ones beside it."""
    if not isinstance(said, Listing):
        return said
    number = min(number, said.pages - 1)
    beside = [("« Back", number - 1), ("More »", number + 1)]
    presses = [(text, f"page:{page}:{name}:{argument}") for text, page in beside if 0 <= page < said.pages]
    buttons = tuple(Button(text=text, press=press) for text, press in presses if len(press.encode()) <= _LONGEST_PRESS)
    return Content(html=said.page(number), buttons=buttons)


def _commands(*, is_admin: bool) -> Sequence[Command]:
    return [command for command in COMMANDS if is_admin or not command.is_steering]


def _address(message: Message) -> str:
    return f"{message.chat_id}:{message.message_thread_id}" if message.is_topic_message else f"{message.chat_id}"


async def _say(query: CallbackQuery, text: str) -> bool:
    """Answer a press; False where Telegram has forgotten it, so that nothing is done for a press of long ago."""
    try:
        await query.answer(text or None)
    except TelegramError as error:
        logger.warning("a press could not be answered, so nothing was done: {}", error)
        return False
    return True
