"""Who may say what to the bot in Telegram, and how its answers get there; commands/answers.py makes them.

Admins may say everything anywhere. Whoever writes in a chat or group the alerts go to may read, and nobody else is
answered. What an admin orders is carried out as it arrives, whatever else is asked meanwhile; only its answer keeps
Telegram's pace, as all answers do.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
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
    User,
)
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import BadRequest, TelegramError
from telegram.ext import (
    BaseHandler,
    CallbackQueryHandler,
    ChatMemberHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from bot.chat.bot_api.edge import Menu
from bot.chat.commands.answers import BY_NAME, COMMANDS, Answers, Command, Said
from bot.chat.commands.arguments import UsageError
from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Content, plain_text
from bot.chat.recipients import Recipients
from bot.chat.texts.answers import Listing
from bot.chat.texts.messages import render_help
from bot.config.kinds import SHARED_IDS
from bot.tasks import spawn
from scoring.signals import Signal
from storage.errors import StorageError
from storage.messages import Button
from storage.steering import Steering
from storage.store import Store

STALE = "This button is out of date."
NOT_ALLOWED = "Only my admins may do that."
IN_PRIVATE = "That is answered in private and in the operator's chat only."
TOO_FAST = "You ask faster than I may answer: wait for the answers that are due."
AS_YOURSELF = (
    "You write as the group or as a channel, which others may do too. Write as yourself: "
    "in the group's administrators, switch off that you remain anonymous."
)
_MAX_AGE_S = 60  # what waited longer while the bot was away may no longer be meant
_MOST_WAITING, _MOST_WAITING_OF_ADMIN, _MOST_WAITING_OF_ALL = 5, 20, 60  #: what questions that wait may cost
_MOST_REFUSED = 1000
_MOST_NAMED = 5
_LONGEST_KEPT = 300
_LONGEST_TOAST = 200  #: characters of what is shown at a press
_LONGEST_NUMBER = 6
_FINISH_S = 2.0
_SAY_S = 1.0  #: what comes after a press waits so long for Telegram's word on it, and no longer
_YIELDS = 20
_OUT = (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)
_LONGEST_PRESS = 64  #: bytes Telegram lets a button carry


class _Asker:
    """Whoever sent a command or pressed a button."""

    def __init__(self, user: User | None, sender_chat: Chat | None, admin_ids: Collection[int]) -> None:
        self.id = user.id if user is not None else 0
        #: many write under one id: anonymous admins, channels; and a bot is nobody who could be asked what it meant
        self.is_shared = user is None or user.is_bot or sender_chat is not None or user.id in SHARED_IDS
        self.is_admin = not self.is_shared and self.id in admin_ids


class Commands:
    """Answers those who may ask; refuses everybody else once."""

    def __init__(
        self,
        answers: Answers,
        delivery: Delivery,
        store: Store,
        *,
        recipients: Recipients,
        now_ms: Callable[[], int],
    ) -> None:
        self._answers = answers
        self._delivery = delivery
        self._store = store
        self._recipients = recipients
        self._now_ms = now_ms  #: in Telegram's count
        self._refused: OrderedDict[tuple[int, int], None] = OrderedDict()  # the latest (user, chat) that were
        self._lines: dict[int, asyncio.Lock] = {}  # by chat, where questions are answered one after the other
        self._waiting: Counter[int] = Counter()  # what each user's questions cost that wait
        self._asked: Counter[int] = Counter()  # by chat, how many stand in its line
        self._too_fast: set[int] = set()  # who has been told so
        self._stale: dict[str, list[tuple[str, float]]] = {}  # by chat: old commands and their ages [s]
        self._tasks: set[asyncio.Task[None]] = set()

    def handlers(self) -> list[BaseHandler[Any, Any, Any]]:
        """Return what PTB's application calls."""
        return [
            MessageHandler(filters.COMMAND, self._on_command),
            CallbackQueryHandler(self._on_press),
            ChatMemberHandler(self._on_own_membership, ChatMemberHandler.MY_CHAT_MEMBER),
        ]

    async def finish(self) -> None:
        """Give the answers under way a moment, then let go of them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FINISH_S)
        for task in self._tasks:
            task.cancel()

    @property
    def _admin_ids(self) -> Collection[int]:
        return self._recipients.admin_ids

    @property
    def _chats(self) -> Collection[str]:
        """The chats without their topics, as Telegram names them."""
        return dict.fromkeys(chat.partition(":")[0].lower() for chat in self._recipients.chats)

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
        asker = _Asker(message.from_user, message.sender_chat, self._admin_ids)
        if not asker.is_admin and not self._is_ours(message.chat):
            self._answer(message, self._refuse(asker, message.chat, name, "Sorry, I only answer my owner."))
            return
        age_s = self._now_ms() / 1000 - message.date.timestamp()
        if age_s > _MAX_AGE_S:
            logger.warning("/{} was sent {:.0f} s ago: ignored", name, age_s)
            self._note_stale(message, name, age_s)
            return
        if asker.is_admin:
            self._delivery.chat_states.try_again()
        command = BY_NAME.get(name)
        if command is None:
            self._answer(message, self._of_no_command(name, message, asker))
        elif command.is_steering and not asker.is_admin:
            self._answer(message, self._refuse(asker, message.chat, name, NOT_ALLOWED))
        elif command.is_confidential and not self._is_confidential(message.chat):
            self._answer(message, Content(html=IN_PRIVATE))
        elif command.is_steering:
            self._answer(message, await self._steer(asker, _address(message), command, argument), is_urgent=True)
        elif not self._ask(asker, command.cost, lambda: self._answer_question(message, command, argument)):
            logger.warning("user {} asks faster than can be answered: /{} is dropped", asker.id, name)
            if asker.id not in self._too_fast:
                self._too_fast.add(asker.id)
                self._answer(message, Content(html=TOO_FAST))

    def _of_no_command(self, name: str, message: Message, asker: _Asker) -> Content | None:
        if name in {"start", "help"}:
            menu = _commands(is_admin=asker.is_admin)
            return Content(html=render_help((command.name, command.help) for command in menu))
        # In a group it may be meant for another bot.
        is_private = message.chat.type == ChatType.PRIVATE
        return Content(html=f"/{escape(name)} is no command of mine, /help lists them.") if is_private else None

    async def _steer(self, asker: _Asker, address: str, command: Command, argument: str) -> Content:
        """Carry out what an admin orders, now, and keep who it was."""
        content = await self._said(command, argument)
        await self._keep(asker, address, f"/{command.name} {argument}".strip(), content.html)
        return content

    async def _keep(self, asker: _Asker, address: str, command: str, html: str) -> None:
        steering = Steering(
            done_ms=self._now_ms(),
            user_id=asker.id,
            chat_id=address,
            command=command[:_LONGEST_KEPT],
            answer=plain_text(html).partition("\n")[0][:_LONGEST_KEPT],
        )
        logger.info("user {} in chat {}: {}", steering.user_id, steering.chat_id, steering.command)
        try:
            await self._store.steering.record(steering)
        except StorageError as error:
            logger.error("who steered could not be kept: {}", error)

    async def _said(self, command: Command, argument: str, page: int = 0) -> Content:
        """Return what a command answers, also where it fails: whoever asked has to know."""
        try:
            return paged(await command.answer(self._answers, argument), command.name, argument, page)
        except UsageError as error:
            return Content(html=escape(str(error)[:_LONGEST_KEPT]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said
            logger.exception("/{} failed", command.name)
            why = escape((str(error) or type(error).__name__)[:_LONGEST_KEPT])
            return Content(html=f"<b>/{command.name} failed</b>: {why}")

    def _ask(self, asker: _Asker, cost: int, answer: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Answer a question beside the others, and return True, unless its asker waits for too many."""
        most = _MOST_WAITING_OF_ADMIN if asker.is_admin else _MOST_WAITING
        if self._waiting[asker.id] + cost > most or self._waiting.total() + cost > _MOST_WAITING_OF_ALL:
            return False
        self._waiting[asker.id] += cost
        self._later(self._within_budget(asker, cost, answer()))
        return True

    async def _within_budget(self, asker: _Asker, cost: int, answer: Coroutine[Any, Any, None]) -> None:
        try:
            await answer
        finally:
            self._waiting[asker.id] -= cost
            if not self._waiting[asker.id]:  # nothing is kept of who does not wait
                del self._waiting[asker.id]
                self._too_fast.discard(asker.id)

    async def _answer_question(self, message: Message, command: Command, argument: str, address: str = "") -> None:
        """Answer the questions of a chat one after the other, each with what is so when its turn has come."""
        chat = message.chat_id
        line = self._lines.setdefault(chat, asyncio.Lock())
        self._asked[chat] += 1
        try:
            async with line:
                content = await self._said(command, argument)
                reply_to = None if address else message.message_id
                await self._delivery.reply(address or _address(message), content, reply_to)
        finally:
            self._asked[chat] -= 1
            if not self._asked[chat]:
                del self._asked[chat], self._lines[chat]

    def _answer(self, message: Message, content: Content | None, *, is_urgent: bool = False) -> None:
        if content is not None:
            reply = self._delivery.reply(_address(message), content, message.message_id, is_urgent=is_urgent)
            self._later(reply)

    def _later(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        return spawn(_done(work), name="answer", keep=self._tasks)

    def _note_stale(self, message: Message, name: str, age_s: float) -> None:
        """Collect what waited too long while the bot was away: one line says it of all in a chat."""
        address = _address(message)
        if address not in self._stale:
            self._stale[address] = []
            self._later(self._tell_stale(message, self._stale[address]))
        self._stale[address].append((name, age_s))

    async def _tell_stale(self, message: Message, stale: list[tuple[str, float]]) -> None:
        seen = -1
        while seen < len(stale):  # the rest of the batch
            seen = len(stale)
            for _ in range(_YIELDS):
                await asyncio.sleep(0)
        self._stale.pop(_address(message), None)
        await self._delivery.reply(_address(message), Content(html=render_stale(stale)), message.message_id)

    def _refuse(self, asker: _Asker, chat: Chat, command: str, words: str) -> Content | None:
        key = (asker.id, chat.id if asker.is_shared else 0)
        if key in self._refused:
            return None
        self._refused[key] = None
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)
        logger.warning("user {} may not steer the bot and was refused: /{}", asker.id, command)
        if asker.is_shared:
            return Content(html=f"{words} {AS_YOURSELF}")
        return Content(html=f"{words} If that is you, put your id {asker.id} into TELEGRAM_ADMIN_IDS.")

    async def _on_press(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        query = update.callback_query
        if query is None:
            return
        message = query.message
        if not isinstance(message, Message) or not message.is_accessible:
            self._later(_say(query, STALE))
            return
        asker = _Asker(query.from_user, None, self._admin_ids)
        if not asker.is_admin and not self._is_ours(message.chat):
            self._later(_say(query, NOT_ALLOWED))
            return
        action, _, rest = (query.data or "").partition(":")
        presses = {
            "why": self._on_why,
            "chart": self._on_why,
            "mute": self._on_mute,
            "page": self._on_page,
            "try": self._on_try,
        }
        if action not in presses:
            self._later(_say(query, STALE))
        elif action in ("mute", "try") and not asker.is_admin:
            self._later(_say(query, NOT_ALLOWED))
        elif action in ("mute", "try"):
            await presses[action](query, message, asker, action, rest)
        else:
            cost = BY_NAME[action].cost if action in BY_NAME else 1
            if not self._ask(asker, cost, lambda: presses[action](query, message, asker, action, rest)):
                self._later(_say(query, TOO_FAST))

    async def _on_why(self, query: CallbackQuery, message: Message, asker: _Asker, action: str, rest: str) -> None:
        if await self._signal(rest) is None:
            await _say(query, STALE)
            return
        in_channel = message.chat.type == ChatType.CHANNEL  # an answer there would be one to all its readers
        if await _say(query, "It comes to you in private." if in_channel else ""):
            address = str(asker.id) if in_channel else ""
            await self._answer_question(message, BY_NAME[action], rest, address)

    async def _on_mute(self, query: CallbackQuery, message: Message, asker: _Asker, _action: str, rest: str) -> None:
        """Mute first, then say so; where Telegram has forgotten the press, it is of long ago and was not meant now."""
        signal = await self._signal(rest)
        if signal is None:
            self._later(_say(query, STALE))
            return
        try:
            undo, text = await self._answers.mute_for_an_hour(signal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said
            logger.exception("a coin could not be muted")
            self._later(_say(query, f"{signal.coin} could not be muted: {error}"[:_LONGEST_TOAST]))
            return
        await self._keep(asker, _address(message), f"Mute 1 h, #{signal.id}", text)
        await asyncio.wait([self._later(self._say_or_undo(query, text, undo))], timeout=_SAY_S)

    async def _say_or_undo(self, query: CallbackQuery, text: str, undo: Callable[[], Awaitable[None]]) -> None:
        if not await _say(query, text):
            await undo()

    async def _on_try(self, query: CallbackQuery, _message: Message, _asker: _Asker, _action: str, _rest: str) -> None:
        self._delivery.chat_states.try_again()
        self._later(_say(query, "Every chat is tried again; /chats shows what came of it."))

    async def _on_page(self, query: CallbackQuery, message: Message, asker: _Asker, _action: str, rest: str) -> None:
        number, _, rest = rest.partition(":")
        name, _, argument = rest.partition(":")
        command = BY_NAME.get(name)
        is_page = command is not None and number.isdecimal() and len(number) <= _LONGEST_NUMBER
        if command is not None and command.is_steering and not asker.is_admin:
            await _say(query, NOT_ALLOWED)
        elif command is not None and command.is_confidential and not self._is_confidential(message.chat):
            await _say(query, IN_PRIVATE)
        # Who forges a press could else turn an alert into something that is none.
        elif (
            command is None
            or not is_page
            or await self._store.outbox.is_queued(str(message.chat_id), message.message_id)
        ):
            await _say(query, STALE)
        elif await _say(query, ""):
            content = await self._said(command, argument, int(number))
            await self._delivery.turn_page(_address(message), message.message_id, content)

    def _is_confidential(self, chat: Chat) -> bool:
        """Whether what is written there is read by admins and the operator only."""
        operator = self._delivery.chat_states.target(self._recipients.operator).partition(":")[0].lower()
        return chat.type == ChatType.PRIVATE or operator in (str(chat.id), f"@{chat.username}".lower())

    def _is_ours(self, chat: Chat) -> bool:
        if chat.type == ChatType.CHANNEL:
            return False  # an answer to one reader would stand there for all
        names = {self._delivery.chat_states.target(chat_id) for chat_id in self._chats}
        return str(chat.id) in names or f"@{chat.username}".lower() in names

    async def _signal(self, text: str) -> Signal | None:
        """Return the alert a button belongs to, None where this bot knows none of the number."""
        found = await self._store.signals.get(int(text)) if text.isdecimal() and len(text) <= 15 else None
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


async def _done(work: Coroutine[Any, Any, object]) -> None:
    await work


def render_stale(stale: Sequence[tuple[str, float]]) -> str:
    """Return what is said of commands that waited too long, (name, age [s]) each."""
    names = list(dict.fromkeys(f"/{escape(name)}" for name, _ in stale))
    age = f"{max(age_s for _, age_s in stale) / 60:.0f} min old"
    if len(stale) == 1:
        return f"{names[0]} is {age}, so it was ignored. Send it again if you still mean it."
    shown = ", ".join(names[:_MOST_NAMED]) + (" and others" if len(names) > _MOST_NAMED else "")
    return f"{len(stale)} commands are up to {age}, so they were ignored: {shown}. Send again what you still mean."


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
