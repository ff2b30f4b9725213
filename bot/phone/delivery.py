"""From the outbox to the chats: what goes next, how often it is tried, and what is said about what went wrong.

The tick commits its messages to the store and calls `wake`; everything else happens here, in tasks of their own, so
nothing about Telegram can delay a tick. The store orders the messages of a chat, and keeps a chat silent while one of
them backs off. Each chat is served by at most one task at a time, one message per task, so an exit that is queued while
entries wait still goes first.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape

import numpy as np
from loguru import logger

from bot.clock import Clock
from bot.phone.messages import add_follow_ups, mark_expired, mark_late, mark_may_repeat, mark_sent
from bot.phone.pacing import LONGEST_SPAN_MS, Pacer
from bot.phone.sender import (
    BadText,
    Blocked,
    Content,
    MaybeSent,
    Migrated,
    NotSent,
    Rejected,
    Sender,
    SendError,
    is_person,
    plain_text,
)
from bot.phone.sounds import Mode, QuietHours, is_silent, parse_quiet_hours
from bot.status import Incident
from storage.outbox import DeliveryState, Kind, NewMessage, OutboxMessage
from storage.sqlite import Store

_LOOK_AGAIN_S = 5.0  #: finds what a bot that stopped had left to be tried later
_LONGEST_BACKOFF_S = 30.0
_RESEND_AFTER_S = 2.0  #: lets a hiccup pass before the one repetition there is
_EXPIRY_FACTOR = 4  #: an entry this many times older than "late" is not sent
_MIGRATED = "migrated_chats"  #: old id -> new id, in the store's state
_QUIET_HOURS = "quiet_hours"  #: what /quiet said, "" for none, in the store's state
_ALL_LOUD = dict.fromkeys(Kind, Mode.ON) | {Kind.NOTICE: Mode.SILENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the decision to Telegram's word that it has the alert."""

    count: int
    p50_ms: float
    p95_ms: float


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
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._max_age_s = max_signal_age_s
        self._current_price = current_price
        self._modes = modes
        self._timezone = timezone
        self._pacer = Pacer()
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._busy: set[str] = set()
        self._migrated: dict[str, str] = {}
        self._is_in_doubt = False
        self._probing = asyncio.Lock()
        self._failed_probes = 0
        self._latencies_ms: deque[int] = deque(maxlen=1000)
        self._incidents: dict[str, Incident] = {}
        self.quiet_hours = quiet_hours
        self.trouble = ""  #: why messages do not get out now, for /health

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._awake.set()

    async def run(self) -> None:
        """Send until cancelled; a request under way then is called uncertain when the store is opened next."""
        self._migrated = await self._store.get_state(_MIGRATED) or {}
        if (quiet := await self._store.get_state(_QUIET_HOURS)) is not None:
            self.quiet_hours = parse_quiet_hours(quiet) if quiet else None
        await self._recall_pace()
        for message in await self._store.uncertain_messages():
            await self._resend_to_person(message, message.error)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_again(), name="look at the outbox again")
            while True:
                self._awake.clear()
                busy = frozenset(self._busy)  # as of before the look: a chat that ends meanwhile has changed its rows
                due = await self._store.due_messages(self._clock.now_ms(), limit=1)
                for message in due:
                    if (chat_id := message.message.chat_id) not in busy:
                        self._busy.add(chat_id)
                        group.create_task(self._serve(message), name=f"deliver to {chat_id}")
                if not self._busy and not self._awake.is_set():
                    self._idle.set()
                await self._awake.wait()

    async def drain(self, seconds: float) -> int:
        """Wait, at most `seconds`, until nothing is left to be sent, and return how many messages are."""
        self._idle.clear()
        self.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        counts = await self._store.outbox_counts()
        return counts[DeliveryState.PENDING] + counts[DeliveryState.SENDING]

    async def reply(self, chat_id: str, content: Content, reply_to_message_id: int | None = None) -> None:
        """Answer a command: past the outbox, at a pace that leaves room for alerts."""
        await self._wait_for_turn(chat_id)
        try:
            await self._send(chat_id, content, reply_to_message_id, is_silent=False)
        except SendError as error:
            logger.warning("an answer to chat {} was lost: {}", chat_id, error)
            if isinstance(error, Rejected) and content.picture is not None:  # groups may forbid pictures
                words = f"{content.html}\nThe picture was refused: {escape(str(error))}"
                await self.reply(chat_id, replace(content, html=words, picture=None), reply_to_message_id)
        else:
            if chat_id in await self._store.blocked_chats():
                await self._store.unblock_chat(chat_id)

    async def turn_page(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change an answer in place."""
        await self._wait_for_turn(chat_id)
        try:
            await self._edit(chat_id, message_id, content)
        except SendError as error:
            logger.warning("an answer in chat {} could not be changed: {}", chat_id, error)

    async def set_quiet_hours(self, quiet_hours: QuietHours | None) -> None:
        """Let nothing ring in these hours, from now on and after a restart."""
        await self._store.set_state(_QUIET_HOURS, str(quiet_hours) if quiet_hours else "")
        self.quiet_hours = quiet_hours

    def incidents(self) -> tuple[Incident, ...]:
        """Return what Telegram has done to our messages since the start, the latest first."""
        return tuple(sorted(self._incidents.values(), key=lambda incident: -incident.last_ms))

    def latency(self) -> Latency | None:
        """Return the latency of the last thousand alerts, None before the first."""
        if not self._latencies_ms:
            return None
        p50_ms, p95_ms = np.percentile(self._latencies_ms, (50, 95))
        return Latency(count=len(self._latencies_ms), p50_ms=float(p50_ms), p95_ms=float(p95_ms))

    async def _recall_pace(self) -> None:
        """Count what the last run sent: a restart does not make Telegram forget."""
        now_ms = self._clock.now_ms()
        recent = await self._store.recent_sends(now_ms - LONGEST_SPAN_MS, now_ms)
        for chat_id, sent_ms in recent:
            self._pacer.add(self.target(chat_id), sent_ms)
        for chat_id in {chat_id for chat_id, _ in recent}:  # answers and edits of the last seconds nobody wrote down
            self._pacer.use_up_burst(self.target(chat_id), now_ms)

    async def _wait_for_turn(self, chat_id: str) -> None:
        while wait_ms := self._pacer.wait_ms(chat_id, self._clock.now_ms(), is_answer=True):
            await self._clock.sleep(wait_ms / 1000)
        self._pacer.add(chat_id, self._clock.now_ms())

    async def _look_again(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_AGAIN_S)
            self.wake()

    async def _serve(self, message: OutboxMessage) -> None:
        """Handle the first message of a chat, then rest for as long as the chat has to."""
        chat_id = message.message.chat_id
        try:
            target, now_ms = self.target(chat_id), self._clock.now_ms()
            if self._is_expired(message, now_ms):
                await self._store.mark_expired(message.id)
            elif wait_ms := self._pacer.wait_ms(target, now_ms):
                await self._clock.sleep(wait_ms / 1000)
            else:
                self._pacer.add(target, now_ms)
                rest_s = await self._attempt(message, target)
                await self._clock.sleep(rest_s)
        finally:
            self._busy.discard(chat_id)
            self.wake()

    def _is_expired(self, message: OutboxMessage, now_ms: int) -> bool:
        age_s = (now_ms - message.message.created_ms) / 1000
        is_new_entry = message.message.kind is Kind.ENTRY and message.message_id is None
        return is_new_entry and age_s > _EXPIRY_FACTOR * self._max_age_s

    def target(self, chat_id: str) -> str:
        """Return where what is addressed to a chat goes: groups move."""
        chat, colon, topic = chat_id.partition(":")
        return self._migrated.get(chat, chat) + colon + topic

    async def _attempt(self, message: OutboxMessage, target: str) -> float:
        """Send or edit once and record how it went; return how long the chat has to rest [s]."""
        chat_id, stands_as = message.message.chat_id, message.message_id
        try:
            await self._settle_doubt()
        except Exception as error:  # noqa: BLE001 - as below: the loop outlives what nobody expected of the sender
            return await self._retry(message, str(error), _backoff_s(self._failed_probes))
        html = self._text(message)
        await self._store.mark_sending(message.id)
        try:
            message_id = await self._send_or_edit(message, target, html)
        except NotSent as error:
            if error.retry_after_s is None:
                return await self._retry(message, str(error), _backoff_s(message.attempts))
            return await self._keep_away(message, str(error), error.retry_after_s)
        except Blocked as error:
            self._within_reach()
            self._note("blocked", chat_id, str(error))
            logger.error("chat {} refuses the bot ({}): nothing more is sent to it", chat_id, error)
            await self._store.block_chat(chat_id, str(error))
        except Migrated as error:
            self._note("moved", chat_id, str(error))
            logger.warning("chat {}: {}; put it in TELEGRAM_CHAT_ID", chat_id, error)
            old_chat = chat_id.partition(":")[0]
            self._migrated[old_chat] = error.new_chat_id
            await self._store.set_state(_MIGRATED, self._migrated)
            if stands_as is None:
                await self._store.mark_retry(message.id, self._clock.now_ms(), str(error))
            await self._store.forget_messages(old_chat)
        except (BadText, Rejected) as error:
            self._within_reach()
            self._note("rejected", chat_id, str(error))
            logger.error("chat {}: Telegram rejects message {} ({}); it is given up", chat_id, message.id, error)
            if stands_as is None:
                await self._store.mark_failed(message.id, str(error))
            else:  # what was sent stands as it was
                await self._store.mark_sent(message.id, stands_as, self._clock.now_ms(), revision=message.revision)
        except Exception as error:  # noqa: BLE001 - MaybeSent, or what nobody expected: the loop outlives it, in doubt
            if not isinstance(error, MaybeSent):
                logger.exception("message {} failed in a way nobody expected", message.id)
            self._is_in_doubt = True
            self._note("uncertain", chat_id, str(error))
            await self._store.mark_uncertain(message.id, str(error))
            return await self._resend_to_person(message, str(error))
        else:
            sent_ms = self._clock.now_ms()
            self._note_success(message, sent_ms)
            told_expired = stands_as is None and message.expired_untold > 0
            await self._store.mark_sent(
                message.id, message_id, sent_ms, told_expired=told_expired, revision=message.revision, html=html
            )
        return 0.0

    async def _settle_doubt(self) -> None:
        """Where an answer was lost, see that Telegram answers at all before more messages are put in doubt."""
        async with self._probing:
            if self._is_in_doubt:
                self._failed_probes += 1
                await self._sender.probe()
                self._is_in_doubt, self._failed_probes = False, 0

    async def _send_or_edit(self, message: OutboxMessage, target: str, html: str) -> int:
        new = message.message
        content = Content(html=add_follow_ups(html, message.follow_up), buttons=new.buttons)
        if message.message_id is None:
            silent = is_silent(self._modes, new.kind, self.quiet_hours, self._clock.now_ms(), self._timezone)
            return await self._send(target, content, message.reply_to_message_id, is_silent=silent)
        try:
            await self._edit(target, message.message_id, content)
        except MaybeSent as error:  # an edit can be repeated
            raise NotSent(str(error)) from error
        return message.message_id

    async def _send(self, chat_id: str, content: Content, reply_to_message_id: int | None, *, is_silent: bool) -> int:
        """Send, in plain text where Telegram cannot read the HTML."""
        try:
            return await self._sender.send(
                chat_id, content, reply_to_message_id=reply_to_message_id, is_silent=is_silent
            )
        except BadText as error:
            plain = self._in_plain_text(chat_id, content, error)
            return await self._sender.send(chat_id, plain, reply_to_message_id=reply_to_message_id, is_silent=is_silent)

    async def _edit(self, chat_id: str, message_id: int, content: Content) -> None:
        try:
            await self._sender.edit(chat_id, message_id, content)
        except BadText as error:
            await self._sender.edit(chat_id, message_id, self._in_plain_text(chat_id, content, error))

    def _in_plain_text(self, chat_id: str, content: Content, error: BadText) -> Content:
        self._note("sent as plain text", chat_id, str(error))
        logger.error("Telegram cannot read this HTML ({}), so it goes as plain text: {}", error, content.html)
        self._pacer.add(chat_id, self._clock.now_ms())
        return replace(content, html=escape(plain_text(content.html)))

    def _text(self, message: OutboxMessage) -> str:
        """Return the text with what is only known as it leaves; what stands in the chat has that already."""
        new = message.message
        if message.message_id is not None:
            return new.html
        age_ms = self._clock.now_ms() - new.created_ms
        html = mark_sent(new.html, age_ms)
        if new.kind is Kind.ENTRY and age_ms > 1000 * self._max_age_s:
            html = mark_late(html, age_ms / 1000, self._drift_percent(new))
        if message.may_repeat:
            html = mark_may_repeat(html)
        return mark_expired(html, message.expired_untold) if message.expired_untold else html

    def _drift_percent(self, entry: NewMessage) -> float | None:
        if entry.signal_id is None or entry.entry_price is None:
            return None
        price = self._current_price(entry.signal_id)
        return None if price is None else 100 * (price / entry.entry_price - 1)

    async def _retry(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        if not self.trouble:
            logger.warning("messages do not get out ({}); they are tried again until they do", error)
        self.trouble = error
        self._note("not sent yet", message.message.chat_id, error)
        await self._store.mark_retry(message.id, self._clock.now_ms() + round(rest_s * 1000), error)
        return rest_s

    async def _keep_away(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        self._note("flood wait", message.message.chat_id, error)
        logger.warning("Telegram tells us to leave chat {} alone for {:g} s", message.message.chat_id, rest_s)
        await self._store.mark_retry(message.id, self._clock.now_ms() + round(rest_s * 1000), error)
        return rest_s

    async def _resend_to_person(self, message: OutboxMessage, error: str) -> float:
        """Queue a message in doubt once more where a person sees the mark; return how long the chat has to rest [s].

        A doubled alert in an auto-trading channel is a doubled trade.
        """
        chat_id = message.message.chat_id
        if message.may_repeat or not is_person(chat_id):
            logger.warning("message {} may have reached chat {} ({}); it is not repeated", message.id, chat_id, error)
            return 0.0
        logger.warning(
            "message {} may have reached chat {} ({}); it goes once more, marked", message.id, chat_id, error
        )
        await self._store.mark_retry(message.id, self._clock.now_ms() + round(1000 * _RESEND_AFTER_S), error)
        return _RESEND_AFTER_S

    def _note(self, what: str, chat_id: str, words: str) -> None:
        count = self._incidents[what].count + 1 if what in self._incidents else 1
        self._incidents[what] = Incident(
            what=what, count=count, last_ms=self._clock.now_ms(), words=f"chat {chat_id}: {words}"
        )

    def _within_reach(self) -> None:
        if self.trouble:
            logger.info("messages get out again")
        self.trouble = ""

    def _note_success(self, message: OutboxMessage, sent_ms: int) -> None:
        self._within_reach()
        if message.message.kind is Kind.ENTRY and message.message_id is None:
            self._latencies_ms.append(sent_ms - message.message.created_ms)


def _backoff_s(attempts: int) -> float:
    return min(2.0 ** min(attempts, 10), _LONGEST_BACKOFF_S)
