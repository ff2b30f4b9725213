"""What closed candles say of one instrument once more: one candle after the other, over lists, written apart."""

import math
from dataclasses import dataclass, field

from tests.features.phenomena.scalar_levels import alternating, clusters, long_blocks, swing_rows, wilder_rsi


@dataclass
class Reading:
    """One instrument's; rows count from the first candle since the last hole."""

    whole_rows: int
    direction: int = 0
    start_row: int = -1
    end_row: int = -1
    start: float = math.nan
    end: float = math.nan
    back_before: float = math.nan
    back_since: float = math.nan
    beyond: float = math.nan
    rsi: float = math.nan
    atr: float = math.nan
    tolerance: float = math.nan
    levels: list[tuple[float, int]] = field(default_factory=list)
    swings: list[float] = field(default_factory=list)
    blocks: list[tuple[float, float]] = field(default_factory=list)


def wilder_atr(high: list[float], low: list[float], close: list[float], period: int = 14) -> list[float]:
    """Return Wilder's average true range in rows; NaN before row `period`."""
    result, average = [math.nan] * len(close), 0.0
    for row in range(1, len(close)):
        before = close[row - 1]
        true_range = max(high[row] - low[row], abs(high[row] - before), abs(low[row] - before))
        average = average + true_range / period if row <= period else (average * (period - 1) + true_range) / period
        if row >= period:
            result[row] = average
    return result


def hours(rows: list[list[float]], first_ms: int) -> list[list[float]]:
    """Return (high, low) of the whole hours of 15-minute candles, (high, low, close) each, from `first_ms` on."""
    skipped = (-first_ms // 900_000) % 4
    whole = rows[skipped:]
    quads = [whole[at : at + 4] for at in range(0, len(whole) - 3, 4)]
    return [[max(one[0] for one in four), min(one[1] for one in four)] for four in quads]


def read(
    high: list[float], low: list[float], close: list[float], first_ms: int, tick: float, strength: int = 5
) -> Reading:
    """Read candles without a hole, the first of which opened at `first_ms`, with the default settings."""
    reading = Reading(len(close))
    view = alternating(high, low, strength)
    if len(view) < 2:
        return reading
    start, end = view[-2:]
    up = 1 if end.kind == "H" else -1
    known = end.row + strength
    returned = low if up > 0 else high
    worst, best = (min, max) if up > 0 else (max, min)
    reading.direction, reading.start_row, reading.end_row = up, start.row, end.row
    reading.start, reading.end = start.price, end.price
    reading.back_before = worst(returned[end.row + 1 : known + 1])
    reading.back_since = worst(returned[known + 1 :], default=math.nan)
    reading.beyond = best((high if up > 0 else low)[end.row + 1 :])
    deepest = worst(reading.back_before, reading.back_since) if known + 1 < len(close) else reading.back_before
    height = abs(end.price - start.price)
    average = wilder_atr(high, low, close)
    is_over = up * reading.beyond > up * end.price or up * (end.price - deepest) >= 0.95 * height
    if is_over or 100 * height < 3 * min(start.price, end.price) or len(close) <= 14:
        return reading
    reading.rsi, reading.atr = wilder_rsi(close)[-1], average[-1]
    reading.tolerance = tolerance = max(0.1 / 100 * close[-1], 0.25 * average[-1], 2 * tick)

    def prices(highs: list[float], lows: list[float]) -> list[float]:
        tops = [highs[row] for row in swing_rows(highs, strength, 1)[-16:]]
        return tops + [lows[row] for row in swing_rows(lows, strength, -1)[-16:]]

    longer = hours([list(one) for one in zip(high, low, close, strict=True)], first_ms)
    others = clusters(prices([one[0] for one in longer], [one[1] for one in longer]), 2 * tolerance, 2)
    for level, touches in clusters(prices(high, low), 2 * tolerance, 2):
        confirming = sum(count for other, count in others if abs(other - level) <= tolerance)
        reading.levels.append((level, touches + 2 * confirming))
    rows = swing_rows(returned, strength, -up)[-6:][::-1]
    reading.swings = [returned[row] for row in rows if row not in (start.row, end.row)][:5]
    if up > 0:
        blocks = long_blocks(high, low, close, average, strength, 2.0)
    else:
        mirrored = [-price for price in low], [-price for price in high], [-price for price in close]
        blocks = long_blocks(*mirrored, average, strength, 2.0)
    living = [block for block in blocks[::-1][:8] if block.died < 0]
    reading.blocks = [(block.bottom, block.top) if up > 0 else (-block.top, -block.bottom) for block in living]
    return reading
