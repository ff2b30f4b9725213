"""Settings of UPS alone: the thresholds of its own gates."""

from dataclasses import dataclass
from typing import ClassVar

from features.declare import POINTS, SHARE, USDT, Group
from scoring.settings import StrategySettings

UPS = Group("Strategy ups")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsSettings(StrategySettings):
    """Thresholds of UPS."""

    strategy: ClassVar[str] = "ups"

    min_score: float = UPS.setting(
        "MIN_SCORE_THRESHOLD", "72", POINTS, "The lowest score that is alerted", unit="points"
    )
    min_bid_depth_usdt: float = UPS.setting(
        "MIN_BID_DEPTH_USDT", "5000", USDT, "Least bid depth: an empty book only looks like a short", unit="USDT"
    )
    min_ask_imbalance: float = UPS.setting(
        "MIN_ASK_IMBALANCE", "0.60", SHARE, "Least share of the asks in the book's depth", unit="share"
    )
    min_oi_divergence: float = UPS.setting(
        "MIN_OI_DIVERGENCE",
        "30",
        POINTS,
        "Least sub-score of open interest rising into a falling price",
        unit="points",
    )
