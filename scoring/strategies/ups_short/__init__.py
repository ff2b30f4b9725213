"""UPS: a SHORT scalp where sells press, bids are not refilled and open interest rises into a falling price."""

from functools import partial

from scoring.levels import compute_levels
from scoring.signals import Side
from scoring.strategies.base import Strategy
from scoring.strategies.ups_short.bound import hot_bound, upper_bound
from scoring.strategies.ups_short.gates import GATES
from scoring.strategies.ups_short.phrases import PHRASES, figures
from scoring.strategies.ups_short.score import PARTS_NEEDED, WEIGHTS, compute_sub_scores
from scoring.strategies.ups_short.settings import UpsSettings

UPS_SHORT = Strategy(
    name=UpsSettings.strategy,
    version="1",
    settings=UpsSettings,
    weights=WEIGHTS,
    parts=PARTS_NEEDED,
    sub_scores=compute_sub_scores,
    gates=GATES,
    levels=partial(compute_levels, direction=Side.SHORT.direction),
    bound=upper_bound,
    hot_bound=hot_bound,
    phrases=PHRASES,
    figures=figures,
)
