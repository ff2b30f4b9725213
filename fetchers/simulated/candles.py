"""Candles made of prints, so that they hold every price that traded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from features.facts.market import FloatArray, IntArray
from fetchers.simulated.prints import Prints

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle of one row; volume in base coin, turnover in USDT."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    count: int


def candle_along(open_ms: int, path: FloatArray, *, volume: float, turnover: float, count: int) -> Candle:
    """Return the candle of a price that goes along these points."""
    return Candle(
        open_ms=open_ms,
        open=float(path[0]),
        high=float(path.max()),
        low=float(path.min()),
        close=float(path[-1]),
        volume=volume,
        turnover=turnover,
        count=count,
    )


#: of a venue's row, between two opens [epoch ms], as known at a time, of an interval [ms]
CandlesOf: TypeAlias = Callable[[str, str, int, int, int, int], list[Candle]]


def candles_of(prints: Prints, tick: float, opens_ms: IntArray, price_before: float) -> list[Candle]:
    """Return the minutes that begin at `opens_ms`; one without prints repeats the close before it."""
    edges = np.searchsorted(prints.time_ms, np.append(opens_ms, opens_ms[-1] + MINUTE_MS))
    price = prints.price_ticks * tick
    close = price_before
    candles = []
    for open_ms, first, last in zip(opens_ms.tolist(), edges[:-1], edges[1:], strict=True):
        quantity = prints.quantity[first:last]
        traded = price[first:last] if last > first else np.array([close])
        close = float(traded[-1])
        candles.append(
            Candle(
                open_ms=open_ms,
                open=float(traded[0]),
                high=float(traded.max()),
                low=float(traded.min()),
                close=close,
                volume=float(quantity.sum()),
                turnover=float(quantity @ price[first:last]),
                count=int(last - first),
            )
        )
    return candles
