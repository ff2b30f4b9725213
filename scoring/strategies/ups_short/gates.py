"""The gates that are UPS's own, and the list of all it asks."""

import numpy as np

from features.facts.market import BoolArray, FloatArray
from features.frame import FeatureFrame
from scoring.gates import (
    BOOK,
    DATA_AGE,
    DISCOUNT,
    LIMIT_GATES,
    NET_TAKE_PROFIT,
    SPREAD,
    STOP_DISTANCE,
    Gate,
    GateInputs,
    score_gate,
)
from scoring.strategies.ups_short.score import WEIGHTS
from scoring.strategies.ups_short.settings import UpsSettings

OI_DIVERGENCE = list(WEIGHTS).index("oi_divergence")


def _sweep_age_s(inputs: GateInputs) -> FloatArray:
    features = inputs.features
    none_seen = np.where(features.sweep_multiple == 0, np.inf, np.nan)
    return np.where(features.sweep_multiple > 0, features.sweep_age_s, none_seen)


def has_live_divergence(features: FeatureFrame) -> BoolArray:
    """Return where live open interest and a price give a divergence; a 5-minute history's last point never does."""
    is_present = (features.missing["open_interest_change"] == 0) & (features.missing["price_change"] == 0)
    return np.asarray(features.open_interest_is_live & is_present)


def _live_oi_divergence(inputs: GateInputs) -> FloatArray:
    return np.where(has_live_divergence(inputs.features), inputs.scores.sub_scores[OI_DIVERGENCE], np.nan)


GATES = (
    score_gate(lambda settings: settings.of(UpsSettings).min_score),
    Gate(
        name="bid_depth",
        measure=lambda inputs: inputs.features.bid_depth_usdt,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(UpsSettings).min_bid_depth_usdt,
        words="bid depth {value:,.0f} {sign} {limit:,.0f} USDT",
        needs=("book",),
    ),
    Gate(
        name="ask_share",
        measure=lambda inputs: inputs.features.ask_share,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(UpsSettings).min_ask_imbalance,
        words="asks {value:.3f} {sign} {limit:g} of the book's depth",
        needs=("ask_share",),
    ),
    Gate(
        name="sweep",
        measure=_sweep_age_s,
        holds=np.less_equal,
        limit=lambda settings: settings.sweep_ttl_s,
        words="last sweep {value:.0f} s ago {sign} {limit:g} s",
        when_infinite="no sweep in the last {limit:g} s",
        needs=("sweep",),
    ),
    Gate(
        name="oi_divergence",
        measure=_live_oi_divergence,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(UpsSettings).min_oi_divergence,
        words="OI divergence {value:.1f} {sign} {limit:g}",
        when_unknown="no live open interest",
        needs=("open_interest_change", "price_change"),
    ),
    SPREAD,
    STOP_DISTANCE,
    NET_TAKE_PROFIT,
    Gate(
        name="btc_pump",
        measure=lambda inputs: 100 * inputs.features.btc_return,
        holds=np.less,
        limit=lambda settings: settings.max_btc_pump_percent,
        words="BTC {value:+.2f} % {sign} {limit:g} %",
        needs=("btc_return",),
    ),
    DISCOUNT,
    DATA_AGE,
    BOOK,
    *LIMIT_GATES,
)
