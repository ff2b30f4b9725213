"""Cumulative bands of depth as a book of few levels whose weighted depth is the bands' own.

The weighted depth W(b) = sum p q (1 - d / b) of docs/features.md is the mean of the cumulative curve N over 0…b. With N
known at 0, 0.2 and 1 % the trapezoid gives W(1 %) = 0.5 N(0.2) + 0.4 N(1). Levels in the middle of each stretch, worth
what the stretch adds, give the same: N(0.2) at 0.1 % and N(1) - N(0.2) at 0.6 %. They are so few that no wall is seen.
"""

import math

import numpy as np

from features.facts.market import FloatArray, OrderBook
from fetchers.archives.vision import BANDS

LEVELS_ASKED = 100  #: more than there are, so that the book counts as whole
_FIRST = 1e-9  #: of the inner band's notional, for the best price itself


def book_of_bands(
    venue: str, instrument_id: str, notional: FloatArray, best: tuple[float, float], *, exchange_ms: int, seen_ms: int
) -> OrderBook | None:
    """Return the book of one snapshot, None where a side within 1 % or a best price is missing.

    `notional` [USDT] is cumulative from the mid in the order of `vision.BANDS`, (12,), NaN at 0.2 % where that is not
    published; `best` are bid and ask [USDT] as the last prints show them.
    """
    bid, ask = best
    if not bid < ask:
        return None
    mid = (bid + ask) / 2
    sides = []
    for direction, price, inner, outer in ((-1, bid, 5, 4), (1, ask, 6, 7)):
        total = float(notional[outer])
        if not total > 0:
            return None
        near = float(notional[inner])
        stretches = [(0.5, total)] if math.isnan(near) else [(0.1, near), (0.6, total - near)]
        levels = [(price, total * _FIRST)] if abs(price / mid - 1) < stretches[0][0] / 100 else []
        levels += [(_short(mid * (1 + direction * percent / 100)), worth) for percent, worth in stretches if worth > 0]
        sides.append(np.array([[level for level, _ in levels], [_short(worth / level) for level, worth in levels]]))
    return OrderBook(
        venue=venue,
        id=instrument_id,
        bids=sides[0],
        asks=sides[1],
        levels_asked=LEVELS_ASKED,
        exchange_ms=exchange_ms,
        received_ms=seen_ms,
    )


def bands_of_book(bids: FloatArray, asks: FloatArray) -> FloatArray:
    """Return the cumulative notional [USDT] of a book in the order of `vision.BANDS`, (12,), as the archive has it.

    NaN where a side of the book does not reach a band's end.
    """
    mid = (bids[0, 0] + asks[0, 0]) / 2
    found = []
    for band in BANDS:
        price, quantity = bids if band < 0 else asks
        distance = np.abs(price / mid - 1)
        inside = distance <= abs(band) / 100
        found.append(float((price * quantity)[inside].sum()) if distance[-1] >= abs(band) / 100 else math.nan)
    return np.array(found)


def _short(value: float) -> float:
    # to nine digits: what is made up needs no more, and a tape keeps short numbers in less room
    return round(value, 8 - math.floor(math.log10(value)))
