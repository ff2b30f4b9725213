"""The outbox: messages on their way to their chats, from the transaction that queues them to the last state.

A message is queued in the transaction of the signal or outcome that it reports, and waits as PENDING. SENDING is stored
before its request leaves: where the bot is stopped before the reply is stored, the message is UNCERTAIN after the
restart. SENT has Telegram's id, under which it is edited and replied to; a sent message that is changed is PENDING
again, to be edited in place. FAILED was refused for good, EXPIRED was given up unsent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from storage.bot_state import put_values
from storage.codec import from_plain, to_json, to_plain
from storage.connection import Statement
from storage.database import Database
from storage.messages import Button, DeliveryState, FollowUp, Kind, Lost, NewMessage, OutboxMessage, Priority
from storage.rows import Row

_INSERT = """
    INSERT INTO outbox
        (chat_id, kind, priority, signal_id, html, created_ms, entry_price, buttons, edit_key)
    SELECT :chat_id, :kind, :priority, :signal_id, :html, :created_ms, :entry_price, :buttons, :edit_key
    WHERE :edit_key = '' OR NOT EXISTS (SELECT 1 FROM outbox WHERE edit_key = :edit_key AND chat_id = :chat_id)
"""
# A sent message becomes pending again, to be edited, where its chat is still ours; an unsent one is just changed.
_CHANGE = """
    revision = revision + 1, attempts = iif(state = 'sent', 0, attempts),
    state = iif(state = 'sent' AND message_id IS NOT NULL AND chat_id NOT IN (SELECT chat_id FROM former_chats),
        'pending', state)
"""
_EDIT = (
    f"UPDATE outbox SET html = :html, buttons = :buttons, {_CHANGE}"  # noqa: S608 - SQL of ours
    " WHERE edit_key = :edit_key AND chat_id = :chat_id"
)
_FOLLOW_UP = (
    f"UPDATE outbox SET follow_up = follow_up || char(10) || :html, buttons = coalesce(:buttons, buttons), {_CHANGE}"  # noqa: S608 - SQL of ours
    " WHERE signal_id = :signal_id AND kind = 'entry'"
)
_LOST = """(
    SELECT json_group_array(json_array(id, state)) FROM outbox
    WHERE chat_id = due.chat_id AND state IN ('expired', 'uncertain', 'failed') AND NOT is_told
)"""
# A chat with a message backing off is silent until then, so that its order holds; a reply waits for what it replies to;
# what only changes a message comes after all that is new, and while it backs off it holds up other changes only.
_DUE = f"""
    SELECT *, {_LOST} AS lost
    FROM (
        SELECT *, row_number() OVER (PARTITION BY chat_id ORDER BY message_id IS NOT NULL, priority, id) AS place
        FROM messages
        WHERE state = 'pending'
            AND (coalesce(alert_state, '') NOT IN ('pending', 'sending') OR reply_to_message_id IS NOT NULL)
            AND NOT EXISTS (
                SELECT 1 FROM outbox AS waiting WHERE waiting.chat_id = messages.chat_id AND waiting.state = 'pending'
                    AND waiting.not_before_ms > :now_ms
                    AND (waiting.message_id IS NULL OR messages.message_id IS NOT NULL)
            )
    ) AS due
    WHERE place <= :limit ORDER BY message_id IS NOT NULL, priority, id
"""  # noqa: S608 - SQL of ours
_MARK_SENDING = """
    UPDATE outbox SET state = 'sending', attempts = attempts + 1, may_repeat = may_repeat OR state = 'uncertain'
    WHERE id = :id
"""
_MARK_SENT = """
    UPDATE outbox SET error = '', message_id = :message_id, sent_ms = coalesce(sent_ms, :sent_ms),
        html = iif(edit_key = '', coalesce(:html, html), html),
        state = iif(revision = coalesce(:revision, revision), 'sent', 'pending')
    WHERE id = :id
"""
_MARK_TOLD = "UPDATE outbox SET is_told = 1 WHERE id IN (SELECT value FROM json_each(:told))"
_MARK_RETRY = """
    UPDATE outbox SET may_repeat = may_repeat OR state = 'uncertain', state = 'pending', not_before_ms = :not_before_ms,
        error = :error
    WHERE id = :id
"""
_MARK = "UPDATE outbox SET state = :state, error = coalesce(:error, error) WHERE id = :id"
_TOO_OLD = """
    state = 'pending' AND chat_id NOT IN (SELECT value FROM json_each(:but_of))
        AND created_ms < iif(kind = 'entry' AND message_id IS NULL, :entries_before_ms, :others_before_ms)
"""
_EXPIRING = f"SELECT chat_id, message_id FROM outbox WHERE {_TOO_OLD}"  # noqa: S608 - SQL of ours
_EXPIRE = f"UPDATE outbox SET state = iif(message_id IS NULL, 'expired', 'sent') WHERE {_TOO_OLD}"  # noqa: S608 - SQL of ours
_NOT_SENT_YET = "edit_key = :edit_key AND state = 'pending' AND message_id IS NULL"
_WAITING = f"SELECT 1 FROM outbox WHERE {_NOT_SENT_YET}"  # noqa: S608 - SQL of ours
_WITHDRAW = (
    "UPDATE outbox SET state = 'expired', is_told = 1, error = 'over before it could be sent'"  # noqa: S608 - SQL of ours
    f" WHERE {_NOT_SENT_YET}"
)
_SHIFT = """
    UPDATE outbox SET created_ms = created_ms + :step_ms,
        not_before_ms = iif(not_before_ms = 0, 0, not_before_ms + :step_ms)
    WHERE state IN ('pending', 'sending', 'uncertain')
"""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NOTHING_LOST = Lost()

Queued = NewMessage | FollowUp  #: what can be put into the outbox

#: mark as uncertain what was being sent when the last bot stopped
DOUBT_SENDING: Statement = (
    """
    UPDATE outbox SET state = iif(message_id IS NULL, 'uncertain', 'pending'),
        error = 'the bot stopped while it was being sent'
    WHERE state = 'sending'
    """,
    [{}],
)


def message_to_row(message: NewMessage) -> dict[str, Any]:
    """Return the row of `outbox` for a message to be queued."""
    return {**to_plain(message), "buttons": to_json(message.buttons), "priority": Priority[message.kind.name]}


def message_from_row(row: Row, lost: Lost = _NOTHING_LOST) -> OutboxMessage:
    """Return the message of a row of `outbox` with `reply_to_message_id`."""
    return OutboxMessage(
        id=row["id"],
        message=NewMessage(
            chat_id=row["chat_id"],
            kind=Kind(row["kind"]),
            html=row["html"],
            created_ms=row["created_ms"],
            signal_id=row["signal_id"],
            entry_price=row["entry_price"],
            buttons=from_plain(tuple[Button, ...], orjson.loads(row["buttons"])),
            edit_key=row["edit_key"],
        ),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        not_before_ms=row["not_before_ms"],
        message_id=row["message_id"],
        reply_to_message_id=row["reply_to_message_id"],
        error=row["error"],
        revision=row["revision"],
        may_repeat=bool(row["may_repeat"]),
        follow_up=row["follow_up"],
        lost=lost,
    )


def queue(messages: Iterable[Queued]) -> tuple[Statement, ...]:
    """Return the statements that edit messages of the same key, queue the others, and follow alerts up."""
    messages = list(messages)
    rows = [message_to_row(message) for message in messages if isinstance(message, NewMessage)]
    edits = [row for row in rows if row["edit_key"]]
    follow_ups = [_follow_up_to_row(message) for message in messages if isinstance(message, FollowUp)]
    return (_EDIT, edits), (_INSERT, rows), (_FOLLOW_UP, follow_ups)


def shift_outbox(step_ms: int) -> Statement:
    """Return the statement that moves by `step_ms` what waits to be sent."""
    return _SHIFT, [{"step_ms": step_ms}]


class Outbox:
    """Reads and writes the messages on their way."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, messages: Iterable[Queued]) -> None:
        """Queue messages that belong to no signal's transaction."""
        await self._database.write(*queue(messages))

    async def due(self, now_ms: int, limit: int = 10) -> list[OutboxMessage]:
        """Return the messages that may go now, by priority, then oldest first, at most `limit` of each chat.

        A chat with a message that waits for `not_before_ms` is left out, and a reply whose alert is yet to go.
        """
        rows = await self._database.read(_DUE, {"now_ms": now_ms, "limit": limit})
        return [message_from_row(row, _lost_from_json(row["lost"])) for row in rows]

    async def mark_sending(self, outbox_id: int, state: Mapping[str, Any] = _NOTHING) -> None:
        """Store that a request is about to leave; from then on a lost reply leaves doubt.

        `state`: JSON values by key that are kept in the same transaction.
        """
        await self._database.write((_MARK_SENDING, [{"id": outbox_id}]), put_values(state))

    async def mark_sent(
        self,
        outbox_id: int,
        message_id: int,
        sent_ms: int,
        *,
        told: Iterable[int] = (),
        revision: int | None = None,
        html: str | None = None,
    ) -> None:
        """Store that Telegram took it; `told`: its text named these, which the chat did not get.

        Where its text has been changed since `revision` it is pending again: the chat's message is to be edited.
        `html` is what was sent, where that is more than what was queued.
        """
        sent = {"id": outbox_id, "message_id": message_id, "sent_ms": sent_ms, "html": html, "revision": revision}
        ids = list(told)
        await self._database.write((_MARK_SENT, [sent]), (_MARK_TOLD, [{"told": to_json(ids)}] if ids else []))

    async def mark_retry(self, outbox_id: int, not_before_ms: int, error: str) -> None:
        """Send it, and whatever follows it in its chat, not before then; one that was uncertain may repeat."""
        retry = {"id": outbox_id, "not_before_ms": not_before_ms, "error": error}
        await self._database.write((_MARK_RETRY, [retry]))

    async def mark_uncertain(self, outbox_id: int, error: str) -> None:
        """Store that the request left and its reply was lost."""
        await self._mark(outbox_id, DeliveryState.UNCERTAIN, error)

    async def mark_failed(self, outbox_id: int, error: str) -> None:
        """Give it up."""
        await self._mark(outbox_id, DeliveryState.FAILED, error)

    async def mark_expired(self, outbox_id: int) -> None:
        """Give it up as too old to be worth sending."""
        await self._mark(outbox_id, DeliveryState.EXPIRED)

    async def expire(self, entries_before_ms: int, others_before_ms: int, but_of: Iterable[str]) -> list[str]:
        """Give up what was to be sent for the first time and is older than that, `but_of` these chats.

        Changes of messages of before `others_before_ms` are given up too: those stay as they were sent. Return the
        chat of each message that expired.
        """
        limits = {
            "entries_before_ms": entries_before_ms,
            "others_before_ms": others_before_ms,
            "but_of": to_json(list(but_of)),
        }
        rows = await self._database.read(_EXPIRING, limits)
        if rows:
            await self._database.write((_EXPIRE, [limits]))
        return [row["chat_id"] for row in rows if row["message_id"] is None]

    async def withdraw(self, edit_key: str) -> bool:
        """Give up what was not sent yet under this key, and return whether there was any."""
        waiting = await self._database.read(_WAITING, {"edit_key": edit_key})
        if waiting:
            await self._database.write((_WITHDRAW, [{"edit_key": edit_key}]))
        return bool(waiting)

    async def shift(self, step_ms: int) -> None:
        """Move by `step_ms` what waits to be sent: the clock was set while no bot was running."""
        await self._database.write(shift_outbox(step_ms))

    async def uncertain(self) -> list[OutboxMessage]:
        """Return the messages whose reply was lost and that have not been sent a second time, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM messages WHERE state = 'uncertain' AND NOT may_repeat ORDER BY id"
        )
        return [message_from_row(row) for row in rows]

    async def counts(self) -> dict[DeliveryState, int]:
        """Return how many messages are in each state, all states named."""
        rows = await self._database.read("SELECT state, count(*) FROM outbox GROUP BY state")
        return dict.fromkeys(DeliveryState, 0) | {DeliveryState(state): count for state, count in rows}

    async def latest_unsent_ms(self) -> int:
        """Return when the latest message was queued that has not arrived for certain [epoch ms], 0 for none."""
        unsent = "SELECT max(created_ms) FROM outbox WHERE state IN ('pending', 'sending', 'uncertain')"
        ((latest_ms,),) = await self._database.read(unsent)
        return int(latest_ms or 0)

    async def is_queued(self, chat_id: str, message_id: int) -> bool:
        """Return whether a message of Telegram's number in a chat came from the outbox, and is no answer."""
        return bool(
            await self._database.read(
                "SELECT 1 FROM outbox WHERE message_id = :message_id"
                " AND (chat_id = :chat_id OR chat_id LIKE :chat_id || ':%' OR chat_id LIKE '@%')",
                {"chat_id": chat_id, "message_id": message_id},
            )
        )

    async def _mark(self, outbox_id: int, state: DeliveryState, error: str | None = None) -> None:
        await self._database.write((_MARK, [{"id": outbox_id, "state": state, "error": error}]))


def _follow_up_to_row(follow_up: FollowUp) -> dict[str, Any]:
    """Return what changes a row of `outbox`."""
    buttons = None if follow_up.buttons is None else to_json(follow_up.buttons)
    return {"signal_id": follow_up.signal_id, "html": follow_up.html, "buttons": buttons}


def _lost_from_json(text: str) -> Lost:
    rows = orjson.loads(text)
    counts = Counter(state for _, state in rows)
    return Lost(
        expired=counts["expired"],
        uncertain=counts["uncertain"],
        failed=counts["failed"],
        ids=tuple(outbox_id for outbox_id, _ in rows),
    )
