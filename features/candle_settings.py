"""The settings of candles and of their readings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from features.declare import PERCENT, SECONDS, Group, Kind, number, whole
from features.facts.market import CANDLE_INTERVALS

T = TypeVar("T")

CANDLES = Group("Candles and levels")
_NAMES = {name: CANDLE_INTERVALS[name] for name in ("5m", "15m", "30m", "1h")}
INTERVAL: Kind[int] = Kind(expected=f"one of {', '.join(_NAMES)}", parse=lambda text: _of(_NAMES, text))
LONGER_INTERVAL: Kind[int] = Kind(expected="one of 1h, 4h", parse=lambda text: _of({"1h": 3600, "4h": 14_400}, text))
MITIGATION: Kind[bool] = Kind(expected="wick or close", parse=lambda text: _of({"wick": False, "close": True}, text))


def _of(values: Mapping[str, T], text: str) -> T:
    if text not in values:
        raise ValueError
    return values[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleSettings:
    """Which candles are kept, and how swings, zones and blocks are read from them (docs/levels.md)."""

    candle_interval_s: int = CANDLES.setting(
        "CANDLE_INTERVAL", "15m", INTERVAL, "The candles that swings and zones are read from"
    )
    confirm_interval_s: int = CANDLES.setting(
        "LEVELS_CONFIRM_INTERVAL", "1h", LONGER_INTERVAL, "Longer candles, made of these, that confirm a zone"
    )
    candle_max_lag_s: float = CANDLES.setting(
        "CANDLE_MAX_LAG_SECONDS", "300", SECONDS, "How late the newest closed candle may be", unit="s"
    )
    swing_strength: int = CANDLES.setting(
        "SWING_STRENGTH", "5", whole(2, 20), "Candles on either side that a swing stands out from", unit="candles"
    )
    min_range_percent: float = CANDLES.setting(
        "LEVELS_MIN_RANGE_PERCENT", "3", PERCENT, "Smaller legs do not count", unit="%"
    )
    tolerance_percent: float = CANDLES.setting(
        "SR_TOLERANCE_PERCENT", "0.1", number(0.01, 5), "What counts as near a level, at least", unit="%"
    )
    tolerance_atr: float = CANDLES.setting(
        "SR_TOLERANCE_ATR", "0.25", number(0, 5), "What counts as near, in average true ranges", unit="ATR"
    )
    min_touches: int = CANDLES.setting(
        "SR_MIN_TOUCHES", "2", whole(2, 10), "Swings that make a support or resistance", unit="swings"
    )
    block_max_atr: float = CANDLES.setting(
        "OB_MAX_ATR", "2", number(0.1, 20), "Larger candles make no order block", unit="ATR"
    )
    block_dies_by_close: bool = CANDLES.setting(
        "OB_MITIGATION", "wick", MITIGATION, "What beyond an order block ends it"
    )
