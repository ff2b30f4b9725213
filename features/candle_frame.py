"""The readings of closed candles at one moment, lent where a venue has no candles, and the ticks since."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.candle_readings import CandleReadings
from features.facts.market import BoolArray, FloatArray, IntArray
from features.missing import Codes, Missing
from features.state.market_state import MarketState

WARM_ROWS = 150  #: candles from which on RSI is that of the whole history, to 0.001 points
LARGEST_GAP = 0.03  #: [fraction] between the prices of two venues up to which one borrows the other's candles
#: readings that are prices, and so are scaled where they are lent
PRICES = (
    *("start", "end", "back_before", "back_since", "beyond", "close", "atr", "tolerance"),
    *("level", "swing", "block_bottom", "block_top"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFrame:
    """Arrays are (n,) over instruments."""

    readings: CandleReadings
    interval_s: int
    max_lag_s: float
    is_borrowed: BoolArray  #: the candles are of `FeatureFrame.lender`
    #: [USDT] how far P came back in the ticks since the newest candle closed, this one apart: the lowest P after an up
    #: leg, the highest after a down leg; NaN where there was none
    back_ticks: FloatArray


def candle_frame(state: MarketState, now_ms: int, lender: IntArray) -> CandleFrame | None:
    """Return what candles say now, None where nobody keeps any."""
    store = state.candles
    if store is None:
        return None
    readings, price = store.readings, state.price
    borrower = np.flatnonzero((readings.closed_ms == 0) & (lender >= 0))
    borrower = borrower[readings.closed_ms[lender[borrower]] > 0]
    ratio = price[borrower] / price[lender[borrower]]
    is_near = np.abs(ratio - 1) <= LARGEST_GAP
    borrower, ratio = borrower[is_near], ratio[is_near]
    if len(borrower):
        readings = _lent(readings, borrower, lender[borrower], ratio)
    is_borrowed = np.zeros(len(price), bool)
    is_borrowed[borrower] = True
    return CandleFrame(
        readings=readings,
        interval_s=store.settings.candle_interval_s,
        max_lag_s=store.settings.candle_max_lag_s,
        is_borrowed=is_borrowed,
        back_ticks=_back_ticks(state, readings, now_ms),
    )


def candle_codes(candles: CandleFrame, now_ms: int) -> Codes:
    """Return why an instrument's candles cannot be used, (n,)."""
    readings = candles.readings
    oldest_ms = now_ms - round(1000 * (candles.interval_s + candles.max_lag_s))
    codes = np.where(readings.whole_rows < WARM_ROWS, np.int8(Missing.WARMING_UP), np.int8(Missing.PRESENT))
    codes = np.where(readings.closed_ms < oldest_ms, np.int8(Missing.STALE), codes)
    return np.where(readings.closed_ms == 0, np.int8(Missing.NOT_SEEN), codes)


def _lent(readings: CandleReadings, borrower: IntArray, lender: IntArray, ratio: FloatArray) -> CandleReadings:
    lent: dict[str, Any] = {}
    for one in fields(CandleReadings):
        lent[one.name] = getattr(readings, one.name).copy()
        lent[one.name][..., borrower] = lent[one.name][..., lender] * (ratio if one.name in PRICES else 1)
    return CandleReadings(**lent)


def _back_ticks(state: MarketState, readings: CandleReadings, now_ms: int) -> FloatArray:
    back = np.full(len(readings.direction), np.nan)
    columns = np.flatnonzero((readings.direction != 0) & np.isfinite(readings.atr))
    if not len(columns):
        return back
    closed_ms = readings.closed_ms[columns]
    rows = state.rows(float(closed_ms.min()), now_ms)
    rows = rows[rows != state.row]
    way = np.where(readings.direction[columns] > 0, 1.0, -1.0)
    seen = way * state.price_at[np.ix_(rows, columns)]
    seen = np.where(state.tick_ms[rows][:, np.newaxis] >= closed_ms, seen, np.nan)
    back[columns] = way * np.fmin.reduce(seen, axis=0, initial=np.nan)
    return back
