"""The readings of n instruments' closed candles: the leg, and the zones that support or resist on its way back.

A pure function of what is known of the candles (`features.state.candle_track`). Of a leg that is over or too small only
the leg itself is read.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.candle_settings import CandleSettings
from features.facts.market import FloatArray, IntArray
from features.phenomena.zones import BLOCK_ROWS, Clusters, find_clusters
from features.state.candle_track import KEPT_BLOCKS, KEPT_SWINGS, CandleTrack

KEPT_LEVELS, NEAR_SWINGS = 16, 5
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


OF_LEG = ("start", "end", "back_before", "back_since", "beyond")
ZONES = ("rsi", "atr", "tolerance", "level", "touches", "swing", "block_bottom", "block_top")
_NAMES = {one.name: one.type for one in fields(CandleReadings)}
_ROWS = {"level": KEPT_LEVELS, "touches": KEPT_LEVELS, "swing": NEAR_SWINGS}
_ROWS |= {"block_bottom": KEPT_BLOCKS, "block_top": KEPT_BLOCKS}


def no_readings(n: int, names: Collection[str] = _NAMES) -> dict[str, Any]:
    """Return these readings of instruments without candles, by name."""
    rows = {name: (_ROWS[name], n) if name in _ROWS else (n,) for name in names}
    return {
        name: np.zeros(shape, np.int64) if _NAMES[name] is IntArray else np.full(shape, np.nan)
        for name, shape in rows.items()
    }


def read_candles(
    track: CandleTrack, columns: IntArray, newest_ms: IntArray, tick_size: FloatArray, settings: CandleSettings
) -> CandleReadings:
    """Read the candles of m instruments.

    Parameters
    ----------
    track
        What is known of all instruments' candles.
    columns
        (m,) whose.
    newest_ms
        (m,) when their newest candles opened [epoch ms], 0: there are none.
    tick_size
        (m,) [USDT]; two ticks count as near whatever else says.
    settings
        What a swing, a level and a block are.
    """
    interval_ms, strength = 1000 * settings.candle_interval_s, settings.swing_strength
    start_ms, end_ms = track.start_ms[columns], track.end_ms[columns]
    exists = start_ms > 0
    known_ms = end_ms + (strength + 1) * interval_ms
    closed_ms = newest_ms + interval_ms
    atr = track.atr(columns)
    found = no_readings(len(columns), ZONES)
    found |= {name: np.where(exists, getattr(track, name)[columns], np.nan) for name in OF_LEG}
    found |= {name: getattr(track, name)[columns] for name in ("whole_rows", "close", "start_ms")}
    readings = CandleReadings(
        **found,
        closed_ms=np.where(newest_ms > 0, closed_ms, 0),
        direction=np.where(exists, track.kind[columns], 0),
        end_ms=np.where(exists, end_ms, 0),
        known_ms=np.where(exists, known_ms, 0),
        known_rows=np.where(exists, (closed_ms - known_ms) // interval_ms, 0),
    )

    way, start, end = readings.direction, readings.start, readings.end
    deepest, height = np.fmin(way * readings.back_before, way * readings.back_since), np.abs(end - start)
    is_open = exists & ~(way * readings.beyond > way * end) & (deepest > way * end - OVER * height)
    is_large = 100 * height >= settings.min_range_percent * np.minimum(start, end)
    alive = np.flatnonzero(is_open & is_large & ~np.isnan(atr))
    if len(alive):
        _add_zones(readings, track, alive, columns[alive], atr[alive], tick_size[alive], settings)
    return readings


def _add_zones(
    readings: CandleReadings,
    track: CandleTrack,
    here: IntArray,
    columns: IntArray,
    atr: FloatArray,
    tick_size: FloatArray,
    settings: CandleSettings,
) -> None:
    # `here` are places in the readings, `columns` those of the same instruments in the track
    close = readings.close[here]
    tolerance = np.maximum(settings.tolerance_percent / 100 * close, settings.tolerance_atr * atr)
    tolerance = np.maximum(tolerance, 2 * tick_size)
    readings.rsi[here], readings.atr[here], readings.tolerance[here] = track.rsi(columns), atr, tolerance

    prices = np.concatenate([track.swing[:, :, columns], track.longer_swing[:, :, columns]], axis=2)
    found, others = _clusters(prices.reshape(2 * KEPT_SWINGS, -1), np.tile(2 * tolerance, 2), settings)
    confirmed = np.zeros(found.touches.shape, np.int64)
    for level, touches in zip(others.level, others.touches, strict=True):
        confirmed += np.where(np.abs(found.level - level) <= tolerance, touches, 0)
    readings.level[: len(found.level), here] = found.level
    readings.touches[: len(found.level), here] = found.touches + CONFIRMED_WEIGHT * confirmed

    is_up = readings.direction[here] > 0
    side = np.where(is_up, 1, 0)
    swing, swing_ms = (one[side, : NEAR_SWINGS + 1, columns].T for one in (track.swing, track.swing_ms))
    is_own = (swing_ms == readings.start_ms[here]) | (swing_ms == readings.end_ms[here])
    order = np.argsort(is_own, axis=0, kind="stable")[:NEAR_SWINGS]
    readings.swing[:, here] = np.take_along_axis(np.where(is_own, np.nan, swing), order, axis=0)

    side = np.where(is_up, 0, 1)
    born_ms = track.block_ms[side, :, columns].T
    is_old = readings.closed_ms[here] - born_ms > BLOCK_ROWS * 1000 * settings.candle_interval_s
    low = np.where(is_old, np.nan, track.block_low[side, :, columns].T)
    order = np.argsort(np.isnan(low), axis=0, kind="stable")
    low = np.take_along_axis(low, order, axis=0)
    high = np.take_along_axis(track.block_high[side, :, columns].T, order, axis=0)
    readings.block_bottom[:, here] = np.where(is_up, low, -high)
    readings.block_top[:, here] = np.where(np.isnan(low), np.nan, np.where(is_up, high, -low))


def _clusters(prices: FloatArray, width: FloatArray, settings: CandleSettings) -> tuple[Clusters, Clusters]:
    # those of the first half of the columns and of the second, no more rows than there are levels
    found = find_clusters(prices, width, settings.min_touches)
    n, half = prices.shape[1], prices.shape[1] // 2
    column, row = np.nonzero((found.touches > 0).T)  # column by column, the lowest first
    counts = np.bincount(column, minlength=n)
    place = np.arange(len(column)) - (np.cumsum(counts) - counts)[column]
    level, touches = np.full((counts.max(), n), np.nan), np.zeros((counts.max(), n), np.int64)
    level[place, column], touches[place, column] = found.level[row, column], found.touches[row, column]
    return Clusters(level[:, :half], touches[:, :half]), Clusters(level[:, half:], touches[:, half:])
