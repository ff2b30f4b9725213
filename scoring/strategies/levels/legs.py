"""Where the price stands on the leg of each instrument: how far it has come back, and in which phase that is."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray
from features.frame import FeatureFrame
from scoring.settings import ScoringSettings
from scoring.strategies.levels.settings import LevelsSettings

LATE_SHARE = 0.25  #: of the way from entry 2 to the stop: a tick may jump over a narrow zone


class Phase(IntEnum):
    """How far a leg has come back."""

    NONE = 0  #: no leg, or one that is over
    LEG = 1
    PULLBACK = 2
    APPROACHING = 3
    ZONE = 4
    LATE = 5
    FAILED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """(n,) each; NaN where an instrument has no leg of a side that signals, or one that is over."""

    direction: IntArray  #: 1: an up leg, for a LONG; -1: a down leg, for a SHORT; 0: none
    end: FloatArray  #: [USDT]
    height: FloatArray  #: [USDT]
    height_percent: FloatArray  #: of its low
    retraced: FloatArray  #: share of the leg by which P has come back from its end
    retraced_before: FloatArray  #: the most of it before this tick
    has_tick_before: BoolArray  #: P was seen since the newest candle closed
    entry1: FloatArray  #: ratios of the leg's side
    entry2: FloatArray
    late: FloatArray  #: no signal beyond
    stop: FloatArray
    approach: FloatArray
    targets: FloatArray  #: (3, n)
    phase: IntArray  #: of `Phase`

    def price(self, ratio: FloatArray) -> FloatArray:
        """Return the price at which the leg has come back by a ratio."""
        return self.end - self.direction * ratio * self.height


def find_legs(features: FeatureFrame, settings: ScoringSettings) -> Legs:
    """Return the legs of this moment."""
    own, n = settings.of(LevelsSettings), len(features.instruments)
    if features.candles is None:
        direction, nothing = np.zeros(n, np.int64), np.full(n, np.nan)
        end = height = low = before = ticks = nothing
    else:
        readings = features.candles.readings
        signals = [side == "long" for side in own.sides]
        is_wanted = ((readings.direction > 0) & (True in signals)) | ((readings.direction < 0) & (False in signals))
        direction = np.where(is_wanted & np.isfinite(readings.atr), readings.direction, 0)
        end = np.where(direction != 0, readings.end, np.nan)
        height, low = np.abs(readings.end - readings.start), np.minimum(readings.end, readings.start)
        ticks = features.candles.back_ticks
        before = np.fmax(direction * (end - readings.back_before), direction * (end - readings.back_since))
        before = np.fmax(before, direction * (end - ticks)) / height
    is_up = direction > 0
    entry1, entry2, stop, approach = (
        np.where(is_up, long, short) for long, short in zip(own.long_ratios, own.short_ratios, strict=True)
    )
    late = entry2 + LATE_SHARE * (stop - entry2)
    retraced = direction * (end - features.price) / height
    bounds = np.array([np.zeros(n), np.full(n, own.pullback), approach, entry1, np.nextafter(entry2, 1), stop])
    phase = np.where(np.isfinite(retraced), (retraced >= bounds).sum(axis=0), Phase.NONE)
    return Legs(
        direction=direction,
        end=end,
        height=height,
        height_percent=np.where(direction != 0, 100 * height / low, np.nan),
        retraced=retraced,
        retraced_before=before,
        has_tick_before=np.isfinite(ticks),
        entry1=entry1,
        entry2=entry2,
        late=late,
        stop=stop,
        approach=approach,
        targets=np.where(is_up, np.array([own.long_targets]).T, np.array([own.short_targets]).T),
        phase=phase,
    )
