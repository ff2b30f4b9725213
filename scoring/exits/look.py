"""One tick's look at one instrument: all that the rules of an exit know of it."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from features.facts.market import Candles, FloatArray, IntArray, read_only
from scoring.signals import OpenSignal, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One tick's look at one instrument; NaN and empty where it saw nothing."""

    now_ms: int
    trade_time_ms: IntArray = field(default_factory=lambda: read_only([], np.int64))  #: (k,) ascending
    trade_price: FloatArray = field(default_factory=lambda: read_only([], np.float64))  #: (k,)
    tape_ms: int = 0  #: every print up to here has been seen; 0: no reply with prints came, not even an empty one
    lacks_prints: bool = False  #: some before it were not seen, and are not asked for
    best_bid: float = math.nan
    best_ask: float = math.nan
    price: float = math.nan  #: P; the mid of the quote where it is NaN
    ask_share: float = math.nan
    book_ms: int = 0  #: exchange time of the book that `ask_share` is from
    btc_return: float = math.nan  #: [fraction] over the BTC window
    funding_rate: float = math.nan  #: [fraction] per settlement
    funding_times_ms: tuple[int, ...] = ()  #: settlements since the tick before: `levels.settlement_times_ms`
    gap: str = ""  #: why a time before this look was not watched, e.g. "a restart"; "" where all was
    gap_from_ms: int = 0  #: where that time begins; 0: at the last look
    gap_until_ms: int = 0  #: where it ends, such as at the first print; 0: at this look
    candles: Candles | None = None  #: of the gap, from the minute it begins in; None: the venue has none
    asked_ms: int = 0  #: when the candles came; 0: at this look
    later_time_ms: IntArray = field(default_factory=lambda: read_only([], np.int64))  #: of prints seen until then
    later_price: FloatArray = field(default_factory=lambda: read_only([], np.float64))
    is_unsettled: bool = False  #: the venue has candles, but none came of the gap however often it was asked
    is_provisional: bool = False  #: no prints came for as long as a gap: without candles the quotes have to do
    is_delisted: bool = False
    is_unwatched: bool = False  #: the venue is no longer among EXCHANGES


def shift_look(look: Look, step_ms: int) -> Look:
    """Return a look that is not judged yet after the clock was set by `step_ms`."""
    return replace(
        look,
        trade_time_ms=look.trade_time_ms + step_ms,
        funding_times_ms=tuple(time_ms + step_ms for time_ms in look.funding_times_ms),
        **moved(look, ("now_ms", "tape_ms", "book_ms", "gap_from_ms", "gap_until_ms"), step_ms),
    )


def moved(record: OpenSignal | Look, names: tuple[str, ...], step_ms: int) -> dict[str, Any]:
    """Return the named times of a record, moved; 0 and None are no times."""
    times = {name: getattr(record, name) for name in names}
    return {name: time_ms + step_ms for name, time_ms in times.items() if time_ms}


def quotes(side: Side, look: Look) -> tuple[float, float]:
    """Return the quote at which the side enters, and that at which it leaves."""
    return (look.best_bid, look.best_ask) if side is Side.SHORT else (look.best_ask, look.best_bid)
