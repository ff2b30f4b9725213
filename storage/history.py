"""Questions to the database, on a connection that cannot write."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiosqlite
import orjson

from scoring.capture import Capture
from scoring.signals import Control, NearMiss, Outcome, Signal
from scoring.statistics import Closed, Kind
from storage.blobs import from_blob
from storage.errors import StorageError, explained
from storage.files import refuse_database_file, temporary_beside
from storage.outbox import DeliveryState, Lost, OutboxMessage
from storage.rows import (
    control_from_row,
    message_from_row,
    near_miss_from_row,
    near_miss_outcome_from_row,
    outcome_from_row,
    signal_from_row,
)
from storage.schema import MIGRATIONS, version_of

BEGINS: Literal["IMMEDIATE"] = "IMMEDIATE"  #: the kind of transaction that a change begins
_ROWS_AT_ONCE = 2_000  #: that a walk over many rows takes from the connection's thread
BUSY_S = 5.0  #: how long to wait for a person's SQL prompt on the same file; a second bot is refused by the lock

_CLOSED = """
    SELECT strategy, side, version, score, signals.decided_ms, json_type(outcome, '$.ideal') = 'object',
        json_extract(outcome, '$.reachable.net_percent'), json_extract(outcome, '$.reachable.r')
    FROM outcomes JOIN signals ON signal_id = id ORDER BY id
"""
_CLOSED_CONTROLS = _CLOSED.replace(
    "outcomes JOIN signals ON signal_id = id ORDER BY id",
    "control_outcomes JOIN controls ON controls.id = control_id JOIN signals ON signals.id = signal_id"
    " ORDER BY controls.id",
)
_SIGNALS = "SELECT * FROM signals LEFT JOIN outcomes ON signal_id = id"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """A command or press that changed what the bot does."""

    done_ms: int
    user_id: int
    chat_id: str
    command: str  #: with its argument
    answer: str  #: plain text, what came of it


class History:
    """What the bot has decided and sent so far; many may read while one bot writes."""

    def __init__(self, path: Path, reader: aiosqlite.Connection, resources: AsyncExitStack) -> None:
        self._path = path
        self._reader = reader
        self._resources = resources

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open an existing database for reading.

        Raises
        ------
        StorageError
            There is none at `path`, or this code does not know its schema.
        """
        async with AsyncExitStack() as resources:
            return cls(path, await open_reader(path, resources), resources.pop_all())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._resources.aclose()

    async def signals(
        self, symbol: str | None = None, since_ms: int | None = None, limit: int = 100
    ) -> list[tuple[Signal, Outcome | None]]:
        """Return signals decided at `since_ms` or later with their outcomes, newest first.

        `symbol` is a coin, a pair or a venue's id, in any case and with or without USDT and separators.
        """
        return await self._signals(
            f"{_SIGNALS} WHERE (:symbol IS NULL"
            " OR :symbol IN (symbol_key(coin), symbol_key(pair), symbol_key(instrument_id)))"
            " AND (:since_ms IS NULL OR decided_ms >= :since_ms) ORDER BY id DESC LIMIT :limit",
            {"symbol": symbol and symbol_key(symbol), "since_ms": since_ms, "limit": limit},
        )

    async def signal(self, signal_id: int) -> tuple[Signal, Outcome | None] | None:
        """Return one signal with its outcome, None where there is no such id."""
        found = await self._signals(f"{_SIGNALS} WHERE id = :id", {"id": signal_id})
        return found[0] if found else None

    async def closed_signals(self, since_ms: int | None = None) -> list[tuple[Signal, Outcome]]:
        """Return the signals that ended at `since_ms` or later, in the order of their ends."""
        found = await self._signals(
            f"{_SIGNALS} WHERE exit_ms >= coalesce(:since_ms, 0) ORDER BY exit_ms, id", {"since_ms": since_ms}
        )
        return [(signal, outcome) for signal, outcome in found if outcome is not None]

    async def closed_controls(self, since_ms: int | None = None) -> list[tuple[Signal, Outcome]]:
        """Return the controls that ended at `since_ms` or later, each as its alert's signal with its own outcome."""
        rows = await self._read(
            "SELECT signals.*, control_outcomes.*, signal_id FROM control_outcomes"
            " JOIN controls ON controls.id = control_id JOIN signals ON signals.id = signal_id"
            " WHERE exit_ms >= coalesce(:since_ms, 0) ORDER BY exit_ms, control_id",
            {"since_ms": since_ms},
        )
        found = await asyncio.to_thread(lambda: [(signal_from_row(row), outcome_from_row(row)) for row in rows])
        return [(signal, outcome) for signal, outcome in found if outcome is not None]

    async def controls(self, signal_id: int) -> list[tuple[Control, Outcome | None]]:
        """Return the controls that were drawn with a signal, each with its outcome; None: it has not ended."""
        rows = await self._read(
            "SELECT controls.*, exit_ms, reason, outcome FROM controls LEFT JOIN control_outcomes ON control_id = id"
            " WHERE signal_id = :signal_id ORDER BY id",
            {"signal_id": signal_id},
        )
        return [(control_from_row(row), near_miss_outcome_from_row(row)) for row in rows]

    async def closed(self) -> AsyncIterator[Closed]:
        """Yield what the records need of every signal and control that has ended; the whole rows are never read."""
        for sql, is_control in ((_CLOSED, False), (_CLOSED_CONTROLS, True)):
            with explained(self._path):
                async with self._reader.execute(sql) as cursor:
                    async for strategy, side, version, *figures in cursor:
                        yield Closed(Kind(strategy, side, version), *figures)._replace(is_control=is_control)

    async def current_kinds(self) -> list[Kind]:
        """Return the strategy, side and version of the latest signal of each strategy and side."""
        rows = await self._read(
            "SELECT strategy, side, version FROM signals"
            " WHERE id IN (SELECT max(id) FROM signals GROUP BY strategy, side) ORDER BY strategy, side"
        )
        return [Kind(*row) for row in rows]

    async def near_misses(self, since_ms: int, limit: int = 100) -> list[NearMiss]:
        """Return near misses decided at `since_ms` or later, newest first."""
        rows = await self._read(
            "SELECT * FROM near_misses WHERE decided_ms >= :since_ms ORDER BY id DESC LIMIT :limit",
            {"since_ms": since_ms, "limit": limit},
        )
        return [near_miss_from_row(row) for row in rows]

    async def near_misses_with_outcomes(self, since_ms: int, limit: int = 100) -> list[tuple[NearMiss, Outcome | None]]:
        """Return near misses decided at `since_ms` or later, newest first, each with what it would have made.

        None: it is still being followed, was not (only some can be), or its pair left the universe meanwhile.
        """
        rows = await self._read(
            "SELECT * FROM near_misses LEFT JOIN near_miss_outcomes ON near_miss_id = id"
            " WHERE decided_ms >= :since_ms ORDER BY id DESC LIMIT :limit",
            {"since_ms": since_ms, "limit": limit},
        )
        return [(near_miss_from_row(row), near_miss_outcome_from_row(row)) for row in rows]

    async def latest_near_misses(self, since_ms: int) -> list[tuple[NearMiss, float | None]]:
        """Return near misses decided at `since_ms` or later, oldest first, each with the highest score of its episode.

        None: more than the threshold refused it all the time.
        """
        rows = await self._read(
            "SELECT * FROM near_misses WHERE decided_ms >= :since_ms ORDER BY id", {"since_ms": since_ms}
        )
        return [(near_miss_from_row(row), row["peak_score"]) for row in rows]

    async def scores_since(self, since_ms: int) -> tuple[list[float], list[float], int | None]:
        """Return the scores of signals, those that the threshold alone refused, and the first start [epoch ms]."""
        signals = await self._read("SELECT score FROM signals WHERE decided_ms >= :since_ms", {"since_ms": since_ms})
        refused = await self._read(
            "SELECT peak_score FROM near_misses WHERE decided_ms >= :since_ms AND peak_score IS NOT NULL",
            {"since_ms": since_ms},
        )
        ((first_ms,),) = await self._read("SELECT min(started_ms) FROM runs")
        return [score for (score,) in signals], [score for (score,) in refused], first_ms

    async def near_miss_ids(self, decided_ms: int) -> dict[str, int]:
        """Return by coin the ids of the near misses of one decision."""
        rows = await self._read(
            "SELECT coin, id FROM near_misses WHERE decided_ms = :ms ORDER BY id", {"ms": decided_ms}
        )
        return dict(map(tuple, rows))

    async def capture(self, signal_id: int) -> Capture | None:
        """Return what a signal was decided on, None where that was not kept.

        Raises
        ------
        ValueError
            It cannot be read: older code kept it otherwise.
        """
        rows = await self._read("SELECT capture FROM captures WHERE signal_id = :id", {"id": signal_id})
        return from_blob(Capture, rows[0]["capture"]) if rows else None

    async def refusals(
        self, since_ms: int, *, coin: str | None = None, venue: str | None = None, band: int | None = None
    ) -> dict[str, int]:
        """Return how many near misses each gate refused since then, the most frequent first.

        `band` is the lower end of five points of score, as in scoring.statistics.
        """
        rows = await self._read(
            "SELECT gate.value, count(*) FROM near_misses, json_each(details, '$.failed') AS gate"
            " WHERE decided_ms >= :since_ms AND (:venue IS NULL OR venue = :venue)"
            " AND (:coin IS NULL OR symbol_key(coin) = :coin)"
            " AND (:band IS NULL OR min(95, 5 * CAST(score / 5 AS INTEGER)) = :band)"
            " GROUP BY gate.value ORDER BY count(*) DESC, gate.value",
            {"since_ms": since_ms, "coin": coin, "venue": venue, "band": band},
        )
        return dict(map(tuple, rows))

    async def due_messages(self, now_ms: int, limit: int = 10) -> list[OutboxMessage]:
        """Return the messages that may go now, by priority, then oldest first, at most `limit` of each chat.

        A chat with a message that waits for `not_before_ms` is left out, and a reply whose alert is yet to go.
        """
        rows = await self._read(_DUE, {"now_ms": now_ms, "limit": limit})
        return [message_from_row(row, _lost(row["lost"])) for row in rows]

    async def uncertain_messages(self) -> list[OutboxMessage]:
        """Return the messages whose reply was lost and that have not been sent a second time, oldest first."""
        rows = await self._read("SELECT * FROM messages WHERE state = 'uncertain' AND NOT may_repeat ORDER BY id")
        return [message_from_row(row) for row in rows]

    async def message_id_of_entry(self, signal_id: int, chat_id: str) -> int | None:
        """Return Telegram's id of a signal's alert in a chat, None where it has not arrived."""
        rows = await self._read(
            "SELECT message_id FROM outbox WHERE signal_id = :signal_id AND chat_id = :chat_id AND kind = 'entry'",
            {"signal_id": signal_id, "chat_id": chat_id},
        )
        return rows[0]["message_id"] if rows else None

    async def outbox_counts(self) -> dict[DeliveryState, int]:
        """Return how many messages are in each state, all states named."""
        rows = await self._read("SELECT state, count(*) FROM outbox GROUP BY state")
        return dict.fromkeys(DeliveryState, 0) | {DeliveryState(state): count for state, count in rows}

    async def latest_unsent_ms(self) -> int:
        """Return when the latest message was queued that has not arrived for certain [epoch ms], 0 for none."""
        unsent = "SELECT max(created_ms) FROM outbox WHERE state IN ('pending', 'sending', 'uncertain')"
        ((latest_ms,),) = await self._read(unsent)
        return int(latest_ms or 0)

    async def blocked_chats(self) -> dict[str, str]:
        """Return the chats that refuse the bot, each with Telegram's words."""
        return dict(map(tuple, await self._read("SELECT chat_id, reason FROM blocked_chats ORDER BY chat_id")))

    async def blocked_since_ms(self) -> dict[str, int]:
        """Return since when each of them does [epoch ms]."""
        return dict(map(tuple, await self._read("SELECT chat_id, since_ms FROM blocked_chats")))

    async def last_sent_ms(self) -> dict[str, int]:
        """Return by chat when the last message arrived there [epoch ms]."""
        return dict(map(tuple, await self._read("SELECT chat_id, max(sent_ms) FROM outbox GROUP BY chat_id")))

    async def is_queued(self, chat_id: str, message_id: int) -> bool:
        """Return whether a message of Telegram's number in a chat came from the outbox, and is no answer."""
        return bool(
            await self._read(
                "SELECT 1 FROM outbox WHERE message_id = :message_id"
                " AND (chat_id = :chat_id OR chat_id LIKE :chat_id || ':%' OR chat_id LIKE '@%')",
                {"chat_id": chat_id, "message_id": message_id},
            )
        )

    async def waiting_counts(self) -> dict[str, int]:
        """Return by chat how many new messages wait for it."""
        rows = await self._read(
            "SELECT chat_id, count(*) FROM outbox WHERE state = 'pending' AND message_id IS NULL GROUP BY chat_id"
        )
        return dict(map(tuple, rows))

    async def steering(self, limit: int) -> list[Steering]:
        """Return who steered the bot, the latest first."""
        rows = await self._read("SELECT * FROM steering ORDER BY id DESC LIMIT :limit", {"limit": limit})
        return [Steering(**{name: row[name] for name in Steering.__slots__}) for row in rows]

    async def get_state(self, key: str) -> Any:
        """Return the JSON value kept under `key`, None where there is none."""
        rows = await self._read("SELECT value FROM state WHERE key = :key", {"key": key})
        return orjson.loads(rows[0]["value"]) if rows else None

    async def back_up(self, target: Path) -> None:
        """Write a copy of the database as it is now to `target`, whole or not at all; a bot may go on writing.

        Raises
        ------
        StorageError
            `target` cannot be written, or is a file of a bot's database.
        """
        with explained(target):
            refuse_database_file(target, self._path)
            part = temporary_beside(target)
            try:
                async with AsyncExitStack() as resources:
                    await self._reader.backup(await connect(part, "rwc", resources))
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)

    async def _signals(self, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Signal, Outcome | None]]:
        rows = await self._read(sql, parameters)
        # Thousands of rows take a second to decode, which a tick must not feel.
        return await asyncio.to_thread(lambda: [(signal_from_row(row), outcome_from_row(row)) for row in rows])

    async def _read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        with explained(self._path):
            return list(await self._reader.execute_fetchall(sql, parameters))


def _lost(text: str) -> Lost:
    rows = orjson.loads(text)
    counts = Counter(state for _, state in rows)
    return Lost(
        expired=counts["expired"],
        uncertain=counts["uncertain"],
        failed=counts["failed"],
        ids=tuple(outbox_id for outbox_id, _ in rows),
    )


async def open_reader(path: Path, resources: AsyncExitStack) -> aiosqlite.Connection:
    """Open a connection that cannot write, on a database that has this code's schema."""
    with explained(path):
        reader = await connect(path, "ro", resources)
        reader.row_factory = sqlite3.Row
        await reader.create_function("symbol_key", 1, symbol_key, deterministic=True)
        version = await version_of(reader)
    if version < len(MIGRATIONS):
        raise StorageError(f"{path}: its schema is {version}, this code's is {len(MIGRATIONS)}: start the bot once")
    refuse_newer(path, version)
    return reader


def refuse_newer(path: Path, version: int) -> None:
    """Raise StorageError for a database that newer code has changed."""
    if version > len(MIGRATIONS):
        raise StorageError(f"{path}: its schema is {version}, this code's is {len(MIGRATIONS)}: update the bot")


async def connect(path: Path, mode: str, resources: AsyncExitStack) -> aiosqlite.Connection:
    """Open a connection in SQLite's `mode` "ro" or "rwc"; the first change begins a transaction."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"  # noqa: ASYNC240 - asks for the working directory, waits for nothing
    # What cannot be opened fails here: aiosqlite would leave a thread behind that outlives the loop and says so loudly.
    sqlite3.connect(uri, uri=True).close()
    return await resources.enter_async_context(
        aiosqlite.connect(uri, uri=True, isolation_level=BEGINS, timeout=BUSY_S, iter_chunk_size=_ROWS_AT_ONCE)
    )


def symbol_key(symbol: str) -> str:
    """Return what "xlm", "XLMUSDT", "XLM_USDT" and "XLM/USDT:USDT" have in common: "XLM"."""
    letters = "".join(filter(str.isalnum, symbol.upper()))
    return letters.removesuffix("USDT").removesuffix("USDT") or letters
