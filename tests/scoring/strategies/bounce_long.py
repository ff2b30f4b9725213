"""A strategy to copy: LONG after a fall that takers no longer sell into. It is an example, not advice."""

from functools import partial

import numpy as np

from features.facts.market import FloatArray
from features.frame import FeatureFrame
from scoring.gates import BOOK, DATA_AGE, LIMIT_GATES, NET_TAKE_PROFIT, SPREAD, STOP_DISTANCE, score_gate
from scoring.levels import compute_levels
from scoring.reasons import Phrase
from scoring.score import clip01, or_zero
from scoring.signals import Side
from scoring.strategies.base import Strategy


def fall(features: FeatureFrame) -> FloatArray:
    """Score a fall, full at two sigma: (n,) [0…100]."""
    return or_zero(100 * clip01(-features.momentum_z / 2))


def buyers(features: FeatureFrame) -> FloatArray:
    """Score takers who buy: nothing where 60 % of them sell, full where 30 % do: (n,) [0…100]."""
    return or_zero(100 * clip01((0.6 - features.taker_sell_share) / 0.3))


BOUNCE_LONG = Strategy(
    name="bounce",
    version="1",
    weights={"fall": 60.0, "buyers": 40.0},
    parts={"fall": ("momentum",), "buyers": ("taker_sell_share",)},
    sub_scores=lambda features, _: np.array([fall(features), buyers(features)]),
    gates=(score_gate(lambda _: 70.0), SPREAD, STOP_DISTANCE, NET_TAKE_PROFIT, DATA_AGE, BOOK, *LIMIT_GATES),
    levels=partial(compute_levels, direction=Side.LONG.direction),
    bound=lambda features, *_: 0.6 * fall(features) + 40.0,  # only a poll shows who buys
    phrases=(
        Phrase("fall", "momentum_z", lambda z: z < 0, "price {momentum_z:+.1f} sigma"),
        Phrase("buyers", "taker_sell_share", lambda share: share < 0.5, "only {taker_sell_share:.0%} of takers sell"),
    ),
)
