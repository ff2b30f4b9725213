"""The readings of n instruments' closed candles: the leg, and the zones that support or resist on its way back.

A pure function of the last `WINDOW_ROWS` candles of each instrument, so that a restart, a replay and `why` read the
same to the bit. Of a leg that is over or too small only the leg itself is read.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.candle_settings import CandleSettings
from features.facts.market import FloatArray, IntArray
from features.phenomena.indicators import ATR_PERIOD, atr, rows_without_hole, rsi
from features.phenomena.swings import Leg, Swings, at_rows, find_swings, last_leg, newest_rows
from features.phenomena.zones import Clusters, find_blocks, find_clusters

WINDOW_ROWS = 240
CLUSTER_SWINGS = 16  #: highs, and as many lows, that clusters are made of
KEPT_LEVELS, KEPT_SWINGS, KEPT_BLOCKS = 16, 5, 8
CONFIRMED_WEIGHT = 2  #: a touch of the longer interval counts as many
OVER = 0.95  #: share of the leg from where on it has come back too far for anything


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleReadings:
    """Arrays are (n,) or (k, n) over instruments; prices in USDT, NaN where there is nothing."""

    closed_ms: IntArray  #: close of the newest candle [epoch ms], 0: none
    whole_rows: IntArray  #: candles since the last hole
    direction: IntArray  #: of the leg: 1 up, -1 down, 0 none
    start: FloatArray  #: price of the leg's start: its low where it goes up
    end: FloatArray
    start_ms: IntArray  #: when the candle of the start opened [epoch ms], 0: no leg
    end_ms: IntArray
    known_ms: IntArray  #: the close from which on the end is known
    known_rows: IntArray  #: candles since then
    back_before: FloatArray  #: how far the price came back before the end was known: the lowest low of an up leg
    back_since: FloatArray  #: the same in the candles since
    beyond: FloatArray  #: the farthest price beyond the end: the highest high after an up leg
    close: FloatArray  #: of the newest candle
    rsi: FloatArray
    atr: FloatArray
    tolerance: FloatArray  #: what counts as near a level
    level: FloatArray  #: (k, n) clusters, the lowest first
    touches: IntArray  #: (k, n) theirs, those of the longer interval with their weight
    swing: FloatArray  #: (k, n) lows of an up leg, highs of a down leg, the newest first, without its own ends
    block_bottom: FloatArray  #: (k, n) living order blocks of the leg's direction, the newest first
    block_top: FloatArray

    def put(self, columns: IntArray, others: "CandleReadings") -> None:
        """Write the readings of m instruments into these columns."""
        for one in fields(self):
            getattr(self, one.name)[..., columns] = getattr(others, one.name)


def no_readings(n: int) -> CandleReadings:
    """Return the readings of instruments without candles."""
    rows = {"level": KEPT_LEVELS, "touches": KEPT_LEVELS, "swing": KEPT_SWINGS}
    rows |= {"block_bottom": KEPT_BLOCKS, "block_top": KEPT_BLOCKS}
    empty: dict[str, Any] = {}
    for one in fields(CandleReadings):
        shape = (rows[one.name], n) if one.name in rows else (n,)
        is_whole = one.type is IntArray
        empty[one.name] = np.zeros(shape, np.int64) if is_whole else np.full(shape, np.nan)
    return CandleReadings(**empty)


def read_candles(
    candles: FloatArray,
    longer: Callable[[IntArray], FloatArray],
    newest_ms: IntArray,
    tick_size: FloatArray,
    settings: CandleSettings,
) -> CandleReadings:
    """Read the candles of m instruments.

    Parameters
    ----------
    candles
        (3, rows, m) high, low, close, oldest first, each instrument's newest in the last row; NaN where missing.
    longer
        Returns the same of the longer interval, of some of the m.
    newest_ms
        (m,) when the newest opened [epoch ms].
    tick_size
        (m,) [USDT]; two ticks count as near whatever else says.
    settings
        What a swing, a level and a block are.
    """
    candles = _whole_part(candles)
    high, low, close = candles
    interval_ms, strength = 1000 * settings.candle_interval_s, settings.swing_strength
    swings = find_swings(high, low, strength)
    leg = last_leg(swings, high, low)
    rows, last = np.arange(len(high))[:, np.newaxis], len(high) - 1
    exists, known_row = leg.direction != 0, leg.end_row + strength
    way = np.where(leg.direction < 0, -1, 1)
    back, ahead = np.where(way > 0, low, -high), np.where(way > 0, high, -low)
    with np.errstate(invalid="ignore"):
        back_before = way * _lowest(back, (rows > leg.end_row) & (rows <= known_row))
        back_since = way * _lowest(back, rows > known_row)
        beyond = -way * _lowest(-ahead, rows > leg.end_row)
    readings = no_readings(len(leg.direction))
    readings.closed_ms[...] = newest_ms + interval_ms
    readings.whole_rows[...] = rows_without_hole(close)[-1]
    readings.direction[...] = leg.direction
    readings.close[...] = close[-1]
    for name, row in (("start_ms", leg.start_row), ("end_ms", leg.end_row)):
        getattr(readings, name)[...] = np.where(exists, newest_ms - (last - row) * interval_ms, 0)
    readings.known_ms[...] = np.where(exists, readings.end_ms + (strength + 1) * interval_ms, 0)
    readings.known_rows[...] = np.where(exists, last - known_row, 0)
    for name, price in (("start", leg.start), ("end", leg.end), ("beyond", beyond)):
        getattr(readings, name)[...] = np.where(exists, price, np.nan)
    readings.back_before[...] = np.where(exists, back_before, np.nan)
    readings.back_since[...] = np.where(exists & np.isfinite(back_since), back_since, np.nan)

    deepest, height = np.fmin(way * back_before, way * back_since), np.abs(leg.end - leg.start)
    is_open = exists & ~(way * beyond > way * leg.end) & (deepest > way * leg.end - OVER * height)
    is_large = 100 * height >= settings.min_range_percent * np.minimum(leg.start, leg.end)
    alive = np.flatnonzero(is_open & is_large & (readings.whole_rows > ATR_PERIOD))
    if len(alive):
        chosen = Swings(swings.is_high[:, alive], swings.is_low[:, alive])
        its_leg = Leg(leg.direction[alive], leg.start_row[alive], leg.end_row[alive], leg.start[alive], leg.end[alive])
        _add_zones(
            readings,
            alive,
            candles[:, :, alive],
            _whole_part(longer(alive)),
            chosen,
            its_leg,
            tick_size[alive],
            settings,
        )
    return readings


def _add_zones(
    readings: CandleReadings,
    columns: IntArray,
    candles: FloatArray,
    longer: FloatArray,
    swings: Swings,
    leg: Leg,
    tick_size: FloatArray,
    settings: CandleSettings,
) -> None:
    high, low, close = candles
    ranges = atr(high, low, close)
    tolerance = np.maximum(settings.tolerance_percent / 100 * close[-1], settings.tolerance_atr * ranges[-1])
    tolerance = np.maximum(tolerance, 2 * tick_size)
    readings.rsi[columns] = rsi(close)[-1]
    readings.atr[columns] = ranges[-1]
    readings.tolerance[columns] = tolerance

    found = _clusters(high, low, swings, tolerance, settings)
    longer_high, longer_low, _ = longer
    longer_swings = find_swings(longer_high, longer_low, settings.swing_strength)
    others = _clusters(longer_high, longer_low, longer_swings, tolerance, settings)
    is_confirmed = np.abs(found.level[:, np.newaxis] - others.level[np.newaxis]) <= tolerance
    confirmed = (is_confirmed * others.touches[np.newaxis]).sum(axis=1)
    readings.level[:, columns] = found.level
    readings.touches[:, columns] = found.touches + CONFIRMED_WEIGHT * confirmed

    rows = newest_rows(np.where(leg.direction > 0, swings.is_low, swings.is_high), KEPT_SWINGS + 1)
    rows = np.where((rows == leg.start_row) | (rows == leg.end_row), -1, rows)
    rows = np.take_along_axis(rows, np.argsort(rows < 0, axis=0, kind="stable"), axis=0)[:KEPT_SWINGS]
    readings.swing[:, columns] = at_rows(np.where(leg.direction > 0, low, high), rows)

    blocks = find_blocks(
        high,
        low,
        close,
        swings,
        ranges,
        leg.direction,
        strength=settings.swing_strength,
        max_atr=settings.block_max_atr,
        by_close=settings.block_dies_by_close,
    )
    living = np.flatnonzero(blocks.died_row < 0)[::-1]
    place = np.zeros(len(columns), np.int64)
    for one in living.tolist():  # few
        column = blocks.column[one]
        if place[column] < KEPT_BLOCKS:
            readings.block_bottom[place[column], columns[column]] = blocks.bottom[one]
            readings.block_top[place[column], columns[column]] = blocks.top[one]
            place[column] += 1


def _whole_part(candles: FloatArray) -> FloatArray:
    # what is before the last hole is as if it were not there
    is_missing = np.isnan(candles[2])
    if not is_missing.any():
        return candles
    first = candles.shape[1] - rows_without_hole(candles[2])[-1]
    is_part = np.arange(candles.shape[1])[:, np.newaxis] >= first
    return np.where(is_part, candles, np.nan)


def _lowest(values: FloatArray, chosen: Any) -> FloatArray:
    return np.asarray(np.where(chosen, values, np.inf).min(axis=0))


def _clusters(
    high: FloatArray, low: FloatArray, swings: Swings, tolerance: FloatArray, settings: CandleSettings
) -> Clusters:
    highs = at_rows(high, newest_rows(swings.is_high, CLUSTER_SWINGS))
    lows = at_rows(low, newest_rows(swings.is_low, CLUSTER_SWINGS))
    found = find_clusters(np.concatenate([highs, lows]), 2 * tolerance, settings.min_touches)
    order = np.argsort(np.isnan(found.level), axis=0, kind="stable")[:KEPT_LEVELS]
    return Clusters(np.take_along_axis(found.level, order, axis=0), np.take_along_axis(found.touches, order, axis=0))
