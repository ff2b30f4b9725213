"""The trailing stop: where it is, and whether it is armed."""

import math
from dataclasses import replace

import numpy as np

from features.facts.market import FloatArray
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Signal

#: [fraction of a price] far below any tick
NOISE = 1e-12


def trailing_stop(signal: Signal, best_price: FloatArray, settings: ScoringSettings) -> FloatArray:
    """Return the stop for each best price, NaN until it is armed; a hair toward the price, so that a touch counts."""
    against = -signal.side.direction
    armed_at = signal.levels.entry * (1 - against * (settings.trail_activation_percent / 100 - NOISE))
    level = best_price * (1 + against * (settings.trail_distance_percent / 100 - NOISE))
    is_armed = settings.trailing_enabled & (against * best_price <= against * armed_at)
    return np.where(is_armed, level, np.nan)


def trailing_stop_at(signal: Signal, best_price: float, settings: ScoringSettings) -> float:
    """Return the stop for one best price."""
    return float(trailing_stop(signal, np.array(best_price), settings))


def armed(open_signal: OpenSignal, settings: ScoringSettings) -> OpenSignal:
    """Return the signal with whether its trailing stop is armed."""
    level = trailing_stop_at(open_signal.signal, open_signal.best_price, settings)
    return replace(open_signal, is_trailing_armed=not math.isnan(level))
