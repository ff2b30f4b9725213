"""Levels: a leg that comes back to where it may turn, LONG after a rise and SHORT after a fall; unproven."""

from scoring.strategies.base import Strategy
from scoring.strategies.levels.gates import GATES, upper_bound
from scoring.strategies.levels.phrases import PHRASES, figures
from scoring.strategies.levels.plan import compute_leg_levels, plan_at
from scoring.strategies.levels.score import PARTS, WEIGHTS, compute_sub_scores
from scoring.strategies.levels.settings import LevelsSettings

LEVELS = Strategy(
    name=LevelsSettings.strategy,
    version="1",
    settings=LevelsSettings,
    needs_candles=True,
    weights=WEIGHTS,
    parts=PARTS,
    sub_scores=compute_sub_scores,
    gates=GATES,
    levels=compute_leg_levels,
    bound=upper_bound,
    phrases=PHRASES,
    figures=figures,
    plan=plan_at,
)
