"""UPS: seven sub-scores of 0 to 100 and their weighted sum (docs/features.md).

Every function takes and returns plain arrays over instruments. Missing data never raises a score: a sub-score, or the
part of one, whose input is NaN adds 0.
"""

import numpy as np
from numpy.typing import ArrayLike

from features.facts.market import FloatArray
from features.frame import FeatureFrame
from scoring.score import clip01, or_zero
from scoring.settings import ScoringSettings

#: points of the hundred, in the order in which contributions are added up
WEIGHTS = {
    "oi_divergence": 20.0,
    "liquidity_pressure": 20.0,
    "orderflow_imbalance": 15.0,
    "sweep": 15.0,
    "btc_microtrend": 10.0,
    "short_momentum": 10.0,
    "funding": 10.0,
}
#: the parts of a feature frame that each sub-score needs
PARTS_NEEDED = {
    "oi_divergence": ("open_interest_change", "price_change"),
    "liquidity_pressure": ("wall", "exhaustion"),
    "orderflow_imbalance": ("ask_share", "taker_sell_share"),
    "sweep": ("sweep",),
    "btc_microtrend": ("btc_return",),
    "short_momentum": ("momentum", "vwap_distance"),
    "funding": ("funding",),
}


def oi_divergence(open_interest_change: FloatArray, price_change: FloatArray) -> FloatArray:
    """Score open interest rising into a falling price: new shorts press, late longs are trapped.

    Parameters
    ----------
    open_interest_change, price_change
        (n,) relative changes over the open interest window [fraction]; full at +2 % and -1 %.

    Returns
    -------
    (n,) [0…100], 0 where either is NaN: 100 * sqrt(clip01(dOI / 0.02) * clip01(-dP / 0.01)).
    """
    return or_zero(100 * np.sqrt(clip01(open_interest_change / 0.02) * clip01(-price_change / 0.01)))


def liquidity_pressure(wall_ratio: FloatArray, bid_exhaustion: FloatArray) -> FloatArray:
    """Score resting supply above the price and bids that are not refilled, half each.

    Parameters
    ----------
    wall_ratio
        (n,) largest over median ask level [1]; nothing at 3, full at 12.
    bid_exhaustion
        (n,) one less bid depth over its recent median [1]; full at 0.5.

    Returns
    -------
    (n,) [0…100]; a NaN half adds 0.
    """
    return 50 * or_zero(clip01((wall_ratio - 3) / 9)) + 50 * or_zero(clip01(bid_exhaustion / 0.5))


def orderflow_imbalance(ask_share: FloatArray, taker_sell_share: FloatArray) -> FloatArray:
    """Score a book heavy on the ask side (70 points) and takers who sell (30 points).

    Parameters
    ----------
    ask_share
        (n,) ask depth over all depth [0…1]; nothing at 0.5, full at 0.75.
    taker_sell_share
        (n,) of the traded notional [0…1]; nothing at 0.5, full at 0.8.

    Returns
    -------
    (n,) [0…100]; a NaN part adds 0.

    References
    ----------
    Gould & Bonart (2016), Queue imbalance as a one-tick-ahead price predictor in a limit order book.
    Cont, Kukanov & Stoikov (2014), The price impact of order book events.
    """
    return 70 * or_zero(clip01((ask_share - 0.5) / 0.25)) + 30 * or_zero(clip01((taker_sell_share - 0.5) / 0.3))


def sweep(multiple: FloatArray, age_s: FloatArray, ttl_s: float) -> FloatArray:
    """Score a large aggressive sell that cleared levels, fading with its age.

    Parameters
    ----------
    multiple
        (n,) its notional over that of a usual second [1], full at 10; 0 where there was none.
    age_s
        (n,) since its last print [s], NaN where there was none.
    ttl_s
        The age at which it is worth nothing [s].

    Returns
    -------
    (n,) [0…100], 0 where either is NaN: 100 * clip01(m / 10) * clip01(1 - age / ttl).
    """
    return or_zero(100 * clip01(multiple / 10) * clip01(1 - age_s / ttl_s))


def btc_microtrend(btc_return: ArrayLike) -> FloatArray:
    """Score Bitcoin's return over its window [fraction]: flat or falling is 100, +0.3 % is 0, NaN is 0."""
    return or_zero(100 * clip01((0.003 - np.asarray(btc_return, float)) / 0.003))


def short_momentum(momentum_z: FloatArray, vwap_distance: FloatArray) -> FloatArray:
    """Score a fall going on (70 points) from an extended price (30 points).

    Parameters
    ----------
    momentum_z
        (n,) recent returns in units of their volatility [1]; full at -2.
    vwap_distance
        (n,) price over its 24 h VWAP, less one [fraction]; full at +5 %.

    Returns
    -------
    (n,) [0…100]; a NaN part adds 0.
    """
    return 70 * or_zero(clip01(-momentum_z / 2)) + 30 * or_zero(clip01(vwap_distance / 0.05))


def funding(funding_rate_8h: FloatArray) -> FloatArray:
    """Score longs who pay to stay: (n,) rate per eight hours [fraction], full at +0.1 %, NaN is 0."""
    return or_zero(100 * clip01(funding_rate_8h / 0.001))


def compute_sub_scores(features: FeatureFrame, settings: ScoringSettings) -> FloatArray:
    """Compute the sub-scores of every instrument, (7, n) in the order of `WEIGHTS`."""
    sub_scores = np.empty((len(WEIGHTS), len(features.instruments)))
    sub_scores[0] = oi_divergence(features.open_interest_change, features.price_change)
    sub_scores[1] = liquidity_pressure(features.wall_ratio, features.bid_exhaustion)
    sub_scores[2] = orderflow_imbalance(features.ask_share, features.taker_sell_share)
    sub_scores[3] = sweep(features.sweep_multiple, features.sweep_age_s, settings.sweep_ttl_s)
    sub_scores[4] = btc_microtrend(features.btc_return)
    sub_scores[5] = short_momentum(features.momentum_z, features.vwap_distance)
    sub_scores[6] = funding(features.funding_rate_8h)
    return sub_scores
