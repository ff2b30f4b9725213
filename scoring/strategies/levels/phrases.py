"""The words for what lifts the score of a leg's return, and their figures."""

from dataclasses import replace
from typing import Any

import numpy as np

from features.frame import FeatureFrame
from scoring.reasons import Phrase
from scoring.settings import ScoringSettings
from scoring.strategies.levels.legs import find_legs
from scoring.strategies.levels.score import block, support

PHRASES = (
    Phrase(
        "fib",
        "retraced",
        lambda retraced: retraced > 0,
        "came back {retraced:.1%} of a leg {direction} of {height:.1f}% to {end:g}",
    ),
    Phrase("sr", "touches", lambda touches: touches > 0, "{role} {level:g}, weight {touches:.0f} of touches"),
    Phrase("ob", "block_top", lambda top: top > 0, "order block {block_bottom:g} to {block_top:g}"),
    Phrase("rsi", "rsi", lambda rsi: rsi >= 0, "RSI {rsi:.0f}"),
    Phrase("swing", "swing", lambda swing: swing > 0, "earlier swing {kind} {swing:g}"),
)


def figures(features: FeatureFrame, column: int, settings: ScoringSettings) -> dict[str, Any]:
    """Return what the phrases quote of one instrument: the nearest of each kind."""
    assert features.candles is not None, "a score above 0 stands on candles"
    readings, legs = features.candles.readings, find_legs(features, settings)
    price, is_up = features.price[column], readings.direction[column] > 0
    one = np.array([column])

    def best(values: Any, names: tuple[str, ...]) -> dict[str, float]:
        # of the rows of a reading, the one that scores most
        singles = [
            values(_only(readings, names, row), one, features.price[one])[0]
            for row in range(len(getattr(readings, names[0])))
        ]
        row = int(np.nanargmax(singles)) if np.isfinite(singles).any() else 0
        return {name: float(getattr(readings, name)[row, column]) for name in names}

    swings = np.abs(readings.swing[:, column] - price)
    nearest = int(np.nanargmin(swings)) if np.isfinite(swings).any() else 0
    return {
        "retraced": float(legs.retraced[column]),
        "height": float(legs.height_percent[column]),
        "direction": "up" if is_up else "down",
        "end": float(legs.end[column]),
        "role": "support" if is_up else "resistance",
        "kind": "low" if is_up else "high",
        "rsi": float(readings.rsi[column]),
        "swing": float(readings.swing[nearest, column]),
        **best(support, ("level", "touches")),
        **best(block, ("block_bottom", "block_top")),
    }


def _only(readings: Any, names: tuple[str, ...], row: int) -> Any:
    return replace(readings, **{name: getattr(readings, name)[row : row + 1] for name in names})
