"""From the outbox to the chats: which message goes next, and which has waited too long.

The tick commits its messages to the store and calls `wake`; everything else happens here, in tasks of their own, so
nothing about Telegram can delay a tick. The store orders the messages of a chat, and keeps a chat silent while one of
them backs off. Each chat is served by at most one task at a time, one message per task, so an exit that is queued while
entries wait still goes first. Edits of sent messages have a task of their own, which holds up nothing new.

What was to go to a chat that refuses the bot waits until that chat is tried again (chat_states.py), or it is too old.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from bot.chat.delivery.attempts import Attempts
from bot.chat.delivery.chat_states import ChatStates
from bot.chat.delivery.doubt import Doubt
from bot.chat.delivery.losses import Losses
from bot.chat.delivery.record import DeliveryRecord
from bot.chat.delivery.replies import Replies
from bot.chat.delivery.sender import (
    TERMINAL_CHAT,
    Sender,
)
from bot.chat.delivery.sounds import Sounds
from bot.chat.delivery.stamps import Stamps
from bot.chat.delivery.transmission import Transmission
from bot.chat.delivery.turns import Turns
from bot.chat.recipients import Recipients
from bot.chat.texts.markup import Markup
from bot.chat.texts.notices import render_lost
from bot.clock import Clock
from bot.config.sounds import Mode, QuietHours
from features.backoff import backoff
from storage.errors import StorageError
from storage.messages import DeliveryState, Kind, NewMessage, OutboxMessage
from storage.store import Store

_LOOK_AGAIN_S = 5.0  #: finds what a bot that stopped had left to be tried later
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 30.0
_LATE_NOTICE_MS = 60_000  #: what leaves later says which time it speaks of
_DAY_MS = 86_400_000  #: nothing is worth sending that has waited longer
_EXPIRY_FACTOR = 4  #: an entry this many times older than "late" is not sent
_ALL_LOUD = dict.fromkeys(Kind, Mode.ON) | {Kind.NOTICE: Mode.SILENT}


class Delivery:
    """Sends what is in the outbox, until cancelled."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        *,
        max_signal_age_s: float,
        current_price: Callable[[int], float | None] = lambda _signal_id: None,
        modes: Mapping[Kind, Mode] = _ALL_LOUD,
        quiet_hours: QuietHours | None = None,
        timezone: str = "UTC",
        recipients: Recipients | None = None,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_age_s = max_signal_age_s
        self._turns = Turns(store, clock)
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._busy: set[str] = set()
        self._changing: set[str] = set()
        self._losses = Losses()
        self._recipients = recipients  #: the only ones that get anything; None is all
        self.record = DeliveryRecord(clock)
        self.sounds = Sounds(store, clock, modes=modes, quiet_hours=quiet_hours, timezone=timezone)
        #: how the chats fare, by the names that the settings give them
        self.chat_states = ChatStates(
            store, sender, clock, timezone=timezone, wake=self.wake, notify=self._notify_operator
        )

        def backoff_s(failures_before: int) -> float:
            return backoff(failures_before, first=_FIRST_BACKOFF_S, longest=_LONGEST_BACKOFF_S, draw=draw())

        transmission = Transmission(sender, self._turns, self.record)
        #: what answers commands
        self.replies = Replies(transmission, self._turns, self.chat_states, clock, backoff_s)
        self._attempts = Attempts(
            store,
            transmission,
            clock,
            turns=self._turns,
            doubt=Doubt(sender),
            stamps=Stamps(clock, current_price, max_signal_age_s=max_signal_age_s, timezone=timezone),
            sounds=self.sounds,
            chat_states=self.chat_states,
            record=self.record,
            losses=self._losses,
            backoff_s=backoff_s,
        )

    def wake(self) -> None:
        """Look for messages to send now."""
        self._awake.set()

    async def run(self) -> None:
        """Send until cancelled; a request under way then is called uncertain when the store is opened next."""
        await self._recall()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_again(group), name="look at the outbox again")
            while True:
                self._awake.clear()
                # As of before the look: a chat that ends or moves meanwhile has changed its rows.
                busy, changing, migrated = frozenset(self._busy), frozenset(self._changing), self.chat_states.migrated
                try:
                    due = await self._due_messages()
                except StorageError as error:  # looked at again within seconds
                    logger.error("the outbox could not be read: {}", error)
                    due = []
                for message in filter(self._may_go, due):
                    chat_id, is_new = message.message.chat_id, message.message_id is None
                    if chat_id in busy or (chat_id in changing and not is_new):
                        continue
                    (self._busy if is_new else self._changing).add(chat_id)
                    group.create_task(
                        self._serve(message, self.chat_states.target(chat_id, migrated)), name=f"deliver to {chat_id}"
                    )
                if not self._busy and not self._changing and not self._awake.is_set():
                    self._idle.set()
                await self._awake.wait()

    @property
    def _operator(self) -> str:
        return "" if self._recipients is None else self._recipients.operator

    async def _recall(self) -> None:
        """Go on from what the last run left behind."""
        await self.sounds.recall()
        await self._turns.recall()
        async with self._store.times:
            if (step_ms := self._clock.now_ms() - await self._store.outbox.latest_unsent_ms()) < 0:
                await self._store.outbox.shift(step_ms)  # the clock was set back: what waits would wait as much longer
        named = () if self._recipients is None else self._recipients.everyone
        if self._recipients is not None and TERMINAL_CHAT not in named:  # else it starts without the phone's token
            await self._store.chats.keep_only(named)
        await self.chat_states.recall(named)
        for message in filter(self._is_ours, await self._store.outbox.uncertain()):
            await self._attempts.resend_to_person(message, message.error)

    def _is_ours(self, message: OutboxMessage) -> bool:
        return self._recipients is None or message.message.chat_id in self._recipients.everyone

    def _may_go(self, message: OutboxMessage) -> bool:
        return self._is_ours(message) and not self.chat_states.is_held(message.message.chat_id)

    async def _due_messages(self) -> list[OutboxMessage]:
        """Return the first message of each chat, its age by the monotonic clock: true whenever the other is set."""
        async with self._store.times:
            ahead_ms = self._clock.now_ms() - self._clock.monotonic_ms()
            due = await self._store.outbox.due(self._clock.now_ms(), limit=1)
        return [replace(one, message=replace(one.message, created_ms=one.message.created_ms - ahead_ms)) for one in due]

    async def drain(self, seconds: float) -> int:
        """Wait, at most `seconds`, until nothing is left to be sent, and return how many messages are."""
        self._idle.clear()
        self.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        counts = await self._store.outbox.counts()
        return counts[DeliveryState.PENDING] + counts[DeliveryState.SENDING]

    async def _look_again(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                await self._expire()
                await self._notify_of_losses()
            except StorageError as error:
                logger.error("the outbox could not be looked after: {}", error)
            for chat_id in self.chat_states.due_look_ups():
                group.create_task(self.chat_states.look_up(chat_id), name=f"look up {chat_id}")
            await self._clock.sleep(_LOOK_AGAIN_S)
            self.wake()

    async def _expire(self) -> None:
        """Give up what has waited too long, also in chats that are held."""
        async with self._store.times:  # in which a message is found due: by now its chat is busy, or it expires here
            busy, now_ms = self._busy | self._changing, self._clock.now_ms()
            entries_before_ms = now_ms - round(1000 * _EXPIRY_FACTOR * self._max_age_s)
            expired = await self._store.outbox.expire(entries_before_ms, now_ms - _DAY_MS, busy)
        for chat_id in expired:
            self._losses.count(chat_id, DeliveryState.EXPIRED)

    async def _serve(self, message: OutboxMessage, target: str) -> None:
        """Handle the first message of a chat, then rest for as long as the chat has to."""
        chat_id, served = message.message.chat_id, self._busy if message.message_id is None else self._changing
        try:
            if self._is_expired(message, self._clock.monotonic_ms()):
                await self._store.outbox.mark_expired(message.id)
                self._losses.count(chat_id, DeliveryState.EXPIRED)
            elif (rest_s := await self._attempts.settle_doubt(message)) is not None:
                await self._clock.sleep(rest_s)
            elif wait_s := self._turns.wait_s(target):
                await self._clock.sleep(wait_s)
            else:
                await self._clock.sleep(await self._attempts.attempt(message, target))
        finally:
            served.discard(chat_id)
            self.wake()

    def _is_expired(self, message: OutboxMessage, now_ms: int) -> bool:
        age_s = (now_ms - message.message.created_ms) / 1000
        is_new_entry = message.message.kind is Kind.ENTRY and message.message_id is None
        return is_new_entry and age_s > _EXPIRY_FACTOR * self._max_age_s

    async def _notify_of_losses(self) -> None:
        """Queue a notice of what other chats did not get; each of them learns of it in its next message."""
        if lost := self._losses.take(but_of=self._operator):
            await self._notify_operator(render_lost(lost))

    async def _notify_operator(self, html: Markup, *, but: str = "") -> None:
        """Queue a notice for the operator; `but`: not where the notice is of that chat itself."""
        if self._operator in ("", but) or self.sounds.is_off(Kind.NOTICE):
            return
        notice = NewMessage(chat_id=self._operator, kind=Kind.NOTICE, html=html, created_ms=self._clock.now_ms())
        await self._store.outbox.enqueue([notice])
        self.wake()
