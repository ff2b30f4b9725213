"""Signals: what was decided and on what, how far those that are open have been followed, and how the others ended."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import orjson

from scoring.capture import Capture
from scoring.exits import start
from scoring.records import Closed, Kind
from scoring.signals import OpenSignal, Outcome, Signal
from storage.blobs import from_blob, to_blob
from storage.codec import from_plain
from storage.connection import Statement
from storage.database import Reader
from storage.following import CLOSED_COLUMNS, closed_from_row, outcome_from_row, outcome_to_row, tracking_to_row
from storage.rows import Row, to_fields, to_row
from storage.symbols import symbol_key

OPEN = "open"  #: in place of an ExitReason: a signal without an end

_COLUMNS = ("id", "decided_ms", "side", "venue", "instrument_id", "coin", "pair")

_INSERT = """
    INSERT INTO signals (id, decided_ms, side, venue, instrument_id, coin, pair, details)
    VALUES (:id, :decided_ms, :side, :venue, :instrument_id, :coin, :pair, :details)
"""
_INSERT_CAPTURE = "INSERT INTO captures (signal_id, capture) VALUES (:signal_id, :capture)"
_PUT_OPEN = "INSERT OR REPLACE INTO open_signals (signal_id, tracking) VALUES (:signal_id, :tracking)"
_DELETE_OPEN = "DELETE FROM open_signals WHERE signal_id = :signal_id"
_INSERT_OUTCOME = (
    "INSERT INTO outcomes (signal_id, exit_ms, reason, outcome) VALUES (:signal_id, :exit_ms, :reason, :outcome)"
)
_SHIFT_OPEN = """
    UPDATE signals SET decided_ms = decided_ms + :step_ms WHERE id NOT IN (SELECT signal_id FROM outcomes)
"""
_WITH_OUTCOMES = "SELECT * FROM signals LEFT JOIN outcomes ON signal_id = id"
_NEWEST = """
    SELECT * FROM signals LEFT JOIN outcomes ON signal_id = id
    WHERE id IN (SELECT max(id) FROM signals GROUP BY coin, strategy)
    ORDER BY exit_ms IS NOT NULL, id DESC LIMIT :limit
"""


def signal_to_row(signal: Signal) -> dict[str, Any]:
    """Return the row of `signals`."""
    return to_row(signal, _COLUMNS, "details")


def signal_from_row(row: Row) -> Signal:
    """Return the signal of a row of `signals`."""
    return from_plain(Signal, to_fields(row, _COLUMNS, "details"))


def open_signal_from_row(row: Row) -> OpenSignal:
    """Return the open signal of a row of `signals` joined with `open_signals`: it may not have been looked at yet."""
    if row["tracking"] is None:
        return start(signal_from_row(row))
    signal = to_fields(row, _COLUMNS, "details")
    return from_plain(OpenSignal, {"signal": signal, **orjson.loads(row["tracking"])})


def insert_signals(signals: Iterable[Signal]) -> Statement:
    """Return the statement that stores new signals."""
    return _INSERT, [signal_to_row(signal) for signal in signals]


def insert_captures(captures: Iterable[Capture]) -> Statement:
    """Return the statement that stores what signals were decided on."""
    return _INSERT_CAPTURE, [{"signal_id": one.signal_id, "capture": to_blob(one)} for one in captures]


def put_open_signals(open_signals: Iterable[OpenSignal]) -> Statement:
    """Return the statement that stores how far signals have been followed."""
    return _PUT_OPEN, [tracking_to_row(followed) for followed in open_signals]


def end_signal(outcome: Outcome) -> tuple[Statement, ...]:
    """Return the statements that store how a signal ended, and end its following."""
    return (_INSERT_OUTCOME, [outcome_to_row(outcome)]), (_DELETE_OPEN, [{"signal_id": outcome.signal_id}])


def shift_open_signals(step_ms: int) -> Statement:
    """Return the statement that moves the open signals by `step_ms`."""
    return _SHIFT_OPEN, [{"step_ms": step_ms}]


class Signals:
    """Reads signals and their outcomes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(
        self,
        symbol: str | None = None,
        since_ms: int | None = None,
        limit: int = 100,
        *,
        strategy: str | None = None,
        side: str | None = None,
        until_ms: int | None = None,
        ended: str | None = None,
    ) -> list[tuple[Signal, Outcome | None]]:
        """Return signals decided at `since_ms` or later, and before `until_ms`, with their outcomes, newest first.

        `symbol` is a coin, a pair or a venue's id, in any case and with or without USDT and separators;
        `ended` is an ExitReason, or OPEN.
        """
        return await self._select(
            f"{_WITH_OUTCOMES} WHERE (:symbol IS NULL"
            " OR :symbol IN (symbol_key(coin), symbol_key(pair), symbol_key(instrument_id)))"
            " AND (:since_ms IS NULL OR decided_ms >= :since_ms) AND (:side IS NULL OR side = :side)"
            " AND (:strategy IS NULL OR strategy = :strategy) AND (:until_ms IS NULL OR decided_ms < :until_ms)"
            f" AND (:ended IS NULL OR coalesce(reason, '{OPEN}') = :ended) ORDER BY id DESC LIMIT :limit",
            {
                "symbol": symbol and symbol_key(symbol),
                "since_ms": since_ms,
                "limit": limit,
                "strategy": strategy,
                "side": side,
                "until_ms": until_ms,
                "ended": ended,
            },
        )

    async def newest(self, limit: int = 100) -> list[tuple[Signal, Outcome | None]]:
        """Return the newest signal of each coin and strategy with its outcome, the open ones first."""
        return await self._select(
            _NEWEST,
            {"limit": limit},
        )

    async def get(self, signal_id: int) -> tuple[Signal, Outcome | None] | None:
        """Return one signal with its outcome, None where there is no such id."""
        found = await self._select(f"{_WITH_OUTCOMES} WHERE id = :id", {"id": signal_id})
        return found[0] if found else None

    async def closed(self, since_ms: int | None = None) -> list[tuple[Signal, Outcome]]:
        """Return the signals that ended at `since_ms` or later, in the order of their ends."""
        found = await self._select(
            f"{_WITH_OUTCOMES} WHERE exit_ms >= coalesce(:since_ms, 0) ORDER BY exit_ms, id", {"since_ms": since_ms}
        )
        return [(signal, outcome) for signal, outcome in found if outcome is not None]

    async def ended(self) -> int:
        """Return how many have ended."""
        ((count,),) = await self._reader.read("SELECT count(*) FROM outcomes")
        return int(count)

    async def closed_figures(self) -> AsyncIterator[Closed]:
        """Yield what the records need of every signal that has ended; the whole rows are never read."""
        sql = f"SELECT {CLOSED_COLUMNS} FROM outcomes JOIN signals ON signal_id = id ORDER BY id"  # noqa: S608 - SQL of ours
        async for row in self._reader.walk(sql):
            yield closed_from_row(row)

    async def open(self) -> tuple[OpenSignal, ...]:
        """Return the signals without an outcome, oldest first."""
        rows = await self._reader.read(
            "SELECT * FROM signals LEFT JOIN open_signals ON open_signals.signal_id = id"
            " WHERE id NOT IN (SELECT signal_id FROM outcomes) ORDER BY id"
        )
        return tuple(open_signal_from_row(row) for row in rows)

    async def capture(self, signal_id: int) -> Capture | None:
        """Return what a signal was decided on, None where that was not kept.

        Raises
        ------
        ValueError
            It cannot be read: older code kept it otherwise.
        """
        rows = await self._reader.read("SELECT capture FROM captures WHERE signal_id = :id", {"id": signal_id})
        return from_blob(Capture, rows[0]["capture"]) if rows else None

    async def current_kinds(self) -> list[Kind]:
        """Return the strategy, side and version of the latest signal of each strategy and side."""
        rows = await self._reader.read(
            "SELECT strategy, side, version FROM signals"
            " WHERE id IN (SELECT max(id) FROM signals GROUP BY strategy, side) ORDER BY strategy, side"
        )
        return [Kind(*row) for row in rows]

    async def scores(self, since_ms: int, strategy: str) -> list[float]:
        """Return the scores of the strategy's signals decided at `since_ms` or later."""
        rows = await self._reader.read(
            "SELECT score FROM signals WHERE decided_ms >= :since_ms AND strategy = :strategy",
            {"since_ms": since_ms, "strategy": strategy},
        )
        return [score for (score,) in rows]

    async def _select(self, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Signal, Outcome | None]]:
        rows = await self._reader.read(sql, parameters)
        # Thousands of rows take a second to decode, which a tick must not feel.
        return await asyncio.to_thread(lambda: [(signal_from_row(row), outcome_from_row(row)) for row in rows])
