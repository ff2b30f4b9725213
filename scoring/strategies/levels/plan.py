"""Entry, stop and targets on the leg, and where the leg stands, to explain a signal later."""

from itertools import pairwise

import numpy as np

from features.facts.market import FloatArray, IntArray
from features.frame import FeatureFrame
from scoring.levels import LevelFrame, compute_levels
from scoring.prices import price_ticks
from scoring.settings import ScoringSettings
from scoring.strategies.levels.legs import find_legs
from scoring.strategies.levels.settings import LevelsSettings


def compute_leg_levels(now_ms: int, features: FeatureFrame, settings: ScoringSettings) -> LevelFrame:
    """Return the levels of a signal on each instrument: entry at the quote, the others at their shares of the leg.

    Each is rounded toward the entry; where one is not beyond it nothing is known.
    """
    own, legs = settings.of(LevelsSettings), find_legs(features, settings)
    direction = np.where(legs.direction < 0, -1, 1)
    usual = compute_levels(now_ms, features, settings, direction, timeout_s=own.timeout_s)
    tick_size = features.instruments.tick_size

    def distance(ratio: FloatArray, way: int) -> IntArray:
        price = legs.price(ratio)
        below, above = price_ticks(price, tick_size, np.floor), price_ticks(price, tick_size, np.ceil)
        ticks = np.where(direction * way > 0, below, above)  # toward the entry
        return np.where((ticks > 0) & (usual.entry > 0), way * direction * (ticks - usual.entry), 0)

    stop = distance(legs.stop, -1)
    targets = [distance(ratio, 1) for ratio in legs.targets]
    is_known = (stop > 0) & (targets[0] > 0)
    for nearer, farther in pairwise(targets):
        is_known &= farther >= nearer
    stop, *targets = (np.where(is_known, one, 0) for one in (stop, *targets))
    price = np.where(is_known, usual.entry, np.nan)
    reward = sum(share * one for share, one in zip(own.shares, targets, strict=True))
    return LevelFrame(
        direction=direction,
        entry=usual.entry,
        take_profit=targets[0],
        further=tuple(targets[1:]),
        shares=own.shares,
        timeout_s=own.timeout_s,
        stop=stop,
        spread=usual.spread,
        take_profit_percent=100 * reward / price,
        stop_percent=100 * stop / price,
        taker_fee_percent=usual.taker_fee_percent,
        cost_percent=usual.cost_percent,
    )


def plan_at(features: FeatureFrame, column: int, settings: ScoringSettings) -> dict[str, float]:
    """Return where one instrument's leg begins, ends and stands, prices in USDT, times in epoch ms."""
    if features.candles is None:
        return {}
    readings, legs = features.candles.readings, find_legs(features, settings)
    plan = {name: float(getattr(readings, name)[column]) for name in ("start", "end", "start_ms", "end_ms", "known_ms")}
    plan |= {"closed_ms": float(readings.closed_ms[column]), "retraced": float(legs.retraced[column])}
    plan |= {"phase": float(legs.phase[column])}
    for name in ("entry1", "entry2"):
        plan[name] = float(legs.price(getattr(legs, name))[column])
    plan |= {name: float(getattr(readings, name)[column]) for name in ("rsi", "atr", "tolerance")}
    return plan
