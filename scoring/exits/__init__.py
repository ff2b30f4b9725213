"""How an open signal ends (docs/exits.md); these are the names that other rooms use."""

from scoring.exits.ending import MINUTE_MS
from scoring.exits.follow import follow
from scoring.exits.gap import TIMEOUT_LATE_MS
from scoring.exits.look import Look, shift_look
from scoring.exits.open_signal import (
    funded_ms,
    note_funding,
    shift_clock,
    start,
    start_near_miss,
    timeout_ms,
)

__all__ = [
    "MINUTE_MS",
    "TIMEOUT_LATE_MS",
    "Look",
    "follow",
    "funded_ms",
    "note_funding",
    "shift_clock",
    "shift_look",
    "start",
    "start_near_miss",
    "timeout_ms",
]
