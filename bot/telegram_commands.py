"""What can be said to the bot in Telegram, who may say it, and what it answers."""

import re
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from html import escape
from typing import Any, Protocol

from loguru import logger
from telegram import Message, Update
from telegram.constants import ChatType
from telegram.ext import BaseHandler, CallbackQueryHandler, ContextTypes, MessageHandler, filters

from bot.messages import render_help

#: shown by /help and in Telegram's menu
MENU = (
    ("status", "what the bot is doing and how it fares"),
    ("pause", "no new alerts, for a while (/pause 2h) or until /resume; open signals are followed on"),
    ("resume", "alert again"),
    ("help", "this list"),
)

_MAX_AGE_S = 60  # what waited longer while the bot was away may no longer be meant
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=30)

Answer = Callable[[str], Awaitable[str]]  #: what follows the command -> HTML


class Control(Protocol):
    """What commands may do to the bot."""

    async def status_text(self) -> str:
        """Return the answer to /status, HTML."""

    async def pause(self, until_ms: int | None) -> None:
        """Give no new signals until then, or until `resume` where None."""

    async def resume(self) -> None:
        """Give signals again."""


class Reply(Protocol):
    """Sends an answer: `Delivery.reply`."""

    async def __call__(self, chat_id: str, html: str, reply_to_message_id: int | None) -> None:
        """Return when the answer has been sent, or given up."""


class UsageError(Exception):
    """A command cannot be understood; the text helps."""


class Commands:
    """Answers those who may steer; refuses everybody else once."""

    def __init__(
        self, control: Control, reply: Reply, *, admin_ids: Collection[int], now_ms: Callable[[], int]
    ) -> None:
        self._control = control
        self._reply = reply
        self._admin_ids = admin_ids
        self._now_ms = now_ms
        self._refused: set[int] = set()
        self._answers: dict[str, Answer] = {
            "start": self._help,
            "help": self._help,
            "status": self._status,
            "pause": self._pause,
            "stop": self._pause,
            "stopentry": self._pause,
            "resume": self._resume,
        }

    def handlers(self) -> list[BaseHandler[Any, Any, Any]]:
        """Return what PTB's application calls."""
        return [MessageHandler(filters.COMMAND, self._on_command), CallbackQueryHandler(_on_button)]

    async def _on_command(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        message, user = update.message, update.effective_user
        if message is None or message.text is None or user is None:
            return
        command, _, argument = message.text.partition(" ")
        name, _, addressee = command.removeprefix("/").partition("@")
        if addressee and addressee.lower() != context.bot.username.lower():
            return
        if user.id in self._admin_ids:
            html = await self._answer(name.lower(), argument.strip(), message)
        else:
            html = self._refuse(user.id, command)
        if html:
            topic = f":{message.message_thread_id}" if message.is_topic_message else ""
            await self._reply(f"{message.chat_id}{topic}", html, message.message_id)

    async def _answer(self, name: str, argument: str, message: Message) -> str:
        age_s = self._now_ms() / 1000 - message.date.timestamp()
        if age_s > _MAX_AGE_S:
            logger.warning("/{} was sent {:.0f} s ago: ignored", name, age_s)
            return (
                f"/{escape(name)} is {age_s / 60:.0f} min old, so it was ignored. Send it again if you still mean it."
            )
        if name not in self._answers:
            # In a group it may be meant for another bot.
            return (
                f"/{escape(name)} is no command of mine, /help lists them."
                if message.chat.type == ChatType.PRIVATE
                else ""
            )
        try:
            return await self._answers[name](argument)
        except UsageError as error:
            return escape(str(error))

    def _refuse(self, user_id: int, command: str) -> str:
        if user_id in self._refused:
            return ""
        self._refused.add(user_id)
        logger.warning("user {} may not steer the bot and was refused: {}", user_id, command)
        return f"Sorry, I only answer my owner. If that is you, put your id {user_id} into TELEGRAM_ADMIN_IDS."

    async def _help(self, _argument: str) -> str:
        return render_help(MENU)

    async def _status(self, _argument: str) -> str:
        return await self._control.status_text()

    async def _pause(self, argument: str) -> str:
        if not argument:
            await self._control.pause(None)
            return "Paused until /resume. Open signals are followed to their exit."
        length_ms = parse_duration_ms(argument)
        await self._control.pause(self._now_ms() + length_ms)
        return f"Paused for {escape(argument)}. Open signals are followed to their exit; /resume ends the pause."

    async def _resume(self, _argument: str) -> str:
        await self._control.resume()
        return "Alerting again."


def parse_duration_ms(text: str) -> int:
    """Return the length of e.g. 30m, 2h, 1d or 1h30m [ms].

    Raises
    ------
    UsageError
        It is something else, nothing at all, or longer than 30 days.
    """
    compact = "".join(text.lower().split())
    if not re.fullmatch(r"(\d{1,6}[mhd])+", compact):
        raise UsageError(f'A time looks like 30m, 2h or 1d, was "{text}"')
    length = sum((int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([mhd])", compact)), timedelta())
    if not timedelta() < length <= _LONGEST:
        raise UsageError(f'A time is at least 1m and at most {_LONGEST.days}d, was "{text}"')
    return round(length.total_seconds() * 1000)


async def _on_button(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    """Answer a press at once; no message of this version has buttons, so whatever is pressed is from another."""
    if update.callback_query is not None:
        await update.callback_query.answer("This button is out of date.")
