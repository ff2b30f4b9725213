"""Presses of the buttons below messages."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger
from telegram import CallbackQuery, Message, Update
from telegram.constants import ChatType
from telegram.error import BadRequest, TelegramError
from telegram.ext import ContextTypes

from bot.chat.asking.access import Access
from bot.chat.asking.answering import Answering
from bot.chat.asking.asker import Asker, address_of
from bot.chat.asking.waiting import Waiting
from bot.chat.commands.menu import BY_NAME
from bot.chat.commands.mute import mute_for_an_hour
from bot.chat.delivery.outbox_loop import Delivery
from scoring.signals import Signal

STALE = "This button is out of date."
NOT_ALLOWED = "Only my admins may do that."
IN_PRIVATE = "That is answered in private and in the operator's chat only."
TOO_FAST = "You ask faster than I may answer: wait for the answers that are due."
_LONGEST_TOAST = 200  #: characters of what is shown at a press
_LONGEST_NUMBER = 6
_SAY_S = 1.0  #: what comes after a press waits so long for Telegram's word on it, and no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Press:
    query: CallbackQuery
    message: Message  #: the one with the button
    asker: Asker
    action: str
    rest: str  #: what the button carries beside its action


class Presses:
    """Answers presses of buttons."""

    def __init__(self, access: Access, answering: Answering, waiting: Waiting, delivery: Delivery) -> None:
        self._access = access
        self._answering = answering
        self._waiting = waiting
        self._delivery = delivery
        self._store = answering.context.store
        self._asking = {"why": self._on_why, "chart": self._on_why, "page": self._on_page}
        self._steering = {"mute": self._on_mute, "try": self._on_try}  # done as they arrive

    async def on_press(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Do what the button says, if its presser may."""
        query = update.callback_query
        if query is None:
            return
        message = query.message
        if not isinstance(message, Message) or not message.is_accessible:
            self._waiting.later(_say(query, STALE))
            return
        asker = Asker(query.from_user, None, self._access.admin_ids)
        action, _, rest = (query.data or "").partition(":")
        press = _Press(query=query, message=message, asker=asker, action=action, rest=rest)
        if not asker.is_admin and not self._access.is_ours(message.chat):
            self._waiting.later(_say(query, NOT_ALLOWED))
        elif action in self._steering:
            if asker.is_admin:
                await self._steering[action](press)
            else:
                self._waiting.later(_say(query, NOT_ALLOWED))
        elif action in self._asking:
            cost = BY_NAME[action].cost if action in BY_NAME else 1
            if not self._waiting.ask(asker, cost, lambda: self._asking[action](press)):
                self._waiting.later(_say(query, TOO_FAST))
        else:
            self._waiting.later(_say(query, STALE))

    async def _on_why(self, press: _Press) -> None:
        message, asker = press.message, press.asker
        if await self._signal(press.rest) is None:
            await _say(press.query, STALE)
            return
        in_channel = message.chat.type == ChatType.CHANNEL  # an answer there would be one to all its readers
        if not await _say(press.query, "It comes to you in private." if in_channel else ""):
            return
        address = str(asker.id) if in_channel else address_of(message)
        reply_to = None if in_channel else message.message_id

        async def answer() -> None:
            content = await self._answering.said(BY_NAME[press.action], press.rest)
            await self._delivery.replies.send(address, content, reply_to)

        await self._waiting.in_line(message.chat_id, answer)

    async def _on_mute(self, press: _Press) -> None:
        """Mute first, then say so; where Telegram has forgotten the press, it is of long ago and was not meant now."""
        query = press.query
        signal = await self._signal(press.rest)
        if signal is None:
            self._waiting.later(_say(query, STALE))
            return
        try:
            undo, text = await mute_for_an_hour(self._answering.context, signal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said
            logger.exception("a coin could not be muted")
            self._waiting.later(_say(query, f"{signal.coin} could not be muted: {error}"[:_LONGEST_TOAST]))
            return
        await self._answering.keep(press.asker, address_of(press.message), f"Mute 1 h, #{signal.id}", text)
        await asyncio.wait([self._waiting.later(_say_or_undo(query, text, undo))], timeout=_SAY_S)

    async def _on_try(self, press: _Press) -> None:
        self._delivery.chat_states.try_again()
        self._waiting.later(_say(press.query, "Every chat is tried again; /chats shows what came of it."))

    async def _on_page(self, press: _Press) -> None:
        query, message = press.query, press.message
        number, _, rest = press.rest.partition(":")
        name, _, argument = rest.partition(":")
        command = BY_NAME.get(name)
        is_page = command is not None and number.isdecimal() and len(number) <= _LONGEST_NUMBER
        if command is not None and command.is_steering and not press.asker.is_admin:
            await _say(query, NOT_ALLOWED)
        elif command is not None and command.is_confidential and not self._access.is_confidential(message.chat):
            await _say(query, IN_PRIVATE)
        # Who forges a press could else turn an alert into something that is none.
        elif (
            command is None
            or not is_page
            or await self._store.outbox.is_queued(str(message.chat_id), message.message_id)
        ):
            await _say(query, STALE)
        elif await _say(query, ""):
            content = await self._answering.said(command, argument, int(number))
            await self._delivery.replies.turn_page(address_of(message), message.message_id, content)

    async def _signal(self, text: str) -> Signal | None:
        """Return the alert a button belongs to, None where this bot knows none of the number."""
        found = await self._store.signals.get(int(text)) if text.isdecimal() and len(text) <= 15 else None
        return found[0] if found else None


async def _say_or_undo(query: CallbackQuery, text: str, undo: Callable[[], Awaitable[None]]) -> None:
    if not await _say(query, text):
        await undo()


async def _say(query: CallbackQuery, text: str) -> bool:
    """Answer a press; False where Telegram has forgotten it: it is of long ago. A lost answer is no such word."""
    try:
        await query.answer(text[:_LONGEST_TOAST] or None)
    except BadRequest as error:
        logger.warning("a press could not be answered: {}", error)
        return False
    except TelegramError as error:
        logger.warning("the answer to a press may be lost: {}", error)
    return True
