"""From the outbox to the chats: what goes next, how often it is tried, and what is said about what went wrong.

The tick commits its messages to the store and calls `wake`; everything else happens here, in tasks of their own, so
nothing about Telegram can delay a tick. The store orders the messages of a chat, and keeps a chat silent while one of
them backs off. Each chat is served by at most one task at a time, one message per task, so an exit that is queued while
entries wait still goes first. Changes of what stands there have a task of their own, which holds up nothing new.

What was to go to a chat that refuses the bot waits until that chat is tried again (chat_states.py), or it is too old.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from bot.chat.delivery.chat_states import ChatStates, hold_for_s
from bot.chat.delivery.doubt import Doubt
from bot.chat.delivery.losses import Losses
from bot.chat.delivery.record import DeliveryRecord
from bot.chat.delivery.replies import Replies
from bot.chat.delivery.sender import (
    TERMINAL_CHAT,
    BadText,
    Blocked,
    Content,
    MaybeSent,
    Migrated,
    NotSent,
    Rejected,
    Sender,
)
from bot.chat.delivery.stamps import Stamps
from bot.chat.delivery.transmission import Transmission
from bot.chat.delivery.turns import Turns
from bot.chat.recipients import Recipients
from bot.chat.texts.marks import (
    add_follow_ups,
)
from bot.chat.texts.markup import Markup
from bot.chat.texts.notices import render_lost
from bot.clock import Clock
from bot.config.chat_ids import is_person
from bot.config.sounds import Mode, QuietHours, is_silent, parse_quiet_hours
from features.backoff import backoff
from storage.errors import StorageError
from storage.messages import DeliveryState, Kind, NewMessage, OutboxMessage
from storage.store import Store

_LOOK_AGAIN_S = 5.0  #: finds what a bot that stopped had left to be tried later
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 30.0
_ANSWER_TRIES = 4
_LONGEST_ANSWER_WAIT_S = 60.0  #: whoever asked has gone by then
_LONG_FLOOD_S = 60.0  #: from here on a flood wait is a fault: that chat gets no alert in time
_LATE_NOTICE_MS = 60_000  #: what leaves later says which time it speaks of
_DAY_MS = 86_400_000  #: nothing is worth sending that has waited longer
_RESEND_AFTER_S = 2.0  #: lets a hiccup pass before the one repetition there is
_EXPIRY_FACTOR = 4  #: an entry this many times older than "late" is not sent
_QUIET_HOURS = "quiet_hours"  #: what /quiet said, "" for none, in the store's state
_NOT_SHOWN = "The answer could not be shown:"
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
        self._draw = draw
        self._sender = sender
        self._clock = clock
        self._max_age_s = max_signal_age_s
        self._stamps = Stamps(clock, current_price, max_signal_age_s=max_signal_age_s, timezone=timezone)
        self._modes = modes
        self._timezone = timezone
        self._turns = Turns(store, clock)
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._busy: set[str] = set()
        self._changing: set[str] = set()
        self._losses = Losses()
        self._doubt = Doubt(sender)
        #: how the chats fare, by the names that the settings give them
        self.chat_states = ChatStates(store, sender, clock, timezone=timezone, wake=self.wake, tell=self._tell_operator)
        self.quiet_hours = quiet_hours
        self._recipients = recipients  #: the only ones that get anything; None is all
        self.record = DeliveryRecord(clock)
        self._transmission = Transmission(sender, self._turns, self.record)
        #: what answers commands
        self.replies = Replies(self._transmission, self._turns, self.chat_states, clock, self._backoff_s)

    def wake(self) -> None:
        """Say that there may be something to send."""
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
        if (quiet := await self._store.state.get(_QUIET_HOURS)) is not None:
            self.quiet_hours = parse_quiet_hours(quiet) if quiet else None
        await self._turns.recall()
        async with self._store.times:
            if (step_ms := self._clock.now_ms() - await self._store.outbox.latest_unsent_ms()) < 0:
                await self._store.outbox.shift(step_ms)  # the clock was set back: what waits would wait as much longer
        named = () if self._recipients is None else self._recipients.everyone
        if self._recipients is not None and TERMINAL_CHAT not in named:  # else it starts without the phone's token
            await self._store.chats.keep_only(named)
        await self.chat_states.recall(named)
        for message in filter(self._is_ours, await self._store.outbox.uncertain()):
            await self._resend_to_person(message, message.error)

    def _is_ours(self, message: OutboxMessage) -> bool:
        return self._recipients is None or message.message.chat_id in self._recipients.everyone

    def _may_go(self, message: OutboxMessage) -> bool:
        return self._is_ours(message) and not self.chat_states.is_held(message.message.chat_id)

    async def _due_messages(self) -> list[OutboxMessage]:
        """Return the first message of each chat, its age by the monotonic clock: true whoever sets the other."""
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

    async def set_quiet_hours(self, quiet_hours: QuietHours | None) -> None:
        """Let nothing ring in these hours, from now on and after a restart."""
        await self._store.state.put(_QUIET_HOURS, str(quiet_hours) if quiet_hours else "")
        self.quiet_hours = quiet_hours

    async def _look_again(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                await self._expire()
                await self._tell_lost()
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
            elif (rest_s := await self._settle_doubt(message)) is not None:
                await self._clock.sleep(rest_s)
            elif wait_s := self._turns.wait_s(target):
                await self._clock.sleep(wait_s)
            else:
                await self._clock.sleep(await self._attempt(message, target))
        finally:
            served.discard(chat_id)
            self.wake()

    def _is_expired(self, message: OutboxMessage, now_ms: int) -> bool:
        age_s = (now_ms - message.message.created_ms) / 1000
        is_new_entry = message.message.kind is Kind.ENTRY and message.message_id is None
        return is_new_entry and age_s > _EXPIRY_FACTOR * self._max_age_s

    async def _attempt(self, message: OutboxMessage, target: str) -> float:
        """Send or edit once and record how it went; return how long the chat has to rest [s]."""
        chat_id, stands_as = message.message.chat_id, message.message_id
        state = self.chat_states[chat_id]
        html, signs = self._stamps.complete(message, has_lost_topic=state.has_lost_topic), state.signs
        await self._store.outbox.mark_sending(message.id, self._turns.count(target))
        try:
            message_id = await self._send_or_edit(message, target, html)
        except NotSent as error:
            if error.retry_after_s is None:
                return await self._retry(message, str(error), self._backoff_s(message.attempts))
            return await self._keep_away(message, str(error), error.retry_after_s)
        except Blocked as error:
            self.record.within_reach()
            self.record.note("refused", chat_id, str(error))
            if stands_as is not None:  # the right to change may be lacking where the right to write is not
                return await self._put_off(message, str(error), hold_for_s(message.attempts))
            await self._try_again(message, 0.0, str(error))
            await self.chat_states.hold(chat_id, error, signs)
        except Migrated as error:
            self.record.note("moved", chat_id, str(error))
            logger.warning("chat {}: {}; put it in TELEGRAM_CHAT_ID", chat_id, error)
            if stands_as is None:
                await self._try_again(message, 0.0, str(error))
            await self.chat_states.migrate(chat_id.partition(":")[0], error.new_chat_id)
        except (BadText, Rejected) as error:
            self.record.within_reach()
            self.record.note("rejected", chat_id, str(error))
            logger.error("chat {}: Telegram rejects message {} ({}); it is given up", chat_id, message.id, error)
            if stands_as is None:
                state.rejected, state.rejection = state.rejected + 1, str(error)
                await self._store.outbox.mark_failed(message.id, str(error))
                self._losses.count(chat_id, DeliveryState.FAILED)
            else:  # what was sent stands as it was
                await self._store.outbox.mark_sent(
                    message.id, stands_as, self._clock.now_ms(), revision=message.revision
                )
        except Exception as error:  # noqa: BLE001 - MaybeSent, or what nobody expected: the loop outlives it, in doubt
            if not isinstance(error, MaybeSent):
                logger.exception("message {} failed in a way nobody expected", message.id)
            self._doubt.begin()
            self.record.note("uncertain", chat_id, str(error))
            await self._store.outbox.mark_uncertain(message.id, str(error))
            return await self._resend_to_person(message, str(error))
        else:
            sent_ms = self._clock.now_ms()
            self.record.within_reach()
            if message.message.kind is Kind.ENTRY and stands_as is None:
                self.record.note_latency(message.message.created_ms)
            told = message.lost.ids if stands_as is None else ()
            await self._store.outbox.mark_sent(
                message.id, message_id, sent_ms, told=told, revision=message.revision, html=html
            )
            if stands_as is None:
                await self.chat_states.note_taking(chat_id)
            if (old_chat := target.partition(":")[0]) in self.chat_states.migrated:  # since it left
                await self._store.chats.forget_messages(old_chat)
        return 0.0

    async def _settle_doubt(self, message: OutboxMessage) -> float | None:
        """Return None where Telegram answers and the message may go, else how long the chat has to rest [s]."""
        try:
            await self._doubt.settle()
        except Exception as error:  # noqa: BLE001 - the loop outlives what nobody expected of the sender
            return await self._retry(message, str(error), self._backoff_s(self._doubt.failures))
        return None

    async def _send_or_edit(self, message: OutboxMessage, target: str, html: Markup) -> int:
        new = message.message
        content = Content(text=add_follow_ups(html, message.follow_up), buttons=new.buttons)
        if message.message_id is None:
            silent = is_silent(self._modes, new.kind, self.quiet_hours, self._clock.now_ms(), self._timezone)
            return await self._transmission.send(target, content, message.reply_to_message_id, is_silent=silent)
        try:
            await self._transmission.edit(target, message.message_id, content)
        except MaybeSent as error:  # an edit can be repeated
            raise NotSent(str(error)) from error
        return message.message_id

    async def _retry(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        self.record.out_of_reach(error)
        self.record.note("not sent yet", message.message.chat_id, error)
        return await self._put_off(message, error, rest_s)

    async def _keep_away(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        chat_id = message.message.chat_id
        self.record.note("flood wait", chat_id, error)
        logger.warning("Telegram tells us to leave chat {} alone for {:g} s", chat_id, rest_s)
        if message.message_id is None and rest_s > _LONG_FLOOD_S:
            self.chat_states[chat_id].flood_until_ms = self._clock.monotonic_ms() + round(1000 * rest_s)
        return await self._put_off(message, error, rest_s)

    async def _put_off(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        """Try a message again later; return how long its chat has to rest [s], not at all for a change."""
        await self._try_again(message, rest_s, error)
        return rest_s if message.message_id is None else 0.0

    async def _tell_lost(self) -> None:
        """Tell the operator what other chats did not get; each of them is told in its next message."""
        if lost := self._losses.take(but_of=self._operator):
            await self._tell_operator(render_lost(lost))

    async def _tell_operator(self, html: Markup, *, but: str = "") -> None:
        """Queue a notice for the operator; `but`: not where the notice is of that chat itself."""
        if self._operator in ("", but) or self._modes[Kind.NOTICE] is Mode.OFF:
            return
        notice = NewMessage(chat_id=self._operator, kind=Kind.NOTICE, html=html, created_ms=self._clock.now_ms())
        await self._store.outbox.enqueue([notice])
        self.wake()

    async def _resend_to_person(self, message: OutboxMessage, error: str) -> float:
        """Queue a message in doubt once more where a person sees the mark; return how long the chat has to rest [s].

        A doubled alert in an auto-trading channel is a doubled trade.
        """
        chat_id = message.message.chat_id
        if message.may_repeat or not is_person(chat_id):
            logger.warning("message {} may have reached chat {} ({}); it is not repeated", message.id, chat_id, error)
            self._losses.count(chat_id, DeliveryState.UNCERTAIN)
            return 0.0
        logger.warning(
            "message {} may have reached chat {} ({}); it goes once more, marked", message.id, chat_id, error
        )
        await self._try_again(message, _RESEND_AFTER_S, error)
        return _RESEND_AFTER_S

    async def _try_again(self, message: OutboxMessage, rest_s: float, error: str) -> None:
        async with self._store.times:
            await self._store.outbox.mark_retry(message.id, self._clock.now_ms() + round(1000 * rest_s), error)

    def _backoff_s(self, failures_before: int) -> float:
        return backoff(failures_before, first=_FIRST_BACKOFF_S, longest=_LONGEST_BACKOFF_S, draw=self._draw())
