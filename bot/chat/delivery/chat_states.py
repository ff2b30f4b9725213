"""How each chat fares: whether it takes messages, under which number Telegram knows it, when it is tried again.

A chat that refuses the bot is tried again, more and more seldom, and at once when there is a sign that it may take
messages again. Times are of the monotonic clock but where they are said to people.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from loguru import logger

from bot.chat.delivery.sender import Blocked, NoTopic, Sender
from bot.chat.texts.notices import render_refusing, render_taking, render_topic_gone
from bot.chat.texts.phrases import local_time
from bot.clock import Clock
from features.backoff import backoff
from storage.store import Store

_FIRST_HOLD_S, _LONGEST_HOLD_S = 15.0, 3600.0  #: of a chat that refuses the bot: an alert may still be in time
_LOOK_UP_AGAIN_S = 60.0
_MIGRATED = "migrated_chats"  #: old id -> new id, in the store's state


@dataclass(slots=True, kw_only=True)
class ChatState:
    """How a chat fares."""

    id: str = ""  #: Telegram's number of it, whatever the settings call it; "" where it has not been found
    title: str = ""
    refusal: str = ""  #: why nothing can be written there, "" where it can
    refused_since_ms: int = 0
    refusals: int = 0  #: in a row
    try_at_ms: int = 0  #: nothing goes there before, by the monotonic clock
    signs: int = 0  #: that it may take messages again, counted: a refusal asked for before the last one is out of date
    look_up_at_ms: int | None = None  #: when Telegram is asked about it, by the same; None for not at all
    rejected: int = 0  #: messages in a row that Telegram would not take
    rejection: str = ""  #: its words on the last of them
    flood_until_ms: int = 0  #: by the monotonic clock
    has_lost_topic: bool = False


class ChatStates:
    """The chats by the names that the settings give them; `notify` queues a notice for the operator."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        *,
        timezone: str,
        wake: Callable[[], None],
        notify: Callable[..., Awaitable[None]],
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._timezone = timezone
        self._wake = wake
        self._notify = notify
        self._states: dict[str, ChatState] = {}
        self.migrated: Mapping[str, str] = {}  #: old id -> new id

    async def recall(self, names: Iterable[str]) -> None:
        """Go on from what the last run left behind, and look at these; who refused the bot then is tried at once."""
        self.migrated = await self._store.state.get(_MIGRATED) or {}
        for chat_id in names:
            self[chat_id].look_up_at_ms = 0
        since_ms = await self._store.chats.blocked_since_ms()
        for chat_id, refusal in (await self._store.chats.blocked()).items():
            state = self[chat_id]
            state.refusal, state.refused_since_ms, state.look_up_at_ms = refusal, since_ms[chat_id], 0

    def __getitem__(self, chat_id: str) -> ChatState:
        return self._states.setdefault(chat_id, ChatState())

    def is_held(self, chat_id: str) -> bool:
        """Whether nothing new may go there now."""
        return self[chat_id].try_at_ms > self._clock.monotonic_ms()

    def target(self, chat_id: str, migrated: Mapping[str, str] | None = None) -> str:
        """Return where what is addressed to a chat goes: groups move, as far as known now or as `migrated` says."""
        chat, colon, topic = chat_id.partition(":")
        if self[chat_id].has_lost_topic:
            colon = topic = ""
        return (self.migrated if migrated is None else migrated).get(chat, chat) + colon + topic

    async def migrate(self, old_chat: str, new_chat: str) -> None:
        """Take note of a group's new number, and forget those of its messages first: they begin anew there."""
        await self._store.chats.forget_messages(old_chat)
        self.migrated = {**self.migrated, old_chat: new_chat}
        await self._store.state.put(_MIGRATED, self.migrated)

    def try_again(self, chat_id: str | None = None) -> None:
        """Let messages go again to a chat by Telegram's number, or to all, whatever refusals there were."""
        for name, state in self._states.items():
            if chat_id is None or self._is_same(name, state, chat_id):
                state.signs += 1
                state.try_at_ms, state.has_lost_topic = 0, False
                if state.refusal:
                    state.look_up_at_ms = 0
        self._wake()

    async def take_up(self, chat_id: str) -> None:
        """Take a message that has arrived for a sign that its chat takes others, whatever the settings call it."""
        for name, state in list(self._states.items()):
            if state.refusal and self._is_same(name, state, chat_id):
                state.signs += 1
                state.try_at_ms = 0
                if name.partition(":")[2] in ("", chat_id.partition(":")[2]):
                    await self.note_taking(name)
        self._wake()

    def _is_same(self, name: str, state: ChatState, chat_id: str) -> bool:
        number, name = chat_id.partition(":")[0], name.partition(":")[0]
        return number in (state.id, self.migrated.get(name, name))

    def faults(self) -> Iterator[str]:
        """Yield which chats get nothing, and why."""
        now_ms, ahead_ms = self._clock.monotonic_ms(), self._clock.now_ms() - self._clock.monotonic_ms()
        for chat_id, state in self._states.items():
            if state.refusal:
                yield f"chat {chat_id} gets nothing: {state.refusal}"
            elif state.flood_until_ms > now_ms:
                until = f"{local_time(state.flood_until_ms + ahead_ms, self._timezone):%H:%M}"
                yield f"chat {chat_id} gets nothing until {until}: Telegram asks for patience"
            elif state.rejected:
                yield f"chat {chat_id}: Telegram rejected the last message: {state.rejection}"

    def due_look_ups(self) -> list[str]:
        """Return the chats that Telegram is to be asked about now, each once."""
        now_ms = self._clock.monotonic_ms()
        due = [
            chat_id
            for chat_id, state in self._states.items()
            if state.look_up_at_ms is not None and state.look_up_at_ms <= now_ms
        ]
        for chat_id in due:
            self[chat_id].look_up_at_ms = None
        return due

    async def look_up(self, chat_id: str) -> None:
        """Ask Telegram about a chat, and where nothing can be written there, again every hour."""
        state = self[chat_id]
        now_ms, signs = self._clock.monotonic_ms(), state.signs
        try:
            found = await self._sender.look_up(self.target(chat_id))
        except Blocked as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - what cannot be read of a chat is no reason to send nothing
            logger.info("chat {} could not be looked up: {!r}", chat_id, error)
            state.look_up_at_ms = now_ms + round(1000 * _LOOK_UP_AGAIN_S)
            return
        else:
            state.id, state.title, problem = found.id, found.title, found.problem
        if state.signs > signs:
            state.look_up_at_ms = 0
        elif problem:
            await self._note_refusing(chat_id, problem)
            state.look_up_at_ms = now_ms + round(1000 * _LONGEST_HOLD_S)
        elif state.refusal:
            # What waits for the chat will show whether it takes messages; it is tried by itself.
            if (await self._store.chats.waiting_counts()).get(chat_id):
                state.look_up_at_ms = now_ms + round(1000 * _LONGEST_HOLD_S)
            else:
                await self.note_taking(chat_id)

    async def hold(self, chat_id: str, error: Blocked, signs: int) -> None:
        """Let all that is new for a chat wait which refuses it.

        Where a sign came while the refusal was on its way (`signs`: how many there were before), it goes again at once.
        """
        state = self[chat_id]
        if state.signs > signs:
            return
        if isinstance(error, NoTopic) and not state.has_lost_topic:
            state.has_lost_topic = True
            logger.error("chat {}: its topic is gone ({}); messages go to the group without it", chat_id, error)
            await self._notify(render_topic_gone(chat_id), but=chat_id)
            return
        hold_s = hold_for_s(state.refusals)
        state.refusals += 1
        state.try_at_ms = self._clock.monotonic_ms() + round(1000 * hold_s)
        await self._note_refusing(chat_id, str(error))

    async def _note_refusing(self, chat_id: str, refusal: str) -> None:
        state, now_ms = self[chat_id], self._clock.monotonic_ms()
        is_new = not state.refusal
        state.refusal = refusal
        if not is_new:
            return
        state.refused_since_ms = self._clock.now_ms()
        state.look_up_at_ms = now_ms if not state.id else now_ms + round(1000 * _LONGEST_HOLD_S)
        logger.error("chat {} takes no message ({}): it is tried again until it does", chat_id, refusal)
        await self._store.chats.block(chat_id, refusal, state.refused_since_ms)
        await self._notify(render_refusing(chat_id, state.title, refusal), but=chat_id)

    async def note_taking(self, chat_id: str) -> None:
        """Take note that messages arrive in a chat."""
        state = self[chat_id]
        state.rejected = state.flood_until_ms = 0
        if state.refusal:
            state.refusal, state.refusals, state.try_at_ms = "", 0, 0
            logger.info("chat {} takes messages again", chat_id)
            await self._store.chats.unblock(chat_id)
            await self._notify(render_taking(chat_id, state.title), but=chat_id)


def hold_for_s(refusals: int) -> float:
    """Return how long a chat, or an edit of a message there, rests after so many refusals before this one [s]."""
    return backoff(refusals, first=_FIRST_HOLD_S, longest=_LONGEST_HOLD_S)
