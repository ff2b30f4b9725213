"""The frame as a whole: equal to the scalar reference, and true to its invariants."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.frame import FEATURES, PARTS, FeatureFrame, compute_features
from features.missing import Missing
from features.state import MarketState
from scoring.score import compute_scores
from scoring.settings import ScoringSettings
from tests import reference
from tests.features.markets import SHORT, Market, random_market
from tests.reference import Reference

bounded = settings(max_examples=12, deadline=None, derandomize=True)

#: The part whose code speaks for each feature that has one.
PART_OF = {
    "price": "price",
    "spread_bps": "spread",
    "bid_depth_usdt": "book",
    "ask_depth_usdt": "book",
    "sellable_usdt": "book",
    "microprice_tilt_bps": "book",
    "ask_share": "ask_share",
    "wall_ratio": "wall",
    "bid_exhaustion": "exhaustion",
    "taker_sell_share": "taker_sell_share",
    "sweep_multiple": "sweep",
    "open_interest_change": "open_interest_change",
    "price_change": "price_change",
    "momentum_return": "momentum",
    "momentum_return_3": "momentum",
    "volatility": "momentum",
    "volatility_minute": "momentum",
    "momentum_z": "momentum",
    "vwap_distance": "vwap_distance",
    "funding_rate_8h": "funding",
}


def check_against_reference(market: Market, *, every: int, delay_ms: int = 0) -> None:
    """Tell both the same and compare each feature, each reason, each sub-score and UPS."""
    state = MarketState(market.instruments, SHORT)
    scalar = Reference(list(market.instruments), SHORT)
    for number, tick in enumerate(market.ticks, start=1):
        state.advance(tick.now_ms)
        scalar.advance(tick.now_ms)
        state.append(tick.observations)
        scalar.append(tick.observations)
        if number % every == 0 or number == len(market.ticks):
            frame = compute_features(state, tick.now_ms + delay_ms)
            compare(frame, scalar)


def compare(frame: FeatureFrame, scalar: Reference) -> None:
    """Assert that a frame and the reference say the same."""
    scores = compute_scores(frame, ScoringSettings(sweep_ttl_s=SHORT.sweep_ttl_s))
    for column, one in enumerate(frame.instruments):
        expected = scalar.features(one.key, frame.now_ms)
        for name, (value, reason) in expected.items():
            where = f"{one.venue} {one.id} {name}"
            found = float(np.broadcast_to(getattr(frame, name), (len(frame.instruments),))[column])
            part = "btc_return" if name == "btc_return" else PART_OF.get(name)
            if part:
                assert Missing(frame.missing[part][column]) == reason, where
            if value is None:
                assert math.isnan(found), where
            else:
                assert found == pytest.approx(value, rel=1e-9, abs=1e-13), where
        subs = reference.sub_scores(expected, SHORT.sweep_ttl_s)
        for row, (name, value) in enumerate(subs.items()):
            assert scores.sub_scores[row, column] == pytest.approx(value, abs=1e-5), f"{one.venue} {one.id} {name}"
        assert scores.ups[column] == pytest.approx(reference.ups(subs), abs=1e-5)


@bounded
@given(seed=st.integers(0, 2**32 - 1), damage=st.sampled_from([0.0, 0.05, 0.3]), delay_ms=st.integers(0, 4000))
def test_equals_the_reference_while_warming_up(seed: int, damage: float, delay_ms: int):
    """From the first tick on, arrays and scalar code say the same of a market with every kind of gap."""
    check_against_reference(random_market(seed, 30, damage), every=6, delay_ms=delay_ms)


@bounded
@given(seed=st.integers(0, 2**32 - 1), damage=st.sampled_from([0.0, 0.05, 0.2]))
def test_equals_the_reference_when_warm(seed: int, damage: float):
    """With full windows both say the same."""
    check_against_reference(random_market(seed, 90, damage), every=30)
