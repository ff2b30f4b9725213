"""Past and future apart: what is fitted on earlier months is judged on the next, with a gap between the two."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, IntArray
from scoring.evidence.rows import DAY_MS

VWAP_MS = DAY_MS  #: features look back as far as this
LOCKED_DAYS = 30  #: the last days of a history: opened once, when all else is decided


class Fold(NamedTuple):
    """One step of a walk forward."""

    month: str  #: the month judged, such as 2026-03
    is_past: BoolArray  #: (n,) rows to fit on
    is_judged: BoolArray  #: (n,) rows of the month


def walk_forward(decided_ms: IntArray, signal_timeout_s: float, embargo_ms: int = DAY_MS) -> Iterator[Fold]:
    """Yield each UTC month but the first with the rows before it, less the purge.

    A past row must have ended, and the windows of the judged row's features must begin, before the other: so nothing
    decided within the signals' time-out, the 24 h of the VWAP and an embargo before the month is fitted on.

    References
    ----------
    Lopez de Prado (2018), Advances in financial machine learning, chapter 7.
    """
    times = decided_ms.astype("datetime64[ms]")
    months = times.astype("datetime64[M]")
    for month in np.unique(months)[1:]:
        begins_ms = int(month.astype("datetime64[ms]").astype(np.int64))
        until_ms = begins_ms - round(1000 * signal_timeout_s) - VWAP_MS - embargo_ms
        yield Fold(str(month), decided_ms < until_ms, months == month)


def is_open(decided_ms: IntArray) -> BoolArray:
    """Return which rows lie before the last LOCKED_DAYS of the history, (n,)."""
    last_day = int(decided_ms.max()) // DAY_MS if len(decided_ms) else 0
    return decided_ms // DAY_MS <= last_day - LOCKED_DAYS
