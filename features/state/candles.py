"""Candles of the mark price, from which ticks of the past learn their price."""

import numpy as np

from features.facts.market import Candles
from features.settings import FeatureSettings
from features.state.arrays import MarketArrays
from features.state.ring import TickRing

MINUTE_MS = 60_000


def append_candles(
    arrays: MarketArrays, ticks: TickRing, settings: FeatureSettings, column: int, candles: Candles
) -> None:
    """Let ticks of the past that know no price learn the one known next to them, at either end of a minute.

    The series is shifted by the ratio of P to the mark price of the same seconds, so that both ends of a return are of
    one kind: that ratio hardly moves within the windows. The last candle does not give it, which may be a minute older
    than P. Ticks inside a missing minute learn nothing.
    """
    shortest_s = min(settings.momentum_window_s, settings.btc_window_s, settings.oi_window_s)
    oldest_ms = min(arrays.price_ms[column], arrays.mark_ms[column])
    is_fresh = candles.received_ms - oldest_ms <= 1000 * settings.max_data_age_s
    if shortest_s * 1000 < MINUTE_MS or not len(candles.open_ms) or not is_fresh:
        return  # half a minute too early or too late is too much for such a window
    close_ms = np.minimum(candles.open_ms + MINUTE_MS, candles.received_ms)
    time_ms, price = np.concatenate([close_ms, candles.open_ms]), np.concatenate([candles.close, candles.open])
    order = np.argsort(time_ms, kind="stable")
    time_ms, price = time_ms[order], price[order] * (arrays.price[column] / arrays.mark_price[column])
    rows = ticks.rows(time_ms[0], time_ms[-1])
    lacking = rows[np.isnan(arrays.price_at[rows, column])]
    nearest = np.searchsorted((time_ms[1:] + time_ms[:-1]) / 2, ticks.tick_ms[lacking])
    is_near = np.abs(ticks.tick_ms[lacking] - time_ms[nearest]) <= MINUTE_MS / 2
    arrays.price_at[lacking[is_near], column] = price[nearest[is_near]]
