"""What is known of n instruments' closed candles, brought forward by one candle at the cost of one candle.

Swings, averages and blocks are facts or sums of all candles since the last hole, so nothing is read twice. `step` takes
one more candle; `features.state.candle_beginning` takes many at once, to the same bits.

Two sides are handled as one: highs as they are and lows negated, so that a swing is always a peak. Arrays with a first
axis of 2 are (high, low), or (LONG, SHORT) for blocks, in these coordinates.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.candle_settings import CandleSettings
from features.facts.market import BoolArray, FloatArray, IntArray
from features.phenomena.indicators import ATR_PERIOD, RSI_PERIOD, range_since, smoothing_weight, strength_index
from features.state.candle_ring import CandleRing

KEPT_SWINGS = 16  #: highs, and as many lows
KEPT_BLOCKS = 8  #: the newest of each side
SIGN = np.array([[1.0], [-1.0]])
assert ATR_PERIOD == RSI_PERIOD, "one count serves both"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleTrack:
    """Arrays are (..., n) over instruments; times are when a candle opened [epoch ms], 0 for none."""

    whole_rows: IntArray  #: candles since the last hole
    close: FloatArray  #: of the newest candle [USDT]
    smoothed: FloatArray  #: (3, n) rises, falls and true ranges, each as Wilder smooths them [USDT]
    swing: FloatArray  #: (2, KEPT_SWINGS, n) the newest first, NaN behind the last
    swing_ms: IntArray
    longer_swing: FloatArray  #: the same of the longer interval
    longer_swing_ms: IntArray
    kind: IntArray  #: of the newest point of the alternating view: 1 a high, -1 a low, 0 there is none
    start: FloatArray  #: the point before it [USDT]
    start_ms: IntArray
    end: FloatArray  #: the newest point [USDT]
    end_ms: IntArray
    back_before: FloatArray  #: [USDT] how far the price came back before the end was known
    back_since: FloatArray  #: the same in the candles since, NaN where there was none
    beyond: FloatArray  #: the farthest price beyond the end
    broken_ms: IntArray  #: (2, n) the newest swing, where a close has broken it
    since_low: FloatArray  #: (2, n) the lowest low since the newest swing, the latest of equals
    since_high: FloatArray  #: the high of the same candle
    block_low: FloatArray  #: (2, KEPT_BLOCKS, n) order blocks, the newest first, NaN where one has died
    block_high: FloatArray
    block_ms: IntArray  #: when the candle that made it opened

    def atr(self, columns: IntArray) -> FloatArray:
        """Return the average true range, NaN while it warms up: (m,) [USDT]."""
        return np.where(self.whole_rows[columns] > ATR_PERIOD, self.smoothed[2, columns], np.nan)

    def rsi(self, columns: IntArray) -> FloatArray:
        """Return Wilder's relative strength index, NaN while it warms up: (m,) [0…100]."""
        index = strength_index(self.smoothed[0, columns], self.smoothed[1, columns])
        return np.where(self.whole_rows[columns] > RSI_PERIOD, index, np.nan)

    def copy_columns(self, source: "CandleTrack", there: IntArray, here: IntArray) -> None:
        """Take over the columns `there` of `source` as `here`."""
        for one in fields(self):
            getattr(self, one.name)[..., here] = getattr(source, one.name)[..., there]

    def of(self, columns: IntArray) -> "CandleTrack":
        """Return a copy of some instruments'."""
        parts: dict[str, Any] = {one.name: getattr(self, one.name)[..., columns] for one in fields(self)}
        return CandleTrack(**parts)


_ROWS: dict[str, tuple[int, ...]] = {
    "smoothed": (3,),
    **dict.fromkeys(("broken_ms", "since_low", "since_high"), (2,)),
    **dict.fromkeys(("swing", "swing_ms", "longer_swing", "longer_swing_ms"), (2, KEPT_SWINGS)),
    **dict.fromkeys(("block_low", "block_high", "block_ms"), (2, KEPT_BLOCKS)),
}


def empty_track(n: int) -> CandleTrack:
    """Return what is known of instruments without candles."""
    empty: dict[str, Any] = {}
    for one in fields(CandleTrack):
        shape = (*_ROWS.get(one.name, ()), n)
        empty[one.name] = np.zeros(shape, np.int64) if one.type is IntArray else np.full(shape, np.nan)
    empty["smoothed"][...] = 0.0
    return CandleTrack(**empty)


def step(track: CandleTrack, ring: CandleRing, columns: IntArray, open_ms: int, settings: CandleSettings) -> None:
    """Take one more candle of m instruments, that of `open_ms`, which is in the ring and follows their newest."""
    strength = settings.swing_strength
    peaks = _peaks_at(ring, columns, open_ms, 2 * strength + 1)
    row = ring.row(open_ms)
    high, low, close = ring.values[1, row, columns], ring.values[2, row, columns], ring.values[3, row, columns]
    before = track.close[columns]
    whole_rows = track.whole_rows[columns] + 1
    change = close - before
    moves = np.array([np.maximum(change, 0), np.maximum(-change, 0), range_since(before, high, low)])
    smoothed = track.smoothed[:, columns]
    moves -= smoothed
    moves *= smoothing_weight(whole_rows - 1, RSI_PERIOD, 1 / RSI_PERIOD)
    smoothed += moves
    track.smoothed[:, columns] = smoothed
    track.whole_rows[columns] = whole_rows
    track.close[columns] = close

    kind, back, beyond = track.kind[columns], track.back_since[columns], track.beyond[columns]
    back = np.where(kind > 0, np.fmin(back, low), np.fmax(back, high))
    beyond = np.where(kind > 0, np.fmax(beyond, high), np.fmin(beyond, low))
    track.back_since[columns] = np.where(kind != 0, back, np.nan)
    track.beyond[columns] = np.where(kind != 0, beyond, np.nan)

    is_swing = _newest_swings(peaks, strength)
    swing_ms = open_ms - strength * ring.interval_ms
    for side in (0, 1):
        chosen = np.flatnonzero(is_swing[side])
        if len(chosen):
            found, peak, after = columns[chosen], peaks[side, strength, chosen], peaks[:, strength + 1 :, chosen]
            _insert(track.swing, track.swing_ms, side, found, SIGN[side] * peak, swing_ms)
            _extend_view(track, side, found, peak, after.max(axis=1), swing_ms)
            track.broken_ms[side, found] = 0
            track.since_low[side, found] = np.inf
            for highs, others in zip(after[side, :-1], after[1 - side, :-1], strict=True):
                _note_lowest(track, side, found, -others, highs)
    _step_blocks(track, columns, peaks[:, -1], SIGN * close, open_ms, settings)


def step_longer(track: CandleTrack, ring: CandleRing, columns: IntArray, open_ms: int, strength: int) -> None:
    """Take one more candle of the longer interval, of which only the swings are read."""
    peaks = _peaks_at(ring, columns, open_ms, 2 * strength + 1)
    is_swing = _newest_swings(peaks, strength)
    for side in (0, 1):
        chosen = np.flatnonzero(is_swing[side])
        price = SIGN[side] * peaks[side, strength, chosen]
        swing_ms = open_ms - strength * ring.interval_ms
        _insert(track.longer_swing, track.longer_swing_ms, side, columns[chosen], price, swing_ms)


def _peaks_at(ring: CandleRing, columns: IntArray, open_ms: int, count: int) -> FloatArray:
    # (2, count, m) highs and negated lows up to `open_ms`
    rows, is_stored = ring.rows_until(open_ms, count)
    peaks = ring.values[1:3, rows[:, np.newaxis], columns]
    peaks[:, ~is_stored] = np.nan
    np.negative(peaks[1], out=peaks[1])
    return np.asarray(peaks)


def _newest_swings(peaks: FloatArray, strength: int) -> BoolArray:
    # (2, m) whether the row in the middle is one; NaN fails every comparison
    middle = peaks[:, strength : strength + 1]
    is_above = (middle > peaks[:, :strength]).all(axis=1)
    return np.asarray(is_above & (middle >= peaks[:, strength + 1 :]).all(axis=1))


def _insert(prices: FloatArray, times: IntArray, side: int, columns: IntArray, price: FloatArray, time_ms: int) -> None:
    prices[side, 1:, columns] = prices[side, :-1, columns]
    times[side, 1:, columns] = times[side, :-1, columns]
    prices[side, 0, columns] = price
    times[side, 0, columns] = time_ms


def _extend_view(
    track: CandleTrack, side: int, columns: IntArray, peak: FloatArray, since: FloatArray, swing_ms: int
) -> None:
    # of consecutive points of one kind the most extreme counts, the earlier of equals
    kind, sign = (1, -1)[side], SIGN[side]
    is_same = track.kind[columns] == kind
    is_point = ~is_same | (peak > sign * track.end[columns])
    columns, peak, since, is_same = columns[is_point], peak[is_point], since[:, is_point], is_same[is_point]
    turned = columns[~is_same]
    track.start[turned], track.start_ms[turned] = track.end[turned], track.end_ms[turned]
    track.kind[columns] = kind
    track.end[columns] = sign * peak
    track.end_ms[columns] = swing_ms
    track.beyond[columns] = sign * since[side]
    track.back_before[columns] = -sign * since[1 - side]
    track.back_since[columns] = np.nan


def _note_lowest(track: CandleTrack, side: int | slice, columns: IntArray, low: FloatArray, high: FloatArray) -> None:
    is_lower = low <= track.since_low[side, columns]
    track.since_low[side, columns] = np.where(is_lower, low, track.since_low[side, columns])
    track.since_high[side, columns] = np.where(is_lower, high, track.since_high[side, columns])


def _step_blocks(
    track: CandleTrack,
    columns: IntArray,
    highs: FloatArray,
    closes: FloatArray,
    open_ms: int,
    settings: CandleSettings,
) -> None:
    lows = -highs[::-1]
    dies_at = closes if settings.block_dies_by_close else lows
    is_dead = dies_at[:, np.newaxis] < track.block_low[:, :, columns]
    if is_dead.any():
        side, place, which = np.nonzero(is_dead)
        track.block_low[side, place, columns[which]] = track.block_high[side, place, columns[which]] = np.nan
    newest_ms = track.swing_ms[:, 0, columns]
    is_broken = (closes > SIGN * track.swing[:, 0, columns]) & (newest_ms != track.broken_ms[:, columns])
    side, which = np.nonzero(is_broken)
    broken = columns[which]
    track.broken_ms[side, broken] = newest_ms[side, which]
    low, high = track.since_low[side, broken], track.since_high[side, broken]
    is_taken = high - low < settings.block_max_atr * track.atr(broken)
    side, broken, low, high = side[is_taken], broken[is_taken], low[is_taken], high[is_taken]
    for array, value in ((track.block_low, low), (track.block_high, high), (track.block_ms, open_ms)):
        array[side, 1:, broken] = array[side, :-1, broken]
        array[side, 0, broken] = value
    _note_lowest(track, slice(None), columns, lows, highs)
