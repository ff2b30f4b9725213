"""Confluence: what supports a LONG, or resists for a SHORT, where the price has come back to (docs/levels.md)."""

import numpy as np

from features.candle_readings import CandleReadings
from features.facts.market import FloatArray, IntArray
from features.frame import FeatureFrame
from scoring.score import clip01, or_zero
from scoring.settings import ScoringSettings
from scoring.strategies.levels.legs import Legs, find_legs

WEIGHTS = {"fib": 20.0, "sr": 25.0, "ob": 20.0, "rsi": 15.0, "swing": 20.0}
PARTS = dict.fromkeys(WEIGHTS, ("candles",))
FULL_TOUCHES = 4
RSI_LOW, RSI_HIGH, RSI_WIDTH = 40.0, 60.0, 10.0


def compute_sub_scores(features: FeatureFrame, settings: ScoringSettings) -> FloatArray:
    """Return the five sub-scores, (5, n), 0 where a leg has not come back as far as its approach or is over."""
    legs = find_legs(features, settings)
    scores = np.zeros((len(WEIGHTS), len(legs.direction)))
    columns = np.flatnonzero((legs.retraced >= legs.approach) & (legs.retraced < legs.stop))
    if len(columns) and features.candles is not None:
        readings, price = features.candles.readings, features.price[columns]
        parts = (
            fib(legs, columns),
            support(readings, columns, price),
            block(readings, columns, price),
            exhausted(readings, columns),
            swing(readings, columns, price),
        )
        scores[:, columns] = [or_zero(part) for part in parts]
    return scores


def fib(legs: Legs, columns: IntArray) -> FloatArray:
    """Score how far the price has come back: full between the entries, falling to 0 at approach and stop."""
    r, entry1, entry2 = legs.retraced[columns], legs.entry1[columns], legs.entry2[columns]
    approach, stop = legs.approach[columns], legs.stop[columns]
    before, beyond = clip01((r - approach) / (entry1 - approach)), clip01((stop - r) / (stop - entry2))
    return np.asarray(100 * np.where(r < entry1, before, np.where(r > entry2, beyond, 1.0)))


def support(readings: CandleReadings, columns: IntArray, price: FloatArray) -> FloatArray:
    """Score the best support of a LONG, resistance of a SHORT: near, and touched often."""
    direction, tolerance = readings.direction[columns], readings.tolerance[columns]
    level, touches = readings.level[:, columns], readings.touches[:, columns]
    is_its = direction * (price - level) >= -tolerance
    value = clip01(1 - np.abs(price - level) / (2 * tolerance)) * clip01(touches / FULL_TOUCHES)
    return _best(np.where(is_its, value, np.nan))


def block(readings: CandleReadings, columns: IntArray, price: FloatArray) -> FloatArray:
    """Score the nearest living order block of the side: full inside it."""
    bottom, top = readings.block_bottom[:, columns], readings.block_top[:, columns]
    outside = np.maximum(np.maximum(bottom - price, price - top), 0)
    return _best(clip01(1 - outside / readings.tolerance[columns]))


def exhausted(readings: CandleReadings, columns: IntArray) -> FloatArray:
    """Score an RSI that is low for a LONG, high for a SHORT."""
    rsi, is_up = readings.rsi[columns], readings.direction[columns] > 0
    return 100 * clip01(np.where(is_up, RSI_LOW - rsi, rsi - RSI_HIGH) / RSI_WIDTH)


def swing(readings: CandleReadings, columns: IntArray, price: FloatArray) -> FloatArray:
    """Score the nearest earlier swing of the side."""
    return _best(clip01(1 - np.abs(price - readings.swing[:, columns]) / readings.tolerance[columns]))


def _best(values: FloatArray) -> FloatArray:
    return np.asarray(100 * np.fmax.reduce(values, axis=0))
