"""Controls: what chance has drawn beside each alert, followed and ended like it (docs/record.md)."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from scoring.controls import as_signal
from scoring.exits import start
from scoring.records import Closed
from scoring.signals import Arm, Control, OpenSignal, Outcome, Signal
from storage.codec import from_plain
from storage.connection import Statement
from storage.database import Reader
from storage.following import (
    CLOSED_COLUMNS,
    closed_from_row,
    outcome_from_row,
    outcome_to_row,
    tracking_to_row,
    with_tracking,
)
from storage.rows import Row, to_fields, to_row
from storage.signals import signal_from_row

_COLUMNS = ("id", "signal_id", "arm", "decided_ms", "venue", "instrument_id", "coin")

_INSERT = """
    INSERT INTO controls (id, signal_id, arm, decided_ms, venue, instrument_id, coin, details)
    VALUES (:id, :signal_id, :arm, :decided_ms, :venue, :instrument_id, :coin, :details)
"""
_BEGIN = "UPDATE controls SET decided_ms = :decided_ms, details = :details WHERE id = :id"
_TRACK = "UPDATE controls SET tracking = :tracking WHERE id = :signal_id"
_INSERT_OUTCOME = """
    INSERT INTO control_outcomes (control_id, exit_ms, reason, outcome)
    VALUES (:control_id, :exit_ms, :reason, :outcome)
"""
_OPEN = "id NOT IN (SELECT control_id FROM control_outcomes)"
_SHIFT = f"UPDATE controls SET decided_ms = decided_ms + :step_ms WHERE {_OPEN}"  # noqa: S608 - SQL of ours
_ENDED = "control_outcomes JOIN controls ON controls.id = control_id JOIN signals ON signals.id = signal_id"

#: with its alert's signal, and followed under its own id; None: it has not begun
OpenControl = tuple[Control, Signal, OpenSignal | None]


def control_to_row(control: Control) -> dict[str, Any]:
    """Return the row of `controls`."""
    return to_row(control, _COLUMNS, "details")


def control_from_row(row: Row) -> Control:
    """Return the control of a row of `controls`."""
    return from_plain(Control, to_fields(row, _COLUMNS, "details"))


def followed_from_row(row: Row, signal: Signal) -> OpenSignal | None:
    """Return how far the control of a row of `controls` has been followed, None where it has not begun."""
    control = control_from_row(row)
    return None if control.levels is None else with_tracking(start(as_signal(control, signal)), row)


def insert_controls(controls: Iterable[Control]) -> Statement:
    """Return the statement that stores what was drawn."""
    return _INSERT, [control_to_row(control) for control in controls]


def begin_controls(controls: Iterable[Control]) -> Statement:
    """Return the statement that stores the beginning of controls that were drawn for later."""
    return _BEGIN, [control_to_row(control) for control in controls]


def track_controls(followed: Iterable[OpenSignal]) -> Statement:
    """Return the statement that stores how far controls have been followed, each under its own id."""
    return _TRACK, [tracking_to_row(one) for one in followed]


def end_controls(outcomes: Iterable[Outcome]) -> Statement:
    """Return the statement that stores how controls ended, each under its own id."""
    return _INSERT_OUTCOME, [outcome_to_row(outcome, "control_id") for outcome in outcomes]


def shift_controls(step_ms: int) -> Statement:
    """Return the statement that moves the controls without an outcome by `step_ms`."""
    return _SHIFT, [{"step_ms": step_ms}]


class Controls:
    """Reads controls and their outcomes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def of_signal(self, signal_id: int) -> list[tuple[Control, Outcome | None]]:
        """Return the controls that were drawn with a signal, each with its outcome; None: it has not ended."""
        rows = await self._reader.read(
            "SELECT * FROM controls LEFT JOIN control_outcomes ON control_id = id"
            " WHERE signal_id = :signal_id ORDER BY id",
            {"signal_id": signal_id},
        )
        return [(control_from_row(row), outcome_from_row(row, "control_id")) for row in rows]

    async def closed(self, since_ms: int | None = None) -> list[tuple[Signal, Outcome]]:
        """Return the controls that ended at `since_ms` or later, each as its alert's signal with its own outcome."""
        rows = await self._reader.read(
            f"SELECT signals.*, control_outcomes.*, signal_id FROM {_ENDED}"  # noqa: S608 - SQL of ours
            " WHERE exit_ms >= coalesce(:since_ms, 0) ORDER BY exit_ms, control_id",
            {"since_ms": since_ms},
        )
        found = await asyncio.to_thread(lambda: [(signal_from_row(row), outcome_from_row(row)) for row in rows])
        return [(signal, outcome) for signal, outcome in found if outcome is not None]

    async def closed_figures(self) -> AsyncIterator[Closed]:
        """Yield what the records need of every control that has ended; the whole rows are never read."""
        async for row in self._reader.walk(f"SELECT {CLOSED_COLUMNS} FROM {_ENDED} ORDER BY controls.id"):  # noqa: S608 - SQL of ours
            yield closed_from_row(row, is_control=True)

    async def results(self) -> list[tuple[int, Arm, float]]:
        """Return (alert's id, arm, R from the reachable price) of the controls that have such a result."""
        rows = await self._reader.read(
            "SELECT signal_id, arm, json_extract(outcome, '$.reachable.r') AS r"
            " FROM control_outcomes JOIN controls ON controls.id = control_id WHERE r IS NOT NULL ORDER BY control_id"
        )
        return [(row["signal_id"], Arm(row["arm"]), row["r"]) for row in rows]

    async def open(self) -> tuple[OpenControl, ...]:
        """Return the controls without an outcome, oldest first."""
        rows = await self._reader.read(f"SELECT * FROM controls WHERE {_OPEN} ORDER BY id")  # noqa: S608 - SQL of ours
        alerts = await self._reader.read(
            f"SELECT * FROM signals WHERE id IN (SELECT signal_id FROM controls WHERE {_OPEN})"  # noqa: S608 - SQL of ours
        )
        drawn_with = {row["id"]: signal_from_row(row) for row in alerts}
        return tuple(
            (control_from_row(row), signal, followed_from_row(row, signal))
            for row in rows
            if (signal := drawn_with.get(row["signal_id"])) is not None
        )
