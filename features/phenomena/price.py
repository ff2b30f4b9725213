"""Features of price alone: mid, spread, returns, volatility, momentum and distance from the day's VWAP."""

import math

import numpy as np

from features.facts.market import FloatArray, IntArray

VOLATILITY_LAGS = 15  #: momentum windows looked back
WARM_SHARE = 2 / 3  #: of a window that must lie behind us before anything is said about it
VOLATILITY_FLOOR = 0.0005  #: [fraction] 5 bps per square root of a momentum window: a dead market has no z of 50


def mid_price(bid: FloatArray, ask: FloatArray) -> FloatArray:
    """Return the middle of best bid and ask [USDT], (n,); NaN where either is no price or the bid is above the ask."""
    usable = (bid > 0) & (ask >= bid) & (ask < np.inf)
    return np.where(usable, (bid + ask) / 2, np.nan)


def spread_bps(bid: FloatArray, ask: FloatArray) -> FloatArray:
    """Return best ask less best bid over their mid [bps], (n,); negative where crossed, NaN where either is NaN."""
    return 1e4 * (ask - bid) / ((ask + bid) / 2)


def simple_return(now: FloatArray, then: FloatArray) -> FloatArray:
    """Return now / then - 1 [fraction], (n,); NaN where either is missing. Both from one venue and one source."""
    return now / then - 1


def volatility(prices: FloatArray) -> FloatArray:
    """Return the volatility per square root of one lag [fraction], floored at `VOLATILITY_FLOOR`.

    Parameters
    ----------
    prices
        P at the lags 0, 1, 2, ... [USDT], (lags + 1, n), newest first; a NaN is skipped, so that a return may
        span several lags.

    Returns
    -------
    sigma
        sqrt(sum of squared log returns / lags elapsed between the first and the last known price), (n,); NaN where
        fewer than `WARM_SHARE` of the lags have elapsed. Design section 3.
    """
    lags, instruments = len(prices) - 1, prices.shape[1]
    steps = np.log(prices)
    np.subtract(steps[:-1], steps[1:], out=steps[:-1])  # in place: a second large array costs more than the logarithms
    total, elapsed = np.square(steps[:-1], out=steps[:-1]).sum(axis=0), np.full(instruments, lags)
    gappy = np.flatnonzero(np.isnan(total))
    if len(gappy):
        total[gappy], elapsed[gappy] = _over_gaps(np.log(prices[:, gappy]))
    is_warm = elapsed >= WARM_SHARE * lags
    return np.where(is_warm, np.maximum(np.sqrt(total / np.maximum(elapsed, 1)), VOLATILITY_FLOOR), np.nan)


def _over_gaps(logs: FloatArray) -> tuple[FloatArray, IntArray]:
    # The sum of squared returns, each over the lags between two known prices, and the lags they span together.
    lags, known = len(logs) - 1, np.isfinite(logs)
    before, total = logs[lags], np.zeros(logs.shape[1])
    for lag in range(lags - 1, -1, -1):
        step = logs[lag] - before
        total += np.where(np.isnan(step), 0.0, step * step)
        before = np.where(known[lag], logs[lag], before)
    elapsed = lags - known[::-1].argmax(axis=0) - known.argmax(axis=0)
    return total, np.where(np.isnan(before), 0, elapsed)  # 0 where not one is known


def momentum_z(return_1: FloatArray, return_3: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return z = 0.6 r1 / sigma + 0.4 r3 / (sigma sqrt 3) [1], (n,); NaN where any is missing. Design section 3."""
    return 0.6 * return_1 / sigma + 0.4 * return_3 / (sigma * math.sqrt(3))


def vwap_distance(price: FloatArray, volume_usdt: FloatArray, volume_base: FloatArray) -> FloatArray:
    """Return v = P / (24 h volume in USDT / in base) - 1 [fraction], (n,); NaN where nothing traded or missing."""
    traded = (volume_usdt > 0) & (volume_base > 0)
    vwap = np.where(traded, volume_usdt, np.nan) / np.where(traded, volume_base, np.nan)
    return price / vwap - 1
