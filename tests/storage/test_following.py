"""How far something has been followed and how it ended, also as older code has written it."""

import json

from storage.codec import to_json
from storage.following import outcome_from_row, outcome_to_row
from storage.signals import open_signal_from_row, signal_to_row
from tests.storage.builders import (
    DECIDED_MS,
    make_outcome,
    make_signal,
)


def test_rows_of_before() -> None:
    """An open signal and an outcome as older code has written them load, with nothing known of what they lack."""
    signal = make_signal(1)
    old = {"looked_ms": DECIDED_MS + 9000, "best_price": 0.0000123, "worst_price": 0.0000124, "flips_running": 1}
    old |= {"reachable_entry": 0.0000123, "last_book_ms": DECIDED_MS, "funding_paid_percent": 0.5}
    loaded = open_signal_from_row({**signal_to_row(signal), "tracking": to_json(old)})
    assert (loaded.looked_ms, loaded.funding_paid_percent, loaded.flips_running) == (DECIDED_MS + 9000, 0.5, 1)
    assert (loaded.reachable_ms, loaded.settlements, loaded.tape_ms) == (None, (), 0)
    row = outcome_to_row(make_outcome())
    kept = json.loads(row["outcome"])
    del kept["reachable_ms"], kept["unreachable"]
    assert outcome_from_row({**row, "outcome": to_json(kept)}) == make_outcome()
