"""Records to rows of the schema and back: columns for what people filter and sort by, JSON text for the rest."""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from scoring.controls import as_signal
from scoring.episodes import score_alone
from scoring.exits import start, start_near_miss
from scoring.signals import Control, NearMiss, OpenSignal, Outcome, Signal
from storage.codec import from_plain, to_json, to_plain, to_text
from storage.outbox import Button, DeliveryState, FollowUp, Kind, Lost, NewMessage, OutboxMessage, Priority

_SIGNAL = ("id", "decided_ms", "side", "venue", "instrument_id", "coin", "pair")
_OUTCOME = ("signal_id", "exit_ms", "reason")
_NEAR_MISS = ("decided_ms", "venue", "instrument_id", "coin")
_CONTROL = ("id", "signal_id", "arm", "decided_ms", "venue", "instrument_id", "coin")


class Row(Protocol):
    """A row as the database gives it."""

    def __getitem__(self, column: str, /) -> Any: ...


def signal_to_row(signal: Signal) -> dict[str, Any]:
    """Return the row of `signals`."""
    return _split(signal, _SIGNAL, "details")


def signal_from_row(row: Row) -> Signal:
    """Return the signal of a row of `signals`."""
    return from_plain(Signal, _join(row, _SIGNAL, "details"))


def outcome_to_row(outcome: Outcome) -> dict[str, Any]:
    """Return the row of `outcomes`."""
    return _split(outcome, _OUTCOME, "outcome")


def outcome_from_row(row: Row) -> Outcome | None:
    """Return the outcome of a row of `signals` joined with `outcomes`, None where it is still open."""
    return None if row["outcome"] is None else from_plain(Outcome, _join(row, _OUTCOME, "outcome"))


def open_signal_to_row(open_signal: OpenSignal) -> dict[str, Any]:
    """Return the row of `open_signals`; the signal itself has its own."""
    tracking = to_plain(open_signal)
    return {"signal_id": tracking.pop("signal")["id"], "tracking": to_text(tracking)}


def open_signal_from_row(row: Row) -> OpenSignal:
    """Return the open signal of a row of `signals` joined with `open_signals`: nobody may have looked at it yet."""
    if row["tracking"] is None:
        return start(signal_from_row(row))
    return from_plain(OpenSignal, {"signal": _join(row, _SIGNAL, "details"), **orjson.loads(row["tracking"])})


def near_miss_to_row(near_miss: NearMiss) -> dict[str, Any]:
    """Return the row of `near_misses`."""
    return {**_split(near_miss, _NEAR_MISS, "details"), "peak_score": score_alone(near_miss)}


def near_miss_from_row(row: Row) -> NearMiss:
    """Return the near miss of a row of `near_misses`."""
    return from_plain(NearMiss, _join(row, _NEAR_MISS, "details"))


def near_miss_outcome_to_row(outcome: Outcome) -> dict[str, Any]:
    """Return the row of `near_miss_outcomes`; the outcome's `signal_id` is the near miss's."""
    row = outcome_to_row(outcome)
    return {"near_miss_id": row.pop("signal_id"), **row}


def near_miss_outcome_from_row(row: Row) -> Outcome | None:
    """Return the outcome of a row of `near_misses` joined with `near_miss_outcomes`, None where there is none."""
    if row["outcome"] is None:
        return None
    return from_plain(Outcome, {**_join(row, _OUTCOME[1:], "outcome"), "signal_id": row["id"]})


def followed_from_row(row: Row) -> OpenSignal | None:
    """Return what is followed of a row of `near_misses` joined with `followed_near_misses`; None without levels."""
    followed = start_near_miss(near_miss_from_row(row), row["id"])
    if followed is None or row["tracking"] is None:
        return followed
    return from_plain(OpenSignal, {**to_plain(followed), **orjson.loads(row["tracking"])})


def control_to_row(control: Control) -> dict[str, Any]:
    """Return the row of `controls`."""
    return _split(control, _CONTROL, "details")


def control_from_row(row: Row) -> Control:
    """Return the control of a row of `controls`."""
    return from_plain(Control, _join(row, _CONTROL, "details"))


def followed_control_from_row(row: Row, signal: Signal) -> OpenSignal | None:
    """Return how far the control of a row of `controls` has been followed, None where it has not begun."""
    control = control_from_row(row)
    if control.levels is None:
        return None
    followed = start(as_signal(control, signal))
    if row["tracking"] is None:
        return followed
    return from_plain(OpenSignal, {**to_plain(followed), **orjson.loads(row["tracking"])})


def control_outcome_to_row(outcome: Outcome) -> dict[str, Any]:
    """Return the row of `control_outcomes`; the outcome's `signal_id` is the control's."""
    row = outcome_to_row(outcome)
    return {"control_id": row.pop("signal_id"), **row}


_NOTHING_LOST = Lost()


def message_to_row(message: NewMessage) -> dict[str, Any]:
    """Return the row of `outbox` for a message to be queued."""
    return {**to_plain(message), "buttons": to_json(message.buttons), "priority": Priority[message.kind.name]}


def follow_up_to_row(follow_up: FollowUp) -> dict[str, Any]:
    """Return what changes a row of `outbox`."""
    buttons = None if follow_up.buttons is None else to_json(follow_up.buttons)
    return {"signal_id": follow_up.signal_id, "html": follow_up.html, "buttons": buttons}


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


def _split(record: Any, columns: Sequence[str], rest: str) -> dict[str, Any]:
    plain = to_plain(record)
    row = {column: plain.pop(column) for column in columns}
    return {**row, rest: to_text(plain)}


def _join(row: Row, columns: Sequence[str], rest: str) -> dict[str, Any]:
    return {**{column: row[column] for column in columns}, **orjson.loads(row[rest])}
