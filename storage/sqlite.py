"""The truth on disk: one writer whose transactions are whole or absent, whatever stops them."""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import aiosqlite
from loguru import logger

from features.state.snapshot import Snapshot
from scoring.capture import Capture
from scoring.signals import Control, Limits, NearMiss, OpenSignal, Outcome, Signal
from storage.blobs import from_blob, to_blob
from storage.codec import from_plain, to_json
from storage.errors import DiskError, StorageError, explained
from storage.files import WAL, lock, make_private, size_of
from storage.history import BUSY_S, History, Steering, connect, open_reader, refuse_newer
from storage.outbox import FollowUp, NewMessage
from storage.rows import (
    control_from_row,
    control_outcome_to_row,
    control_to_row,
    follow_up_to_row,
    followed_control_from_row,
    followed_from_row,
    message_to_row,
    near_miss_outcome_to_row,
    near_miss_to_row,
    open_signal_from_row,
    open_signal_to_row,
    outcome_to_row,
    signal_from_row,
    signal_to_row,
)
from storage.schema import migrate, version_of
from storage.spare import Spare

Statement = tuple[str, Sequence[Mapping[str, Any]]]  #: SQL and the rows to run it with

_LIMITS = "limits"  #: their key in the table `state`
_WAL_BYTES = 16 * 1024 * 1024  #: the write-ahead log is cut back to this once it has been brought into the database
_LARGEST_WAL_BYTES = 128 * 1024 * 1024  #: with a longer log no windows are saved until whoever reads lets it be cut
_BUSY_RETRY_MS = 100
_PRUNED_AT_ONCE = 500
_NOTHING_COPIES = 2**62

_INSERT_SIGNAL = """
    INSERT INTO signals (id, decided_ms, side, venue, instrument_id, coin, pair, details)
    VALUES (:id, :decided_ms, :side, :venue, :instrument_id, :coin, :pair, :details)
"""
_INSERT_OUTCOME = (
    "INSERT INTO outcomes (signal_id, exit_ms, reason, outcome) VALUES (:signal_id, :exit_ms, :reason, :outcome)"
)
_INSERT_NEAR_MISS = """
    INSERT INTO near_misses (decided_ms, venue, instrument_id, coin, details, peak_score)
    VALUES (:decided_ms, :venue, :instrument_id, :coin, :details, :peak_score)
"""
_RAISE_PEAK = """
    UPDATE near_misses SET peak_score = :peak_score WHERE id = (SELECT max(id) FROM near_misses WHERE coin = :coin)
"""
_INSERT_CAPTURE = "INSERT INTO captures (signal_id, capture) VALUES (:signal_id, :capture)"
_FOLLOW_NEAR_MISS = """
    INSERT INTO followed_near_misses (near_miss_id)
    SELECT id FROM near_misses WHERE decided_ms = :decided_ms AND coin = :coin
"""
_TRACK_NEAR_MISS = "UPDATE followed_near_misses SET tracking = :tracking WHERE near_miss_id = :signal_id"
_INSERT_NEAR_MISS_OUTCOME = """
    INSERT INTO near_miss_outcomes (near_miss_id, exit_ms, reason, outcome)
    VALUES (:near_miss_id, :exit_ms, :reason, :outcome)
"""
_FORGET_NEAR_MISS = "DELETE FROM followed_near_misses WHERE near_miss_id = :near_miss_id"
_INSERT_CONTROL = """
    INSERT INTO controls (id, signal_id, arm, decided_ms, venue, instrument_id, coin, details)
    VALUES (:id, :signal_id, :arm, :decided_ms, :venue, :instrument_id, :coin, :details)
"""
_BEGIN_CONTROL = "UPDATE controls SET decided_ms = :decided_ms, details = :details WHERE id = :id"
_TRACK_CONTROL = "UPDATE controls SET tracking = :tracking WHERE id = :signal_id"
_INSERT_CONTROL_OUTCOME = """
    INSERT INTO control_outcomes (control_id, exit_ms, reason, outcome)
    VALUES (:control_id, :exit_ms, :reason, :outcome)
"""
_PUT_WINDOWS = "INSERT OR REPLACE INTO windows (id, snapshot) VALUES (1, :snapshot)"
_PUT_OPEN_SIGNAL = "INSERT OR REPLACE INTO open_signals (signal_id, tracking) VALUES (:signal_id, :tracking)"
_DELETE_OPEN_SIGNAL = "DELETE FROM open_signals WHERE signal_id = :signal_id"
_MARK_SENDING = (
    "UPDATE outbox SET state = 'sending', attempts = attempts + 1,"
    " may_repeat = may_repeat OR state = 'uncertain' WHERE id = :id"
)
_PUT_STATE = "INSERT OR REPLACE INTO state (key, value) VALUES (:key, :value)"
_INSERT_MESSAGE = """
    INSERT INTO outbox
        (chat_id, kind, priority, signal_id, html, created_ms, entry_price, buttons, edit_key)
    SELECT :chat_id, :kind, :priority, :signal_id, :html, :created_ms, :entry_price, :buttons, :edit_key
    WHERE :edit_key = '' OR NOT EXISTS (SELECT 1 FROM outbox WHERE edit_key = :edit_key AND chat_id = :chat_id)
"""
# What stands in a chat that is still ours is due again, to be edited; what waits goes with the change.
_CHANGE = """
    revision = revision + 1, attempts = iif(state = 'sent', 0, attempts),
    state = iif(state = 'sent' AND message_id IS NOT NULL AND chat_id NOT IN (SELECT chat_id FROM former_chats),
        'pending', state)
"""
_EDIT_MESSAGE = (
    f"UPDATE outbox SET html = :html, buttons = :buttons, {_CHANGE}"  # noqa: S608 - SQL of ours
    " WHERE edit_key = :edit_key AND chat_id = :chat_id"
)
_FOLLOW_UP = (
    f"UPDATE outbox SET follow_up = follow_up || char(10) || :html, buttons = coalesce(:buttons, buttons), {_CHANGE}"  # noqa: S608 - SQL of ours
    " WHERE signal_id = :signal_id AND kind = 'entry'"
)
_MARK_SENT = """
    UPDATE outbox SET error = '', message_id = :message_id, sent_ms = coalesce(sent_ms, :sent_ms),
        html = iif(edit_key = '', coalesce(:html, html), html),
        state = iif(revision = coalesce(:revision, revision), 'sent', 'pending')
    WHERE id = :id
"""
_MARK_TOLD = "UPDATE outbox SET is_told = 1 WHERE id IN (SELECT value FROM json_each(:told))"
_TOO_OLD = """
    state = 'pending' AND chat_id NOT IN (SELECT value FROM json_each(:but_of))
        AND created_ms < iif(kind = 'entry' AND message_id IS NULL, :entries_before_ms, :others_before_ms)
"""
_EXPIRING = f"SELECT chat_id, message_id FROM outbox WHERE {_TOO_OLD}"  # noqa: S608 - SQL of ours
_EXPIRE = f"UPDATE outbox SET state = iif(message_id IS NULL, 'expired', 'sent') WHERE {_TOO_OLD}"  # noqa: S608 - SQL of ours
_NAME_CHATS = (
    "DELETE FROM former_chats",
    """
    INSERT INTO former_chats SELECT DISTINCT chat_id FROM outbox
    WHERE chat_id NOT IN (SELECT value FROM json_each(:chats))
    """,
    """
    UPDATE outbox SET state = iif(message_id IS NULL, 'failed', 'sent'), is_told = 1,
        error = 'the settings no longer name this chat'
    WHERE state IN ('pending', 'sending', 'uncertain') AND chat_id IN (SELECT chat_id FROM former_chats)
    """,
    "DELETE FROM blocked_chats WHERE chat_id NOT IN (SELECT value FROM json_each(:chats))",
)
_NOT_SENT_YET = "edit_key = :edit_key AND state = 'pending' AND message_id IS NULL"
_WAITING = f"SELECT 1 FROM outbox WHERE {_NOT_SENT_YET}"  # noqa: S608 - SQL of ours
_WITHDRAW = (
    "UPDATE outbox SET state = 'expired', is_told = 1, error = 'over before it could be sent'"  # noqa: S608 - SQL of ours
    f" WHERE {_NOT_SENT_YET}"
)
_INSERT_STEERING = """
    INSERT INTO steering (done_ms, user_id, chat_id, command, answer)
    VALUES (:done_ms, :user_id, :chat_id, :command, :answer)
"""
_DOUBT_SENDING = """
    UPDATE outbox SET state = iif(message_id IS NULL, 'uncertain', 'pending'),
        error = 'the bot stopped while it was being sent'
    WHERE state = 'sending'
"""
_PUT_BLOCKED_CHAT = """
    INSERT INTO blocked_chats (chat_id, reason, since_ms) VALUES (:chat_id, :reason, :since_ms)
    ON CONFLICT (chat_id) DO UPDATE SET reason = :reason
"""
_SHIFT_OUTBOX = """
    UPDATE outbox SET created_ms = created_ms + :step_ms,
        not_before_ms = iif(not_before_ms = 0, 0, not_before_ms + :step_ms)
    WHERE state IN ('pending', 'sending', 'uncertain')
"""
_SHIFT_OPEN = """
    UPDATE signals SET decided_ms = decided_ms + :step_ms WHERE id NOT IN (SELECT signal_id FROM outcomes)
"""
_SHIFT_FOLLOWED = """
    UPDATE near_misses SET decided_ms = decided_ms + :step_ms
    WHERE id IN (SELECT near_miss_id FROM followed_near_misses)
"""
_SHIFT_CONTROLS = """
    UPDATE controls SET decided_ms = decided_ms + :step_ms WHERE id NOT IN (SELECT control_id FROM control_outcomes)
"""
_BEGIN_GENERATION = "INSERT INTO generations (first_seq) SELECT coalesce(max(seq), 0) FROM changes"
_BEGIN_RUN = """
    INSERT INTO runs (started_ms, version, code_hash, config_hash)
    VALUES (:started_ms, :version, :code_hash, :config_hash)
"""
_PRUNE = tuple(
    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} JOIN changes ON source = '{table}' AND row_id = id"  # noqa: S608 - names of ours
    f" WHERE {time} < :before_ms AND seq <= :copied AND {which} ORDER BY {time} LIMIT {_PRUNED_AT_ONCE})"
    for table, time, which in (
        ("near_misses", "decided_ms", "true"),
        ("venue_health", "changed_ms", "true"),
        ("outbox", "created_ms", "state IN ('sent', 'expired', 'failed')"),
    )
)
_FORGET_MESSAGES = """
    UPDATE outbox SET state = iif(message_id IS NULL, state, 'sent'), message_id = NULL
    WHERE chat_id = :chat_id OR chat_id LIKE :chat_id || ':%'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a bot that starts goes on from."""

    limits: Limits
    open_signals: tuple[OpenSignal, ...]
    followed: tuple[OpenSignal, ...] = ()  #: near misses, each under the near miss's id
    #: those without an outcome, each with its alert's signal, and followed under its own id once it has begun
    controls: tuple[tuple[Control, Signal, OpenSignal | None], ...] = ()


class Store(History):
    """The bot's own database: everything `History` answers, and the writes.

    Every write is one transaction. One that fails, or whose caller is cancelled, leaves nothing behind, unless its
    commit was already under way: then all of it is there. While the disk takes nothing, memory does, and alerts go on.
    """

    def __init__(
        self, path: Path, reader: aiosqlite.Connection, resources: AsyncExitStack, writer: aiosqlite.Connection
    ) -> None:
        super().__init__(path, reader, resources)
        self._writer = writer
        self._writing = asyncio.Lock()
        self.times = asyncio.Lock()  #: held while times are compared with the clock, so that it is not set meanwhile
        self._spare: Spare | None = None
        self.trouble = ""  #: why writes go to memory only, "" while the disk takes them

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database, bring it to this code's schema, and call uncertain what was being sent.

        Raises
        ------
        StorageError
            Another bot uses it, it cannot be written, is not a database or comes from newer code.
        """
        async with AsyncExitStack() as resources:
            lock(path, resources)
            with explained(path):
                make_private(path)
                writer = await connect(path, "rwc", resources)
                refuse_newer(path, await version_of(writer))
                await writer.executescript(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                    f"PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = {_WAL_BYTES};"
                )
                await migrate(writer)
                await _transact(writer, [(_DOUBT_SENDING, [{}])])
            return cls(path, await open_reader(path, resources), resources.pop_all(), writer)

    async def close(self) -> None:
        """Let the write under way end, then close the connections and let go of the lock."""
        await self.recover()
        async with self._writing:
            if self._spare is not None:
                logger.error("what was kept in memory is lost: {}", self.trouble)
                await self._spare.close()
            await super().close()

    async def recover(self) -> None:
        """Where memory has taken the writes, bring them to the disk if that takes them again."""
        async with self._writing:
            if self._spare is None:
                return
            try:
                with explained(self._path):
                    # The ticks' writes wait meanwhile: a disk that is only busy is tried again at the next look.
                    await self._writer.execute(f"PRAGMA busy_timeout = {_BUSY_RETRY_MS}")
                    await self._spare.write_down(self._writer)
            except StorageError as error:
                self.trouble = str(error)
                return
            finally:
                await self._writer.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_S)}")
            await self._spare.close()
            self._spare, self.trouble = None, ""

    async def load(self) -> Saved:
        """Return the limits, and the signals and the followed near misses without an outcome, oldest first."""
        limits = await self.get_state(_LIMITS)
        rows = await self._read(
            "SELECT * FROM signals LEFT JOIN open_signals ON open_signals.signal_id = id"
            " WHERE id NOT IN (SELECT signal_id FROM outcomes) ORDER BY id"
        )
        near_misses = await self._read(
            "SELECT * FROM near_misses JOIN followed_near_misses ON near_miss_id = id"
            " WHERE id NOT IN (SELECT near_miss_id FROM near_miss_outcomes) ORDER BY id"
        )
        controls = await self._read(
            "SELECT * FROM controls WHERE id NOT IN (SELECT control_id FROM control_outcomes) ORDER BY id"
        )
        alerts = await self._read(
            "SELECT * FROM signals WHERE id IN (SELECT signal_id FROM controls"
            " WHERE id NOT IN (SELECT control_id FROM control_outcomes))"
        )
        drawn_with = {row["id"]: signal_from_row(row) for row in alerts}
        return Saved(
            limits=Limits.fresh() if limits is None else from_plain(Limits, limits),
            open_signals=tuple(open_signal_from_row(row) for row in rows),
            followed=tuple(followed for row in near_misses if (followed := followed_from_row(row)) is not None),
            controls=tuple(
                (control_from_row(row), signal, followed_control_from_row(row, signal))
                for row in controls
                if (signal := drawn_with.get(row["signal_id"])) is not None
            ),
        )

    async def load_windows(self) -> Snapshot | None:
        """Return the market as it was saved last, None where it was not.

        Raises
        ------
        ValueError
            What was saved cannot be read, or not by this code: the bot starts without.
        """
        rows = await self._read("SELECT snapshot FROM windows")
        return await asyncio.to_thread(from_blob, Snapshot, rows[0]["snapshot"]) if rows else None

    async def remember(
        self,
        signals: Sequence[Signal],
        limits: Limits,
        messages: Sequence[NewMessage | FollowUp],
        near_misses: Sequence[NearMiss] = (),
        *,
        peaks: Mapping[str, float] = MappingProxyType({}),
        followed: Sequence[NearMiss] = (),
        captures: Sequence[Capture] = (),
        controls: Sequence[Control] = (),
        still_open: Sequence[OpenSignal] = (),
    ) -> None:
        """Store a tick's signals, what they were decided on, their controls, messages and the limits they use up.

        `peaks` are new highest scores of coins whose near miss is stored already. Of the near misses `followed` are
        those whose following begins; `still_open` are earlier signals, as far as they
        have been followed.
        """
        await self._write(
            (_INSERT_SIGNAL, [signal_to_row(signal) for signal in signals]),
            *_queue(messages),
            (_INSERT_CAPTURE, [{"signal_id": one.signal_id, "capture": to_blob(one)} for one in captures]),
            (_INSERT_CONTROL, [control_to_row(control) for control in controls]),
            (_INSERT_NEAR_MISS, [near_miss_to_row(near_miss) for near_miss in near_misses]),
            (_RAISE_PEAK, [{"coin": coin, "peak_score": peak} for coin, peak in peaks.items()]),
            (_FOLLOW_NEAR_MISS, [{"decided_ms": one.decided_ms, "coin": one.coin} for one in followed]),
            (_PUT_OPEN_SIGNAL, [open_signal_to_row(one) for one in still_open]),
            _put_limits(limits),
        )

    async def save_open(self, open_signals: Sequence[OpenSignal], follow_ups: Sequence[FollowUp] = ()) -> None:
        """Store how far signals have been followed, and what their alerts say of it."""
        if open_signals:
            rows = [open_signal_to_row(open_signal) for open_signal in open_signals]
            await self._write((_PUT_OPEN_SIGNAL, rows), *_queue(follow_ups))

    async def record_outcome(self, outcome: Outcome, limits: Limits, messages: Sequence[NewMessage | FollowUp]) -> None:
        """Store a signal's end, its messages and the limits it changes."""
        await self._write(
            (_INSERT_OUTCOME, [outcome_to_row(outcome)]),
            (_DELETE_OPEN_SIGNAL, [{"signal_id": outcome.signal_id}]),
            *_queue(messages),
            _put_limits(limits),
        )

    async def record_near_misses(self, outcomes: Sequence[Outcome], lost: Sequence[int] = ()) -> None:
        """Store what near misses have made, each under its near miss's id, and end the following of the `lost`."""
        ids = [*(outcome.signal_id for outcome in outcomes), *lost]
        await self._write(
            (_INSERT_NEAR_MISS_OUTCOME, [near_miss_outcome_to_row(outcome) for outcome in outcomes]),
            (_FORGET_NEAR_MISS, [{"near_miss_id": near_miss_id} for near_miss_id in ids]),
        )

    async def record_controls(
        self, begun: Sequence[Control], followed: Sequence[OpenSignal], outcomes: Sequence[Outcome]
    ) -> None:
        """Store the controls that begin, how far others have been followed, and ends; ids are the controls'."""
        await self._write(
            (_BEGIN_CONTROL, [control_to_row(control) for control in begun]),
            (_TRACK_CONTROL, [open_signal_to_row(one) for one in followed]),
            (_INSERT_CONTROL_OUTCOME, [control_outcome_to_row(outcome) for outcome in outcomes]),
        )

    async def save_windows(self, snapshot: Snapshot, followed: Sequence[OpenSignal]) -> None:
        """Store the market, packed in a thread, and how far near misses have been followed.

        Raises
        ------
        StorageError
            Somebody has been reading the database for so long that its write-ahead log has grown too large.
        """
        await self._keep_log_short()
        blob = await asyncio.to_thread(to_blob, snapshot)
        await self._write(
            (_PUT_WINDOWS, [{"snapshot": blob}]),
            (_TRACK_NEAR_MISS, [open_signal_to_row(one) for one in followed]),
        )

    async def shift_clock(
        self,
        step_ms: int,
        limits: Limits,
        open_signals: Sequence[OpenSignal],
        followed: Sequence[OpenSignal],
        controls: Sequence[OpenSignal] = (),
    ) -> None:
        """Move by `step_ms`, by which the clock was set, what waits and what is followed; the arguments have moved."""
        step = [{"step_ms": step_ms}]
        await self._write(
            (_SHIFT_OUTBOX, step),
            (_SHIFT_OPEN, step),
            (_SHIFT_FOLLOWED, step),
            (_SHIFT_CONTROLS, step),
            (_PUT_OPEN_SIGNAL, [open_signal_to_row(one) for one in open_signals]),
            (_TRACK_NEAR_MISS, [open_signal_to_row(one) for one in followed]),
            (_TRACK_CONTROL, [open_signal_to_row(one) for one in controls]),
            _put_limits(limits),
        )

    async def shift_outbox(self, step_ms: int) -> None:
        """Move by `step_ms` what waits to be sent: the clock was set while no bot was running."""
        await self._write((_SHIFT_OUTBOX, [{"step_ms": step_ms}]))

    async def save_limits(self, limits: Limits) -> None:
        """Store limits that a command has changed."""
        await self._write(_put_limits(limits))

    async def begin_run(self, started_ms: int, version: str, code_hash: str, config_hash: str) -> None:
        """Say which bot runs from now on, and how it is set."""
        run = {"started_ms": started_ms, "version": version, "code_hash": code_hash, "config_hash": config_hash}
        await self._write((_BEGIN_GENERATION, [{}]), (_BEGIN_RUN, [run]))

    async def end_run(self, ended_ms: int) -> None:
        """Say that the run ended as it should; one that was killed has no end."""
        await self._run("UPDATE runs SET ended_ms = :ended_ms WHERE id = (SELECT max(id) FROM runs)", ended_ms=ended_ms)

    async def record_health(self, changed_ms: int, venue: str, state: str, note: str) -> None:
        """Say that a venue is in another state than before."""
        await self._run(
            "INSERT INTO venue_health (changed_ms, venue, state, note) VALUES (:changed_ms, :venue, :state, :note)",
            changed_ms=changed_ms,
            venue=venue,
            state=state,
            note=note,
        )

    async def prune(self, before_ms: int, copied: int | None = None) -> bool:
        """Delete some of the oldest bulk rows of before then, never a signal, and return whether there may be more.

        `copied` is the last change that the history in MySQL has: later ones stay; None where nothing copies.
        """
        limits = {"before_ms": before_ms, "copied": _NOTHING_COPIES if copied is None else copied}
        with explained(self._path):
            async with self._writing:
                if self._spare is not None:
                    return False
                before = self._writer.total_changes
                await _transact(self._writer, [(sql, [limits]) for sql in _PRUNE])
                return self._writer.total_changes > before

    async def set_state(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`."""
        await self._run(_PUT_STATE, key=key, value=to_json(value))

    async def enqueue(self, messages: Sequence[NewMessage | FollowUp]) -> None:
        """Queue messages that belong to no signal's transaction."""
        await self._write(*_queue(messages))

    async def mark_sending(self, outbox_id: int, state: Mapping[str, Any] | None = None) -> None:
        """Say that a request is about to leave; from then on a lost reply leaves doubt.

        `state`: JSON values by key that are stored in the same transaction.
        """
        values = [{"key": key, "value": to_json(value)} for key, value in (state or {}).items()]
        await self._write((_MARK_SENDING, [{"id": outbox_id}]), (_PUT_STATE, values))

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
        """Say that Telegram took it; `told`: its text told the chat of these, which it did not get.

        Where its text has been changed since `revision` it is pending again: the chat's message is to be edited.
        `html` is what was sent, where that is more than what was queued.
        """
        sent = {"id": outbox_id, "message_id": message_id, "sent_ms": sent_ms, "html": html}
        sent |= {"revision": revision}
        ids = list(told)
        await self._write((_MARK_SENT, [sent]), (_MARK_TOLD, [{"told": to_json(ids)}] if ids else []))

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

    async def expire(self, entries_before_ms: int, others_before_ms: int, but_of: Iterable[str]) -> list[str]:
        """Give up what was to be sent for the first time and is older than that, `but_of` these chats.

        Changes of messages of before `others_before_ms` are given up too: those stand as they were sent. Return the
        chat of each message that expired.
        """
        limits = {
            "entries_before_ms": entries_before_ms,
            "others_before_ms": others_before_ms,
            "but_of": to_json(list(but_of)),
        }
        rows = await self._read(_EXPIRING, limits)
        if rows:
            await self._write((_EXPIRE, [limits]))
        return [row["chat_id"] for row in rows if row["message_id"] is None]

    async def name_chats(self, chats: Iterable[str]) -> None:
        """Say which chats there are: what waits for another is given up, and its messages are changed no more."""
        named = {"chats": to_json(list(chats))}
        await self._write(*((sql, [named]) for sql in _NAME_CHATS))

    async def withdraw(self, edit_key: str) -> bool:
        """Give up what was not sent yet under this key, and return whether there was any."""
        waiting = await self._read(_WAITING, {"edit_key": edit_key})
        if waiting:
            await self._run(_WITHDRAW, edit_key=edit_key)
        return bool(waiting)

    async def record_steering(self, steering: Steering) -> None:
        """Keep who steered the bot."""
        await self._write((_INSERT_STEERING, [{name: getattr(steering, name) for name in Steering.__slots__}]))

    async def block_chat(self, chat_id: str, reason: str, since_ms: int = 0) -> None:
        """Say that a chat refuses the bot, until it is unblocked; what waits for it goes on waiting."""
        await self._run(_PUT_BLOCKED_CHAT, chat_id=chat_id, reason=reason, since_ms=since_ms)

    async def forget_messages(self, chat_id: str) -> None:
        """Say that what stands in a chat can be neither edited nor replied to any more: it has a new id."""
        await self._run(_FORGET_MESSAGES, chat_id=chat_id)

    async def unblock_chat(self, chat_id: str) -> None:
        """Write to a chat again."""
        await self._run("DELETE FROM blocked_chats WHERE chat_id = :chat_id", chat_id=chat_id)

    async def _keep_log_short(self) -> None:
        # SQLite cannot cut the log behind a reader. The windows are nearly all that fills it.
        with explained(self._path):
            if self._spare is not None or size_of(Path(f"{self._path}{WAL}")) <= _LARGEST_WAL_BYTES:
                return
            async with self._writing:
                await self._writer.execute("PRAGMA busy_timeout = 0")
                try:
                    ((is_busy, *_),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await self._writer.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_S)}")
        if is_busy:
            raise StorageError(f"{self._path}: the windows are not saved while another program keeps reading it")

    async def _run(self, sql: str, **row: Any) -> None:
        await self._write((sql, [row]))

    async def _write(self, *statements: Statement) -> None:
        async with self._writing:
            if self._spare is None:
                try:
                    with explained(self._path):
                        await _transact(self._writer, statements)
                except DiskError as error:
                    with explained(self._path):
                        self._spare = await Spare.open(self._reader)
                    self.trouble = str(error)
                else:
                    return
            with explained(self._path):
                await _transact(self._spare.writer, statements)

    async def _read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        if self._spare is None:
            return await super()._read(sql, parameters)
        async with self._writing:  # connections that share a database in memory do not wait for each other
            return await super()._read(sql, parameters)


async def _transact(writer: aiosqlite.Connection, statements: Sequence[Statement]) -> None:
    # Each wait for the connection's thread costs, so there is none without work, and one for all the statements.
    statements = [statement for statement in statements if statement[1]]
    if not statements:
        return
    try:
        await asyncio.gather(*(writer.executemany(sql, rows) for sql, rows in statements))
        await writer.commit()
    except BaseException:
        # Undoes what an error or a cancellation left behind, does nothing after a commit. The connection takes its
        # orders one by one, so a second cancellation here cannot let another write in between.
        await writer.rollback()
        raise


def _queue(messages: Sequence[NewMessage | FollowUp]) -> tuple[Statement, ...]:
    """Change the messages that stand in their chats under the same key, add the others, and follow alerts up."""
    rows = [message_to_row(message) for message in messages if isinstance(message, NewMessage)]
    follow_ups = [follow_up_to_row(message) for message in messages if isinstance(message, FollowUp)]
    edits = [row for row in rows if row["edit_key"]]
    return (_EDIT_MESSAGE, edits), (_INSERT_MESSAGE, rows), (_FOLLOW_UP, follow_ups)


def _put_limits(limits: Limits) -> Statement:
    return _PUT_STATE, [{"key": _LIMITS, "value": to_json(limits)}]
