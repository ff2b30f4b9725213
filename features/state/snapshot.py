"""A market state as a plain record and back, whole for a restart, or no more than one instrument's features look at."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.facts.market import Instrument, IntArray
from features.frame import FeatureFrame
from features.phenomena.price import VOLATILITY_LAGS, WARM_SHARE
from features.settings import FeatureSettings
from features.state.arrays import STATE
from features.state.candle_store import CandleSnapshot, CandleStore
from features.state.market_state import MarketState

#: the arrays that prints are added to
FLOW = {
    *("trades_ms", "print_ms", "covered_from_ms", "traded_at", "taker_sold_at"),
    *("run_end_ms", "run_notional", "open_ms", "open_price", "open_notional"),
}


CANDLES = "candles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a `MarketState` holds; arrays as they lie in their rings, so that sums over them keep their order."""

    settings: FeatureSettings
    instruments: tuple[Instrument, ...]
    ticks: int  #: opened so far
    tick_ms: IntArray
    arrays: dict[str, NDArray[Any]]  #: by name in `STATE`; those of `FLOW` may be missing
    candles: CandleSnapshot | None = None

    @property
    def newest_ms(self) -> int:
        """The time of the last tick [epoch ms], 0 where there was none."""
        return int(self.tick_ms.max(initial=0))


def take_snapshot(state: MarketState, without: Collection[str] = ()) -> Snapshot:
    """Copy a state, less some of its arrays; `CANDLES` stands for the candles."""
    names = [quantity.name for quantity in STATE if quantity.name not in without]
    arrays = {name: getattr(state, name).copy(order="K") for name in names}
    is_with_candles = state.candles is not None and CANDLES not in without
    candles = state.candles.snapshot(np.arange(len(state.instruments))) if state.candles and is_with_candles else None
    return replace(_snapshot(state, state.instruments, arrays), candles=candles)


def _snapshot(state: MarketState, instruments: Iterable[Instrument], arrays: dict[str, NDArray[Any]]) -> Snapshot:
    return Snapshot(
        settings=state.settings,
        instruments=tuple(instruments),
        ticks=state.ticks,
        tick_ms=state.tick_ms.copy(),
        arrays=arrays,
    )


def take_windows(state: MarketState, *, with_candles: bool = False) -> Snapshot:
    """Copy what a restart goes on from; candles are large and change seldom, so only a stop keeps them.

    The prints stay out: a venue's first reply brings them again, and they would count twice. So do prices, open
    interest and funding that are too old for a later tick to look at.
    """
    snapshot = take_snapshot(state, without=FLOW if with_candles else FLOW | {CANDLES})
    settings = state.settings
    read_from_ms = state.tick_ms.max() - 1000 * (settings.history_s + settings.max_data_age_s)
    for name in ("price_at", "open_interest_at", "funding_8h_at"):
        snapshot.arrays[name][state.tick_ms < read_from_ms] = np.nan
    return snapshot


def restore(snapshot: Snapshot) -> MarketState:
    """Return the state that was taken, without prints where it has none.

    Raises
    ------
    ValueError
        The arrays do not fit its settings, or one is missing: another version's code took it.
    """
    state = MarketState(snapshot.instruments, snapshot.settings)
    taken = {"tick_ms": snapshot.tick_ms.shape} | {name: array.shape for name, array in snapshot.arrays.items()}
    needed = {name: getattr(state, name).shape for name in ("tick_ms", *(quantity.name for quantity in STATE))}
    if needed.keys() - taken.keys() - FLOW or taken.items() - needed.items():
        raise ValueError("the arrays were not those that the settings need")
    state.ring.restore(snapshot.tick_ms.copy(), snapshot.ticks)
    for name, array in snapshot.arrays.items():
        getattr(state, name)[...] = array
    state.close_row()
    if snapshot.candles is not None:
        state.candles = CandleStore.restore(snapshot.candles, state.instruments.tick_size)
    return state


def slice_state(state: MarketState, features: FeatureFrame, column: int) -> Snapshot:
    """Return what `features` looked at for one instrument: it, its lender and the Bitcoin used, little else.

    `compute_features` on the restored slice, at the same time, gives column 0 the same bits as `column` had. What lends
    or is Bitcoin cannot signal there.
    """
    lender = int(features.lender[column])
    bitcoin = [place for place in state.btc_columns.tolist() if state.instruments[place].venue == features.btc_venue]
    columns = np.array([column, *([lender] if lender >= 0 else []), *bitcoin])
    others = (replace(state.instruments[place], is_eligible=False) for place in columns[1:])

    settings, now_ms = state.settings, features.now_ms
    flow_s = math.ceil(settings.flow_window_s)
    seconds = state.second_rows(now_ms // 1000, max(flow_s, math.ceil(settings.sweep_baseline_s)))
    oldest_book_ms = now_ms - 1000 * (settings.book_window_s + settings.max_data_age_s)
    everyone, itself = np.arange(len(columns)), np.array([0])
    flow = np.array([int(features.borrows_flow[column])])  # the lender is the second column
    prices = _price_rows(state, columns, now_ms)
    candles = None if state.candles is None else state.candles.snapshot(columns)
    read = {
        "price_at": (np.union1d(prices, _rows_since_candle(state, columns)), everyone),
        "open_interest_at": (prices, everyone),
        "funding_8h_at": (state.rows(now_ms - settings.oi_window_s * 1000, now_ms), itself),
        "bid_depth_at": (state.rows(oldest_book_ms, now_ms), itself),  # what the usual depth is the median of
        "traded_at": (seconds, flow),
        "taker_sold_at": (seconds[-flow_s:], flow),
    }
    arrays: dict[str, NDArray[Any]] = {}
    for quantity in STATE:
        whole = getattr(state, quantity.name)
        if quantity.name in read:
            rows, places = read[quantity.name]
            shape = (*whole.shape[:-1], len(columns))
            arrays[quantity.name] = np.full(shape, quantity.empty, dtype=quantity.dtype)
            arrays[quantity.name][rows[:, None], ..., places] = whole[rows[:, None], ..., columns[places]]
        else:
            arrays[quantity.name] = whole[..., columns]
    return replace(_snapshot(state, (state.instruments[column], *others), arrays), candles=candles)


def _rows_since_candle(state: MarketState, columns: IntArray) -> IntArray:
    """Return the rows of the ticks since the oldest of the newest candles closed."""
    if state.candles is None or not len(columns):
        return np.array([], np.int64)
    return state.rows(float(state.candles.readings.closed_ms[columns].min()), math.inf)


def _price_rows(state: MarketState, columns: IntArray, now_ms: int) -> IntArray:
    """Return the rows that returns and open-interest changes of some instruments start from."""
    settings = state.settings
    lags_s = settings.momentum_window_s * np.arange(1, VOLATILITY_LAGS + 1)
    rows = state.rows_as_of(now_ms - 1000 * np.append(lags_s, settings.btc_window_s))
    window_ms = settings.oi_window_s * 1000
    old = state.rows(now_ms - window_ms, now_ms - window_ms * WARM_SHARE)
    cells = np.ix_(old, columns)
    known = np.isfinite(state.open_interest_at[cells]) & np.isfinite(state.price_at[cells])
    bases = [old[known[:, place].argmax()] for place in np.flatnonzero(known.any(axis=0))]
    return np.unique([*rows[rows >= 0], *bases]).astype(np.int64)
