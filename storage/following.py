"""How far a signal, near miss or control has been followed and how it ended: the columns that all three share."""

from typing import Any

import orjson

from scoring.records import Closed, Kind
from scoring.signals import OpenSignal, Outcome
from storage.codec import from_plain, to_plain, to_text
from storage.rows import Row, to_fields, to_row

_OUTCOME = ("signal_id", "exit_ms", "reason")

#: the columns of a `Closed`, of a signal joined with its own outcome or with that of one of its controls
CLOSED_COLUMNS = """
    strategy, side, version, score, signals.decided_ms, json_type(outcome, '$.ideal') = 'object',
    json_extract(outcome, '$.reachable.net_percent'), json_extract(outcome, '$.reachable.r')
"""


def tracking_to_row(followed: OpenSignal) -> dict[str, Any]:
    """Return how far it has been followed, under `signal_id`; what is followed has a row of its own."""
    tracking = to_plain(followed)
    return {"signal_id": tracking.pop("signal")["id"], "tracking": to_text(tracking)}


def with_tracking(begun: OpenSignal, row: Row) -> OpenSignal:
    """Return how far it has been followed by the row's column `tracking`; `begun` where there was no look yet."""
    if row["tracking"] is None:
        return begun
    return from_plain(OpenSignal, {**to_plain(begun), **orjson.loads(row["tracking"])})


def outcome_to_row(outcome: Outcome, key: str = "signal_id") -> dict[str, Any]:
    """Return the row of a table of outcomes; `key` is its column for the outcome's `signal_id`."""
    row = to_row(outcome, _OUTCOME, "outcome")
    return {key: row.pop("signal_id"), **row}


def outcome_from_row(row: Row, key: str = "signal_id") -> Outcome | None:
    """Return the outcome of a row joined with a table of outcomes, None where there is none."""
    if row["outcome"] is None:
        return None
    return from_plain(Outcome, {"signal_id": row[key], **to_fields(row, _OUTCOME[1:], "outcome")})


def closed_from_row(row: Any, *, is_control: bool = False) -> Closed:
    """Return the figures of a row of CLOSED_COLUMNS."""
    strategy, side, version, *figures = row
    return Closed(Kind(strategy, side, version), *figures)._replace(is_control=is_control)
