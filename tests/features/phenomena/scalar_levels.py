"""Swings, legs, clusters and blocks of one instrument once more, as plain loops over lists, written apart."""

import math
from dataclasses import dataclass


def swing_rows(prices: list[float], strength: int, sign: int) -> list[int]:
    """Return the rows of swing highs (`sign` 1) or lows (-1)."""
    found = []
    for row in range(strength, len(prices) - strength):
        before = [sign * price for price in prices[row - strength : row]]
        after = [sign * price for price in prices[row + 1 : row + strength + 1]]
        here = sign * prices[row]
        if all(here > price for price in before) and all(here >= price for price in after):
            found.append(row)
    return found


@dataclass
class Point:
    row: int
    kind: str
    price: float


def alternating(high: list[float], low: list[float], strength: int) -> list[Point]:
    """Return the swings with runs of one kind reduced to their most extreme, earliest first."""
    points = [Point(row, "H", high[row]) for row in swing_rows(high, strength, 1)]
    points += [Point(row, "L", low[row]) for row in swing_rows(low, strength, -1)]
    points.sort(key=lambda point: (point.row, point.kind))
    view: list[Point] = []
    for point in points:
        if view and view[-1].kind == point.kind:
            if point.kind == "H" and point.price > view[-1].price:
                view[-1] = point
            if point.kind == "L" and point.price < view[-1].price:
                view[-1] = point
        else:
            view.append(point)
    return view


def clusters(prices: list[float], width: float, min_touches: int) -> list[tuple[float, int]]:
    """Return (level, touches) from the lowest up."""
    runs: list[list[float]] = []
    for price in sorted(price for price in prices if not math.isnan(price)):
        if runs and price - runs[-1][0] <= width:
            runs[-1].append(price)
        else:
            runs.append([price])
    return [(sum(run) / len(run), len(run)) for run in runs if len(run) >= min_touches]


@dataclass
class Block:
    row: int
    born: int
    died: int
    bottom: float
    top: float


def long_blocks(
    high: list[float], low: list[float], close: list[float], atr: list[float], strength: int, max_atr: float
) -> list[Block]:
    """Return the LONG blocks by their birth."""
    highs = swing_rows(high, strength, 1)
    broken: set[int] = set()
    blocks: list[Block] = []
    for row, price in enumerate(close):
        known = [swing for swing in highs if swing + strength <= row]
        if not known or known[-1] in broken or not price > high[known[-1]]:
            continue
        broken.add(known[-1])
        lowest = min(low[known[-1] + 1 : row])
        at = max(between for between in range(known[-1] + 1, row) if low[between] == lowest)
        if high[at] - low[at] < max_atr * atr[row]:
            later = [age for age in range(row + 1, len(close)) if low[age] < low[at] or age - row >= 240]
            blocks.append(Block(at, row, later[0] if later else -1, low[at], high[at]))
    return blocks


def wilder_rsi(close: list[float], period: int = 14) -> list[float]:
    """Return Wilder's RSI in rows; NaN before row `period`."""
    result = [math.nan] * len(close)
    gain = loss = 0.0
    for row in range(1, len(close)):
        change = close[row] - close[row - 1]
        if row <= period:
            gain += max(change, 0) / period
            loss += max(-change, 0) / period
        else:
            gain = (gain * (period - 1) + max(change, 0)) / period
            loss = (loss * (period - 1) + max(-change, 0)) / period
        if row >= period:
            result[row] = 50.0 if gain + loss == 0 else 100 * gain / (gain + loss)
    return result
