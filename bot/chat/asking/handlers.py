"""The handlers that PTB's application calls: commands, presses of buttons, and changes of the bot's place in a chat.

What an admin orders is carried out as it arrives, whatever else is asked meanwhile; only its answer keeps Telegram's
pace, as all answers do.
"""

from collections.abc import Callable, Iterable
from typing import Any

from loguru import logger
from telegram import Message, Update
from telegram.constants import ChatMemberStatus, ChatType
from telegram.ext import (
    BaseHandler,
    CallbackQueryHandler,
    ChatMemberHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from bot.chat.asking.access import Access, commands_for
from bot.chat.asking.answering import Answering
from bot.chat.asking.asker import Asker, address_of
from bot.chat.asking.presses import IN_PRIVATE, NOT_ALLOWED, TOO_FAST, Presses
from bot.chat.asking.stale import MAX_AGE_S, StaleCommands
from bot.chat.asking.waiting import Waiting
from bot.chat.commands.base import Command, CommandContext
from bot.chat.commands.menu import BY_NAME
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Content
from bot.chat.texts.markup import Markup, html
from bot.chat.texts.phrases import fit

_OUT = (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)


class Handlers:
    """Answers those who may ask."""

    def __init__(self, context: CommandContext, delivery: Delivery, *, now_ms: Callable[[], int]) -> None:
        self._delivery = delivery
        self._now_ms = now_ms  #: in Telegram's count
        self.access = Access(context.recipients, context.chat_states)
        self.answering = Answering(context, now_ms)
        self.waiting = Waiting()
        self._stale = StaleCommands(delivery, self.waiting)
        self._presses = Presses(self.access, self.answering, self.waiting, delivery)

    def all(self) -> list[BaseHandler[Any, Any, Any]]:
        """Return what PTB's application calls."""
        return [
            MessageHandler(filters.COMMAND, self._on_command),
            CallbackQueryHandler(self._presses.on_press),
            ChatMemberHandler(self._on_own_membership, ChatMemberHandler.MY_CHAT_MEMBER),
        ]

    async def _on_own_membership(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Try a chat again where somebody has put the bot back or has changed its rights."""
        change = update.my_chat_member
        if change is not None and change.new_chat_member.status not in _OUT:
            self._delivery.chat_states.try_again(str(change.chat.id))

    async def _on_command(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        message = update.message
        if message is None or message.text is None:
            return
        name, _, argument = message.text.partition(" ")
        name, _, addressee = name.removeprefix("/").partition("@")
        if addressee and addressee.lower() != context.bot.username.lower():
            return
        name, argument = name.lower(), argument.strip()
        asker = Asker(message.from_user, message.sender_chat, self.access.admin_ids)
        if not asker.is_admin and not self.access.is_ours(message.chat):
            self._reply(message, self.access.refuse(asker, message.chat, name, "Sorry, I only answer my owner."))
            return
        age_s = self._now_ms() / 1000 - message.date.timestamp()
        if age_s > MAX_AGE_S:
            self._stale.note(message, name, age_s)
            return
        if asker.is_admin:
            self._delivery.chat_states.try_again()
        command = BY_NAME.get(name)
        if command is None:
            self._reply(message, _of_no_command(name, message, asker))
        elif command.is_steering and not asker.is_admin:
            self._reply(message, self.access.refuse(asker, message.chat, name, NOT_ALLOWED))
        elif command.is_confidential and not self.access.is_confidential(message.chat):
            self._reply(message, Content(text=IN_PRIVATE))
        elif command.is_steering:
            content = await self.answering.steer(asker, address_of(message), command, argument)
            self._reply(message, content, is_urgent=True)
        else:
            self._ask(asker, message, command, argument)

    def _ask(self, asker: Asker, message: Message, command: Command, argument: str) -> None:
        async def answer() -> None:
            content = await self.answering.said(command, argument)
            await self._delivery.replies.send(address_of(message), content, message.message_id)

        if self.waiting.ask(asker, command.cost, lambda: self.waiting.in_line(message.chat_id, answer)):
            return
        logger.warning("user {} asks faster than can be answered: /{} is dropped", asker.id, command.name)
        if self.waiting.is_first_refusal(asker):
            self._reply(message, Content(text=TOO_FAST))

    def _reply(self, message: Message, content: Content | None, *, is_urgent: bool = False) -> None:
        if content is not None:
            reply = self._delivery.replies.send(address_of(message), content, message.message_id, is_urgent=is_urgent)
            self.waiting.later(reply)


def _of_no_command(name: str, message: Message, asker: Asker) -> Content | None:
    if name in {"start", "help"}:
        menu = commands_for(is_admin=asker.is_admin)
        return Content(text=render_help((command.name, command.help) for command in menu))
    # In a group it may be meant for another bot.
    is_private = message.chat.type == ChatType.PRIVATE
    return Content(text=f"/{name} is no command of mine, /help lists them.") if is_private else None


def render_help(menu: Iterable[tuple[str, str]]) -> Markup:
    """Return the commands (name, what it does) a reader may use."""
    return fit(
        html(
            "<b>SGNL</b> watches perpetuals for short scalps and alerts the few that pass every gate. "
            "It places no orders."
        ),
        "",
        *(f"/{name} {text}" for name, text in menu),
    )
