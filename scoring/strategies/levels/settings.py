"""The settings of the strategy of levels, beside those of its candles."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from features.candle_settings import CANDLES, CandleSettings
from features.declare import COUNT, FLAG, POINTS, SECONDS, Kind, number
from scoring.settings import StrategySettings


def _numbers(count: int, text: str) -> tuple[float, ...]:
    found = tuple(number(0, 1).parse(part.strip()) for part in text.split(","))
    if len(found) != count:
        raise ValueError
    return found


def _ratios(text: str) -> tuple[float, ...]:
    entry1, entry2, stop, approach = _numbers(4, text)
    if not 0 < approach < entry1 <= entry2 < stop < 0.95:
        raise ValueError
    return entry1, entry2, stop, approach


def _targets(text: str) -> tuple[float, ...]:
    found = _numbers(3, text)
    if not all(nearer > farther for nearer, farther in pairwise(found)):
        raise ValueError
    return found


def _shares(text: str) -> tuple[float, ...]:
    found = tuple(float(COUNT.parse(part.strip())) for part in text.split(","))
    if len(found) != 3 or sum(found) != 100:
        raise ValueError
    return tuple(share / 100 for share in found)


def _sides(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not set(found) <= {"long", "short"}:
        raise ValueError
    return found


RATIOS = Kind(
    expected="entry 1, entry 2, stop and approach, with approach < entry 1 <= entry 2 < stop < 0.95", parse=_ratios
)
TARGETS = Kind(expected="three shares of the leg, each smaller than the one before", parse=_targets)
SHARES = Kind(expected="three whole percentages that add up to 100", parse=_shares)
SIDES = Kind(expected="long, short or both, comma separated", parse=_sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsSettings(StrategySettings, CandleSettings):
    """Ratios are shares of the leg, counted from its end: how far the price has come back."""

    strategy: ClassVar[str] = "levels"

    sides: tuple[str, ...] = CANDLES.setting("LEVELS_SIDES", "long,short", SIDES, "Which sides levels signals")
    long_ratios: tuple[float, ...] = CANDLES.setting(
        "FIB_LONG", "0.70,0.72,0.90,0.618", RATIOS, "LONG: entry 1, entry 2, stop, approach, as shares of the leg"
    )
    long_targets: tuple[float, ...] = CANDLES.setting(
        "FIB_LONG_TARGETS", "0.5,0.382,0.236", TARGETS, "LONG: its take-profits"
    )
    short_ratios: tuple[float, ...] = CANDLES.setting(
        "FIB_SHORT", "0.618,0.69,0.789,0.5", RATIOS, "SHORT: entry 1, entry 2, stop, approach"
    )
    short_targets: tuple[float, ...] = CANDLES.setting(
        "FIB_SHORT_TARGETS", "0.382,0.236,0", TARGETS, "SHORT: its take-profits"
    )
    pullback: float = CANDLES.setting("FIB_PULLBACK", "0.382", number(0, 1), "From where on a leg is coming back")
    min_score: float = CANDLES.setting(
        "LEVELS_MIN_SCORE", "60", POINTS, "The lowest score that levels alerts", unit="points"
    )
    min_reward: float = CANDLES.setting(
        "LEVELS_MIN_RR", "1.2", number(0, 100), "Least reward of all targets over the risk, both after costs"
    )
    timeout_s: float = CANDLES.setting(
        "LEVELS_TIMEOUT_SECONDS", "21600", SECONDS, "A signal of levels still open then is closed", unit="s"
    )
    watch: bool = CANDLES.setting(
        "LEVELS_WATCH", "off", FLAG, "A quiet list of legs that come near their entry; they are no signals"
    )
    shares: tuple[float, ...] = CANDLES.setting(
        "TARGET_SHARES", "34,33,33", SHARES, "What each take-profit closes of the position", unit="%"
    )
