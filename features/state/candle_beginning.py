"""What is known of an instrument's closed candles, read from many of them at once."""

from collections.abc import Callable

import numpy as np

from features.candle_settings import CandleSettings
from features.facts.market import FloatArray, IntArray
from features.phenomena.indicators import RSI_PERIOD, Smoother, rows_without_hole, true_range
from features.phenomena.swings import Swings, at_rows, find_swings, last_leg, newest_rows
from features.phenomena.zones import find_blocks
from features.state.candle_track import KEPT_BLOCKS, KEPT_SWINGS, CandleTrack, empty_track


def begin(
    track: CandleTrack,
    columns: IntArray,
    candles: FloatArray,
    longer: FloatArray,
    newest_ms: int,
    longer_newest_ms: IntArray,
    settings: CandleSettings,
) -> None:
    """Write into `track` what is known of m instruments with these candles and no others.

    Parameters
    ----------
    track
        Of all instruments.
    columns
        (m,) whose.
    candles
        (3, rows, m) high, low, close, oldest first, NaN where missing.
    longer
        The same of the longer interval.
    newest_ms
        When the newest of `candles` opened [epoch ms].
    longer_newest_ms
        The same of `longer`, of each or of all.
    settings
        What a swing and a block are.
    """
    strength, interval_ms = settings.swing_strength, 1000 * settings.candle_interval_s
    high, low, close = candles = whole_part(candles)
    last = len(close) - 1
    fresh = empty_track(len(columns))
    fresh.whole_rows[:] = rows_without_hole(close)[-1]
    fresh.close[:] = close[-1]
    change = np.full_like(close, np.nan)
    change[1:] = close[1:] - close[:-1]
    ranges = true_range(high, low, close)
    moves = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0), ranges], axis=1)
    smoother = Smoother(moves.shape[1], RSI_PERIOD, 1 / RSI_PERIOD)
    means = smoother.run(moves)
    fresh.smoothed[:] = smoother.value.reshape(3, len(columns))

    def times(rows: IntArray) -> IntArray:
        return np.where(rows >= 0, newest_ms - (last - rows) * interval_ms, 0)

    swings = find_swings(high, low, strength)
    _set_swings(fresh.swing, fresh.swing_ms, swings, high, low, newest_ms, interval_ms)
    longer_high, longer_low, _ = longer = whole_part(longer)
    longer_swings = find_swings(longer_high, longer_low, strength)
    longer_ms = 1000 * settings.confirm_interval_s
    _set_swings(
        fresh.longer_swing, fresh.longer_swing_ms, longer_swings, longer_high, longer_low, longer_newest_ms, longer_ms
    )
    leg = last_leg(swings, high, low)
    fresh.kind[:], fresh.start[:], fresh.end[:] = leg.kind, leg.start, leg.end
    fresh.start_ms[:], fresh.end_ms[:] = times(leg.start_row), times(leg.end_row)
    rows, known_row = np.arange(len(close))[:, np.newaxis], leg.end_row + strength
    is_since, is_known = rows > leg.end_row, rows > known_row
    for name, is_counted, of_high, of_low in (
        ("back_before", is_since & ~is_known, low, high),
        ("back_since", is_known, low, high),
    ):
        lowest = np.where(is_counted, of_high, np.inf).min(axis=0)
        highest = np.where(is_counted, of_low, -np.inf).max(axis=0)
        found = np.where(leg.kind > 0, lowest, highest)
        getattr(fresh, name)[:] = np.where((leg.kind != 0) & np.isfinite(found), found, np.nan)
    highest = np.where(is_since, high, -np.inf).max(axis=0)
    lowest = np.where(is_since, low, np.inf).min(axis=0)
    fresh.beyond[:] = np.where(leg.kind != 0, np.where(leg.kind > 0, highest, lowest), np.nan)

    averages = means[:, 2 * len(columns) :]
    for side, way in enumerate((1, -1)):
        _begin_blocks(fresh, side, way, candles, swings, averages, times, settings)
    track.copy_columns(fresh, np.arange(len(columns)), columns)


def whole_part(candles: FloatArray) -> FloatArray:
    """Return candles, (k, rows, m) with the close last, without what lies before the last hole."""
    is_missing = np.isnan(candles[-1])
    if not is_missing.any():
        return candles
    first = candles.shape[1] - rows_without_hole(candles[-1])[-1]
    is_part = np.arange(candles.shape[1])[:, np.newaxis] >= first
    return np.where(is_part, candles, np.nan)


def _set_swings(
    prices: FloatArray,
    times: IntArray,
    swings: Swings,
    high: FloatArray,
    low: FloatArray,
    newest_ms: int | IntArray,
    interval_ms: int,
) -> None:
    if not len(high):
        return
    for side, (marks, values) in enumerate(((swings.is_high, high), (swings.is_low, low))):
        rows = newest_rows(marks, KEPT_SWINGS)
        prices[side] = at_rows(values, rows)
        times[side] = np.where(rows >= 0, newest_ms - (len(values) - 1 - rows) * interval_ms, 0)


def _begin_blocks(
    fresh: CandleTrack,
    side: int,
    way: int,
    candles: FloatArray,
    swings: Swings,
    averages: FloatArray,
    times: Callable[[IntArray], IntArray],
    settings: CandleSettings,
) -> None:
    high, low, close = candles
    n, strength = high.shape[1], settings.swing_strength
    blocks = find_blocks(
        high,
        low,
        close,
        swings,
        averages,
        np.full(n, way),
        strength=strength,
        max_atr=settings.block_max_atr,
        by_close=settings.block_dies_by_close,
    )
    place = np.zeros(n, np.int64)
    for one in range(len(blocks.row) - 1, -1, -1):
        column = blocks.column[one]
        if place[column] == KEPT_BLOCKS:
            continue
        at = side, place[column], column
        place[column] += 1
        fresh.block_ms[at] = times(blocks.born_row[one])
        if blocks.died_row[one] < 0:
            ends = way * blocks.bottom[one], way * blocks.top[one]
            fresh.block_low[at], fresh.block_high[at] = min(ends), max(ends)
    peaks, closes = (high, close) if way > 0 else (-low, -close)
    newest = newest_rows((swings.is_high, swings.is_low)[side], 1)
    is_after = np.arange(len(close))[:, np.newaxis] >= newest + strength
    is_broken = (is_after & (closes > at_rows(peaks, newest))).any(axis=0)
    fresh.broken_ms[side] = np.where(is_broken, times(newest[0]), 0)
    lows, columns = (low if way > 0 else -high), np.arange(n)
    since = np.where((newest >= 0) & (np.arange(len(close))[:, np.newaxis] > newest), lows, np.inf)
    at = len(close) - 1 - since[::-1].argmin(axis=0)  # the latest of equals
    fresh.since_low[side] = np.where(newest[0] >= 0, since[at, columns], np.nan)
    fresh.since_high[side] = np.where(newest[0] >= 0, peaks[at, columns], np.nan)
