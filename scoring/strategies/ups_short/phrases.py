"""The words for each sub-score of UPS, and the figures they quote."""

from typing import Any

from features.frame import FeatureFrame
from scoring.reasons import Phrase, lender_title, window_text
from scoring.settings import ScoringSettings

PHRASES = (
    Phrase(
        "oi_divergence",
        "open_interest_change",
        lambda change: change > 0,
        "OI {open_interest_change:+.1%} while price {price_change:+.1%} in {oi_window}{oi_source}",
    ),
    Phrase(
        "liquidity_pressure", "wall_ratio", lambda ratio: ratio > 3, "ask wall {wall_ratio:.1f} times a usual level"
    ),
    Phrase(
        "liquidity_pressure", "bid_exhaustion", lambda e: e > 0, "bids {bid_exhaustion:.0%} thinner than their median"
    ),
    Phrase("orderflow_imbalance", "ask_share", lambda share: share > 0.5, "asks {ask_share:.0%} of the book's depth"),
    Phrase(
        "orderflow_imbalance",
        "taker_sell_share",
        lambda share: share > 0.5,
        "{taker_sell_share:.0%} of taker volume sold in {flow_window}{flow_source}",
    ),
    Phrase(
        "sweep",
        "sweep_multiple",
        lambda multiple: multiple > 0,
        "sell sweep {sweep_multiple:.1f} times a usual second, {sweep_age_s:.0f} s ago{flow_source}",
    ),
    Phrase("btc_microtrend", "btc_return", lambda change: change < 0.003, "BTC {btc_return:+.2%} in {btc_window}"),
    Phrase(
        "short_momentum",
        "momentum_z",
        lambda z: z < 0,
        "price {momentum_return:+.2%} in {momentum_window} ({momentum_z:+.1f} sigma)",
    ),
    Phrase("short_momentum", "vwap_distance", lambda v: v > 0, "{vwap_distance:.1%} above the 24 h VWAP"),
    Phrase("funding", "funding_rate_8h", lambda rate: rate > 0, "funding {funding_rate_8h:+.3%} per 8 h"),
)
#: arrays of the frame that the phrases quote
FIGURES = (
    *("open_interest_change", "price_change", "wall_ratio", "bid_exhaustion", "ask_share", "taker_sell_share"),
    *("sweep_multiple", "sweep_age_s", "momentum_return", "momentum_z", "vwap_distance", "funding_rate_8h"),
)


def figures(features: FeatureFrame, column: int, settings: ScoringSettings) -> dict[str, Any]:
    """Return the figures that the phrases quote of one instrument."""
    lender = f" ({lender_title(features, column)})"
    return {
        **{name: float(getattr(features, name)[column]) for name in FIGURES},
        "btc_return": features.btc_return,
        "oi_source": lender if features.borrows_open_interest[column] else "",
        "flow_source": lender if features.borrows_flow[column] else "",
        "oi_window": window_text(settings.oi_window_s),
        "flow_window": window_text(settings.flow_window_s),
        "btc_window": window_text(settings.btc_window_s),
        "momentum_window": window_text(settings.momentum_window_s),
    }
