"""Why a signal, in plain words with the figures: one reason for each sub-score, strongest first."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from features.frame import FeatureFrame
from features.missing import Missing
from scoring.score import PARTS, WEIGHTS, ScoreFrame
from scoring.settings import ScoringSettings

MOST_REASONS = 5
VENUE_NAMES = {"binance": "Binance", "bybit": "Bybit", "mexc": "MEXC", "lbank": "LBank"}


class Phrase(NamedTuple):
    """Words about one figure of a sub-score, said where `speaks` finds that it adds to it (never of a NaN)."""

    sub_score: str
    figure: str
    speaks: Callable[[float], bool]
    words: str


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


def explain_score(
    features: FeatureFrame, scores: ScoreFrame, column: int, settings: ScoringSettings
) -> tuple[str, ...]:
    """Return what lifts one instrument's score, the largest contribution first, then what is missing; at most five."""
    contributions = scores.contributions[:, column]
    names = list(WEIGHTS)
    strongest = [names[row] for row in np.argsort(-contributions, kind="stable") if contributions[row] > 0]
    unknown = missing_parts(features, column)
    figures = _figures(features, column, settings)
    said = [_reason(name, figures) for name in strongest[: MOST_REASONS - bool(unknown)]]
    if unknown:
        said.append("without " + ", ".join(f"{part.replace('_', ' ')} ({why})" for part, why in unknown.items()))
    return tuple(said)


def missing_parts(features: FeatureFrame, column: int) -> dict[str, str]:
    """Return why, for each part of the score that one instrument has no data for."""
    codes = {part: features.missing[part][column] for parts in PARTS.values() for part in parts}
    return {part: Missing(code).text for part, code in codes.items() if code}


def borrowed(features: FeatureFrame, column: int) -> str:
    """Return what one instrument borrows and from whom, e.g. "OI and flow: Bybit"; "" where it borrows nothing."""
    borrows = {"OI": features.borrows_open_interest[column], "flow": features.borrows_flow[column]}
    what = " and ".join(name for name, is_borrowed in borrows.items() if is_borrowed)
    return f"{what}: {_lender(features, column)}" if what else ""


def window_text(seconds: float) -> str:
    """Return a window's length in words, e.g. "15 min"."""
    return f"{seconds / 60:g} min" if seconds % 60 == 0 and seconds > 60 else f"{seconds:g} s"


def _lender(features: FeatureFrame, column: int) -> str:
    venue = features.instruments[int(features.lender[column])].venue
    return VENUE_NAMES.get(venue, venue)


def _reason(sub_score: str, figures: dict[str, Any]) -> str:
    words = [
        phrase.words for phrase in PHRASES if phrase.sub_score == sub_score and phrase.speaks(figures[phrase.figure])
    ]
    return ", ".join(words).format_map(figures).replace("%", " %")


def _figures(features: FeatureFrame, column: int, settings: ScoringSettings) -> dict[str, Any]:
    lender = f" ({_lender(features, column)})"
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
