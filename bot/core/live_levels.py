"""The candles of one pair, and what levels makes of them now, as plain figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from features.candle_readings import CandleReadings
from features.facts.market import CANDLE_INTERVALS
from features.frame import FeatureFrame
from features.state.candle_store import CandleStore
from scoring.settings import ScoringSettings
from scoring.strategies.levels import LEVELS
from scoring.strategies.levels.legs import Phase, find_legs

NOT_KEPT = "no candles are kept: STRATEGIES has no strategy that reads them"


def interval_name(interval_s: int) -> str:
    """Return "15m" of 900."""
    return next(name for name, seconds in CANDLE_INTERVALS.items() if seconds == interval_s)


def candles_of(
    store: CandleStore, column: int, interval: str, limit: int, before_ms: int | None = None
) -> list[list[float]] | None:
    """Return the newest closed candles, [open_ms, open, high, low, close, volume] each, oldest first.

    `before_ms`: those that opened before it. None where none are kept of that interval.
    """
    seconds = CANDLE_INTERVALS.get(interval)
    rings = {ring.interval_ms // 1000: ring for ring in (store.base, store.longer)}
    if seconds not in rings:
        return None
    ring = rings[seconds]
    count = len(ring.open_ms)
    window = ring.window(np.array([column]), count)[:, :, 0]
    open_ms = int(ring.newest_ms[column]) - ring.interval_ms * np.arange(count - 1, -1, -1)
    is_there = ~np.isnan(window[3]) if before_ms is None else ~np.isnan(window[3]) & (open_ms < before_ms)
    is_there[np.flatnonzero(is_there)[:-limit]] = False
    return [
        [int(at_ms), *values] for at_ms, values in zip(open_ms[is_there], window[:, is_there].T.tolist(), strict=True)
    ]


def swings_of(store: CandleStore, column: int) -> list[dict[str, Any]]:
    """Return the newest swings of each kind, oldest first, each with the time from which on it was known."""
    known_after_ms = (store.settings.swing_strength + 1) * store.base.interval_ms
    points = [
        {"kind": kind, "price": price, "open_ms": open_ms, "known_ms": open_ms + known_after_ms}
        for side, kind in enumerate(("high", "low"))
        for price, open_ms in zip(
            store.track.swing[side, :, column].tolist(), store.track.swing_ms[side, :, column].tolist(), strict=True
        )
        if open_ms
    ]
    return sorted(points, key=lambda point: (point["open_ms"], point["kind"]))


def levels_of(features: FeatureFrame, column: int, settings: ScoringSettings) -> Mapping[str, Any] | None:
    """Return one pair's leg, its phase, the plan, the parts of the score and the zones; None: no candles are kept."""
    if features.candles is None:
        return None
    readings, legs = features.candles.readings, find_legs(features, settings)
    scores = LEVELS.score(features, settings)
    direction = int(readings.direction[column])
    return {
        "instrument": features.instruments[column],
        "price": float(features.price[column]),
        "closed_ms": int(readings.closed_ms[column]),
        "candles_since_hole": int(readings.whole_rows[column]),
        "is_borrowed": bool(features.candles.is_borrowed[column]),
        "side": {1: "long", -1: "short"}.get(direction),
        "start": float(readings.start[column]),
        "end": float(readings.end[column]),
        "start_ms": int(readings.start_ms[column]),
        "end_ms": int(readings.end_ms[column]),
        "known_ms": int(readings.known_ms[column]),
        "height_percent": float(legs.height_percent[column]),
        "retraced": float(legs.retraced[column]),
        "phase": Phase(int(legs.phase[column])).name.lower(),
        "entry1": float(legs.price(legs.entry1)[column]),
        "entry2": float(legs.price(legs.entry2)[column]),
        "stop": float(legs.price(legs.stop)[column]),
        "take_profits": [float(legs.price(ratio)[column]) for ratio in legs.targets],
        "score": float(scores.total[column]),
        "sub_scores": dict(zip(LEVELS.weights, scores.sub_scores[:, column].tolist(), strict=True)),
        "rsi": float(readings.rsi[column]),
        "atr": float(readings.atr[column]),
        "tolerance": float(readings.tolerance[column]),
        "levels": _rows(readings, column, "level", "touches"),
        "blocks": _rows(readings, column, "block_bottom", "block_top"),
        "swings": [row["swing"] for row in _rows(readings, column, "swing")],
    }


def _rows(readings: CandleReadings, column: int, *names: str) -> list[dict[str, float]]:
    # of readings with several rows, those that are there
    columns = [getattr(readings, name)[:, column].tolist() for name in names]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return [row for row in rows if not np.isnan(row[names[0]])]
