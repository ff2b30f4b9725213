"""The truth on disk: one writer whose transactions are whole or absent, whatever stops them."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiosqlite

from scoring.signals import Limits, NearMiss, OpenSignal, Outcome, Signal
from storage.codec import from_plain, to_json
from storage.errors import StorageError, explained
from storage.history import History, connect, open_reader
from storage.outbox import NewMessage
from storage.rows import (
    message_to_row,
    near_miss_to_row,
    open_signal_from_row,
    open_signal_to_row,
    outcome_to_row,
    signal_to_row,
)
from storage.schema import migrate

Statement = tuple[str, Sequence[Mapping[str, Any]]]  #: SQL and the rows to run it with

_LIMITS = "limits"  #: their key in the table `state`

_INSERT_SIGNAL = """
    INSERT INTO signals (id, decided_ms, side, venue, instrument_id, coin, pair, details)
    VALUES (:id, :decided_ms, :side, :venue, :instrument_id, :coin, :pair, :details)
"""
_INSERT_OUTCOME = (
    "INSERT INTO outcomes (signal_id, exit_ms, reason, outcome) VALUES (:signal_id, :exit_ms, :reason, :outcome)"
)
_INSERT_NEAR_MISS = """
    INSERT INTO near_misses (decided_ms, venue, instrument_id, coin, details)
    VALUES (:decided_ms, :venue, :instrument_id, :coin, :details)
"""
_PUT_OPEN_SIGNAL = "INSERT OR REPLACE INTO open_signals (signal_id, tracking) VALUES (:signal_id, :tracking)"
_DELETE_OPEN_SIGNAL = "DELETE FROM open_signals WHERE signal_id = :signal_id"
_PUT_STATE = "INSERT OR REPLACE INTO state (key, value) VALUES (:key, :value)"
_INSERT_MESSAGE = """
    INSERT INTO outbox (chat_id, kind, priority, signal_id, html, created_ms, entry_price, state, error)
    SELECT :chat_id, :kind, :priority, :signal_id, :html, :created_ms, :entry_price,
        iif(reason IS NULL, 'pending', 'failed'), coalesce(reason, '')
    FROM (SELECT (SELECT reason FROM blocked_chats WHERE chat_id = :chat_id) AS reason)
"""
_MARK_SENT = """
    UPDATE outbox SET state = 'sent', error = '', message_id = :message_id, sent_ms = :sent_ms WHERE id = :id
"""
_MARK_TOLD = """
    UPDATE outbox SET is_expiry_told = 1
    WHERE :told_expired AND state = 'expired' AND chat_id = (SELECT chat_id FROM outbox WHERE id = :id)
"""
_DOUBT_SENDING = """
    UPDATE outbox SET state = 'uncertain', error = 'the bot stopped while it was being sent' WHERE state = 'sending'
"""
_PUT_BLOCKED_CHAT = "INSERT OR REPLACE INTO blocked_chats (chat_id, reason) VALUES (:chat_id, :reason)"
_FAIL_WAITING = """
    UPDATE outbox SET state = 'failed', error = :reason
    WHERE chat_id = :chat_id AND state IN ('pending', 'sending', 'uncertain')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a bot that starts goes on from."""

    limits: Limits
    open_signals: tuple[OpenSignal, ...]


class Store(History):
    """The bot's own database: everything `History` answers, and the writes.

    Every write is one transaction. One that fails, or whose caller is cancelled, leaves nothing behind, unless its
    commit was already under way: then all of it is there.
    """

    def __init__(
        self, path: Path, reader: aiosqlite.Connection, resources: AsyncExitStack, writer: aiosqlite.Connection
    ) -> None:
        super().__init__(path, reader, resources)
        self._writer = writer
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database, bring it to this code's schema, and call uncertain what was being sent.

        Raises
        ------
        StorageError
            Another bot uses it, it cannot be written, is not a database or comes from newer code.
        """
        async with AsyncExitStack() as resources:
            _lock(path, resources)
            with explained(path):
                writer = await connect(path, "rwc", resources)
                await writer.executescript(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                )
                await migrate(writer)
                await writer.execute(_DOUBT_SENDING)
            return cls(path, await open_reader(path, resources), resources.pop_all(), writer)

    async def close(self) -> None:
        """Let the write under way end, then close the connections and let go of the lock."""
        async with self._writing:
            await super().close()

    async def load(self) -> Saved:
        """Return the limits and the signals without an outcome, oldest first."""
        limits = await self.get_state(_LIMITS)
        rows = await self._read(
            "SELECT * FROM signals LEFT JOIN open_signals ON open_signals.signal_id = id"
            " WHERE id NOT IN (SELECT signal_id FROM outcomes) ORDER BY id"
        )
        return Saved(
            limits=Limits.fresh() if limits is None else from_plain(Limits, limits),
            open_signals=tuple(open_signal_from_row(row) for row in rows),
        )

    async def remember(
        self,
        signals: Sequence[Signal],
        limits: Limits,
        messages: Sequence[NewMessage],
        near_misses: Sequence[NearMiss] = (),
    ) -> None:
        """Store a tick's signals, their messages and the limits they use up."""
        await self._write(
            (_INSERT_SIGNAL, [signal_to_row(signal) for signal in signals]),
            (_INSERT_MESSAGE, [message_to_row(message) for message in messages]),
            (_INSERT_NEAR_MISS, [near_miss_to_row(near_miss) for near_miss in near_misses]),
            _put_limits(limits),
        )

    async def save_open(self, open_signals: Sequence[OpenSignal]) -> None:
        """Store how far signals have been followed."""
        if open_signals:
            await self._write((_PUT_OPEN_SIGNAL, [open_signal_to_row(open_signal) for open_signal in open_signals]))

    async def record_outcome(self, outcome: Outcome, limits: Limits, messages: Sequence[NewMessage]) -> None:
        """Store a signal's end, its messages and the limits it changes."""
        await self._write(
            (_INSERT_OUTCOME, [outcome_to_row(outcome)]),
            (_DELETE_OPEN_SIGNAL, [{"signal_id": outcome.signal_id}]),
            (_INSERT_MESSAGE, [message_to_row(message) for message in messages]),
            _put_limits(limits),
        )

    async def save_limits(self, limits: Limits) -> None:
        """Store limits that a command has changed."""
        await self._write(_put_limits(limits))

    async def set_state(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`."""
        await self._run(_PUT_STATE, key=key, value=to_json(value))

    async def enqueue(self, messages: Sequence[NewMessage]) -> None:
        """Queue messages that belong to no signal's transaction."""
        await self._write((_INSERT_MESSAGE, [message_to_row(message) for message in messages]))

    async def mark_sending(self, outbox_id: int) -> None:
        """Say that a request is about to leave; from then on a lost reply leaves doubt."""
        await self._run(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1,"
            " may_repeat = may_repeat OR state = 'uncertain' WHERE id = :id",
            id=outbox_id,
        )

    async def mark_sent(self, outbox_id: int, message_id: int, sent_ms: int, *, told_expired: bool = False) -> None:
        """Say that Telegram took it; `told_expired`: its text told the chat of the messages that expired before."""
        sent = {"id": outbox_id, "message_id": message_id, "sent_ms": sent_ms, "told_expired": told_expired}
        await self._write((_MARK_SENT, [sent]), (_MARK_TOLD, [sent]))

    async def mark_retry(self, outbox_id: int, not_before_ms: int, error: str) -> None:
        """Send it, and whatever follows it in its chat, not before then; one that was uncertain may repeat."""
        await self._run(
            "UPDATE outbox SET may_repeat = may_repeat OR state = 'uncertain', state = 'pending',"
            " not_before_ms = :not_before_ms, error = :error WHERE id = :id",
            id=outbox_id,
            not_before_ms=not_before_ms,
            error=error,
        )

    async def mark_uncertain(self, outbox_id: int, error: str) -> None:
        """Say that the request left and its reply was lost."""
        await self._run(
            "UPDATE outbox SET state = 'uncertain', error = :error WHERE id = :id", id=outbox_id, error=error
        )

    async def mark_failed(self, outbox_id: int, error: str) -> None:
        """Give it up."""
        await self._run("UPDATE outbox SET state = 'failed', error = :error WHERE id = :id", id=outbox_id, error=error)

    async def mark_expired(self, outbox_id: int) -> None:
        """Say that it is too old to be worth sending."""
        await self._run("UPDATE outbox SET state = 'expired' WHERE id = :id", id=outbox_id)

    async def block_chat(self, chat_id: str, reason: str) -> None:
        """Fail what waits for a chat that refuses the bot, and what will be queued for it until it is unblocked."""
        chat = {"chat_id": chat_id, "reason": reason}
        await self._write((_PUT_BLOCKED_CHAT, [chat]), (_FAIL_WAITING, [chat]))

    async def unblock_chat(self, chat_id: str) -> None:
        """Write to a chat again."""
        await self._run("DELETE FROM blocked_chats WHERE chat_id = :chat_id", chat_id=chat_id)

    async def _run(self, sql: str, **row: Any) -> None:
        await self._write((sql, [row]))

    async def _write(self, *statements: Statement) -> None:
        with explained(self._path):
            async with self._writing:
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")
                    for sql, rows in statements:
                        await self._writer.executemany(sql, rows)
                    await self._writer.commit()
                finally:
                    # Undoes what an error or a cancellation left behind, does nothing after a commit. The connection
                    # takes its orders one by one, so a second cancellation here cannot let another write in between.
                    await self._writer.rollback()


def _put_limits(limits: Limits) -> Statement:
    return _PUT_STATE, [{"key": _LIMITS, "value": to_json(limits)}]


def _lock(path: Path, resources: AsyncExitStack) -> None:
    """Keep an empty database beside `path` locked; the system lets go of it when the process ends, however it ends."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(f"{path}.lock", timeout=0, isolation_level=None)
        resources.callback(lock.close)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StorageError(f"{path}: another bot is using it, and only one may run on a DATA_DIR") from error
            raise
