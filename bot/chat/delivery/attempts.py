"""One attempt at a message: sent or edited once, what came of it stored, and how long its chat then rests."""

from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from bot.chat.delivery.chat_states import ChatStates, hold_for_s
from bot.chat.delivery.doubt import Doubt
from bot.chat.delivery.losses import Losses
from bot.chat.delivery.record import DeliveryRecord
from bot.chat.delivery.sender import BadText, Blocked, Content, MaybeSent, Migrated, NotSent, Rejected, SendError
from bot.chat.delivery.sounds import Sounds
from bot.chat.delivery.stamps import Stamps
from bot.chat.delivery.transmission import Transmission
from bot.chat.delivery.turns import Turns
from bot.chat.texts.marks import add_follow_ups
from bot.chat.texts.markup import Markup
from bot.clock import Clock
from bot.config.chat_ids import is_person
from storage.messages import DeliveryState, Kind, OutboxMessage
from storage.store import Store

_LONG_FLOOD_S = 60.0  #: from here on a flood wait is a fault: that chat gets no alert in time
_RESEND_AFTER_S = 2.0  #: lets a hiccup pass before the one repetition there is


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    message: OutboxMessage
    target: str  #: the chat it goes to: groups move
    html: Markup
    signs: int  #: that the chat may take messages again, before the attempt


class Attempts:
    """Tries messages; each rest is in seconds, 0 for none."""

    def __init__(
        self,
        store: Store,
        transmission: Transmission,
        clock: Clock,
        *,
        turns: Turns,
        doubt: Doubt,
        stamps: Stamps,
        sounds: Sounds,
        chat_states: ChatStates,
        record: DeliveryRecord,
        losses: Losses,
        backoff_s: Callable[[int], float],
    ) -> None:
        self._store = store
        self._transmission = transmission
        self._clock = clock
        self._turns = turns
        self._doubt = doubt
        self._stamps = stamps
        self._sounds = sounds
        self._chat_states = chat_states
        self._record = record
        self._losses = losses
        self._backoff_s = backoff_s

    async def settle_doubt(self, message: OutboxMessage) -> float | None:
        """Return None where Telegram answers and the message may go, else how long the chat has to rest [s]."""
        try:
            await self._doubt.settle()
        except Exception as error:  # noqa: BLE001 - an unexpected error of the sender does not end the loop
            return await self._retry(message, str(error), self._backoff_s(self._doubt.failures))
        return None

    async def attempt(self, message: OutboxMessage, target: str) -> float:
        """Send or edit once and record how it went; return how long the chat has to rest [s]."""
        state = self._chat_states[message.message.chat_id]
        html = self._stamps.complete(message, has_lost_topic=state.has_lost_topic)
        attempt = _Attempt(message=message, target=target, html=html, signs=state.signs)
        await self._store.outbox.mark_sending(message.id, self._turns.count(target))
        try:
            message_id = await self._send_or_edit(attempt)
        except (NotSent, Blocked, Migrated, BadText, Rejected) as error:
            return await self._after_refusal(attempt, error)
        except Exception as error:  # noqa: BLE001 - MaybeSent, or unexpected: the loop goes on, in doubt
            return await self._after_doubt(message, error)
        await self._after_success(attempt, message_id)
        return 0.0

    async def resend_to_person(self, message: OutboxMessage, error: str) -> float:
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
        await self._mark_retry(message, _RESEND_AFTER_S, error)
        return _RESEND_AFTER_S

    async def _send_or_edit(self, attempt: _Attempt) -> int:
        message, new = attempt.message, attempt.message.message
        content = Content(text=add_follow_ups(attempt.html, message.follow_up), buttons=new.buttons)
        if message.message_id is None:
            silent, reply_to = self._sounds.is_silent(new.kind), message.reply_to_message_id
            return await self._transmission.send(attempt.target, content, reply_to, is_silent=silent)
        try:
            await self._transmission.edit(attempt.target, message.message_id, content)
        except MaybeSent as error:  # an edit can be repeated
            raise NotSent(str(error)) from error
        return message.message_id

    async def _after_refusal(self, attempt: _Attempt, error: SendError) -> float:
        message = attempt.message
        match error:
            case NotSent(retry_after_s=None):
                return await self._retry(message, str(error), self._backoff_s(message.attempts))
            case NotSent(retry_after_s=float() | int() as wait_s):
                return await self._keep_away(message, str(error), wait_s)
            case Blocked():
                return await self._after_block(attempt, error)
            case Migrated():
                await self._after_move(message, error)
            case _:
                await self._give_up(message, str(error))
        return 0.0

    async def _after_block(self, attempt: _Attempt, error: Blocked) -> float:
        message, chat_id = attempt.message, attempt.message.message.chat_id
        self._record.within_reach()
        self._record.note("refused", chat_id, str(error))
        if message.message_id is not None:  # the right to change may be lacking where the right to write is not
            return await self._put_off(message, str(error), hold_for_s(message.attempts))
        await self._mark_retry(message, 0.0, str(error))
        await self._chat_states.hold(chat_id, error, attempt.signs)
        return 0.0

    async def _after_move(self, message: OutboxMessage, error: Migrated) -> None:
        chat_id = message.message.chat_id
        self._record.note("moved", chat_id, str(error))
        logger.warning("chat {}: {}; put it in TELEGRAM_CHAT_ID", chat_id, error)
        if message.message_id is None:
            await self._mark_retry(message, 0.0, str(error))
        await self._chat_states.migrate(chat_id.partition(":")[0], error.new_chat_id)

    async def _give_up(self, message: OutboxMessage, error: str) -> None:
        chat_id = message.message.chat_id
        self._record.within_reach()
        self._record.note("rejected", chat_id, error)
        logger.error("chat {}: Telegram rejects message {} ({}); it is given up", chat_id, message.id, error)
        if message.message_id is not None:  # what was sent stays as it was
            await self._store.outbox.mark_sent(
                message.id, message.message_id, self._clock.now_ms(), revision=message.revision
            )
            return
        state = self._chat_states[chat_id]
        state.rejected, state.rejection = state.rejected + 1, error
        await self._store.outbox.mark_failed(message.id, error)
        self._losses.count(chat_id, DeliveryState.FAILED)

    async def _after_doubt(self, message: OutboxMessage, error: Exception) -> float:
        if not isinstance(error, MaybeSent):
            logger.exception("message {} failed unexpectedly", message.id)
        self._doubt.begin()
        self._record.note("uncertain", message.message.chat_id, str(error))
        await self._store.outbox.mark_uncertain(message.id, str(error))
        return await self.resend_to_person(message, str(error))

    async def _after_success(self, attempt: _Attempt, message_id: int) -> None:
        message, sent_ms = attempt.message, self._clock.now_ms()
        is_new = message.message_id is None
        self._record.within_reach()
        if message.message.kind is Kind.ENTRY and is_new:
            self._record.note_latency(message.message.created_ms)
        told = message.lost.ids if is_new else ()
        await self._store.outbox.mark_sent(
            message.id, message_id, sent_ms, told=told, revision=message.revision, html=attempt.html
        )
        if is_new:
            await self._chat_states.note_taking(message.message.chat_id)
        if (old_chat := attempt.target.partition(":")[0]) in self._chat_states.migrated:  # since it left
            await self._store.chats.forget_messages(old_chat)

    async def _retry(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        self._record.out_of_reach(error)
        self._record.note("not sent yet", message.message.chat_id, error)
        return await self._put_off(message, error, rest_s)

    async def _keep_away(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        chat_id = message.message.chat_id
        self._record.note("flood wait", chat_id, error)
        logger.warning("Telegram asks to leave chat {} alone for {:g} s", chat_id, rest_s)
        if message.message_id is None and rest_s > _LONG_FLOOD_S:
            self._chat_states[chat_id].flood_until_ms = self._clock.monotonic_ms() + round(1000 * rest_s)
        return await self._put_off(message, error, rest_s)

    async def _put_off(self, message: OutboxMessage, error: str, rest_s: float) -> float:
        """Try a message again later; return how long its chat has to rest [s], not at all for a change."""
        await self._mark_retry(message, rest_s, error)
        return rest_s if message.message_id is None else 0.0

    async def _mark_retry(self, message: OutboxMessage, rest_s: float, error: str) -> None:
        async with self._store.times:
            await self._store.outbox.mark_retry(message.id, self._clock.now_ms() + round(1000 * rest_s), error)
