"""The frame as a whole: equal to the scalar reference, and true to its invariants."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from features.facts.market import Observation, OpenInterest, OrderBook, Quotes
from features.frame import FEATURES, PARTS, FeatureFrame, compute_features
from features.missing import Missing
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from scoring.settings import ScoringSettings
from tests import reference
from tests.builders import NOW_MS, instrument, open_interest, order_book, quotes, trades
from tests.features.markets import SHORT, Market, random_market
from tests.reference import Reference
from tests.scoring.frames import UPS

pytestmark = pytest.mark.long

#: A seed neither shrinks nor explains anything.
bounded = settings(max_examples=8, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))

#: The part whose code speaks for each feature that has one.
PART_OF = {
    "price": "price",
    "index_basis": "index",
    "spread_bps": "spread",
    "bid_depth_usdt": "book",
    "ask_depth_usdt": "book",
    "sellable_usdt": "book",
    "buyable_usdt": "book",
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
    scores = UPS.score(frame, ScoringSettings(sweep_ttl_s=SHORT.sweep_ttl_s))
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
        assert scores.total[column] == pytest.approx(reference.ups(subs), abs=1e-5)


seeds = st.integers(0, 2**32 - 1)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.05, 0.3]), delay_ms=st.integers(0, 4000))
def test_equals_the_reference_while_warming_up(seed: int, damage: float, delay_ms: int) -> None:
    """From the first tick on, arrays and scalar code say the same of a market with every kind of gap."""
    check_against_reference(random_market(seed, 24, damage), every=8, delay_ms=delay_ms)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.05, 0.2]), exponent=st.floats(-9, 6))
def test_equals_the_reference_when_warm(seed: int, damage: float, exponent: float) -> None:
    """With full windows, after the rings have gone round, at prices from 1e-9 to 1e6, both say the same."""
    check_against_reference(random_market(seed, 80, damage, price_exponent=exponent), every=40)


def features_of(market: Market, state: MarketState | None = None) -> FeatureFrame:
    """Return the frame at a market's end."""
    state = state or MarketState(market.instruments, SHORT)
    for tick in market.ticks:
        state.advance(tick.now_ms)
        state.append(tick.observations)
    return compute_features(state, market.ticks[-1].now_ms)


def assert_same(one: FeatureFrame, other: FeatureFrame, names: Iterable[str], rel: float = 0.0) -> None:
    """Assert that features agree, missing ones included."""
    for name in names:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rel, atol=rel * 1e-3, err_msg=name)


@bounded
@given(seed=seeds, exponent=st.integers(-20, 20))
def test_scaling_all_sizes_leaves_ratios(seed: int, exponent: int) -> None:
    """Imbalance, wall ratio, exhaustion and taker share do not know how large the market is."""
    plain, scaled = (random_market(seed, 40, 0.1, size=size) for size in (1.0, 2.0**exponent))
    ratios = ("ask_share", "wall_ratio", "bid_exhaustion", "taker_sell_share", "microprice_tilt_bps")
    assert_same(features_of(plain), features_of(scaled), ratios)


@bounded
@given(seed=seeds, scale=st.floats(0.001, 1000))
def test_scaling_all_prices_leaves_every_relative_feature(seed: int, scale: float) -> None:
    """A coin redenominated at any rate, its notionals as before, scores the same."""
    plain, scaled = (random_market(seed, 60, 0.1, price_exponent=math.log10(s)) for s in (1.0, scale))
    prices = {"price", "best_bid", "best_ask", "mark_price", "open_interest_base"}
    names = [feature.name for feature in FEATURES if feature.name not in prices]
    one, other = features_of(plain), features_of(scaled)
    assert_same(one, other, names, rel=1e-6)
    assert all((one.missing[part] == other.missing[part]).all() for part in PARTS)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.1, 0.3]))
def test_what_lies_outside_every_window_changes_nothing(seed: int, damage: float) -> None:
    """A day before, full of observations, then a pause longer than every window: the frame is what it is without."""
    recent, before = random_market(seed, 30, damage), random_market(seed + 1, 30, damage)
    pause_ms = 10 * 60_000
    state = MarketState(recent.instruments, SHORT)
    for tick in before.ticks:
        state.advance(tick.now_ms - pause_ms)
        state.append(
            [earlier(one, pause_ms) for one in tick.observations if isinstance(one, Quotes | OrderBook | OpenInterest)]
        )
    changed, plain = features_of(recent, state), features_of(recent)
    for part in PARTS:
        seen = plain.missing[part] != Missing.NOT_SEEN  # "stale" once there was something
        np.testing.assert_array_equal(changed.missing[part][seen], plain.missing[part][seen], err_msg=part)
    assert_same(changed, plain, [feature.name for feature in FEATURES])


def earlier(record: Quotes | OrderBook | OpenInterest, by_ms: int) -> Observation:
    """Return an observation as of some time before, without the funding interval, which holds until told otherwise."""
    if isinstance(record, Quotes):
        record = replace(record, funding_interval_h=None)
    when: dict[str, Any] = {"exchange_ms": record.exchange_ms - by_ms, "received_ms": record.received_ms - by_ms}
    return replace(record, **when)


@bounded
@given(seed=seeds, damage=st.sampled_from([0.0, 0.3]))
def test_a_feature_is_nan_exactly_where_its_part_is_missing(seed: int, damage: float) -> None:
    """The code and the value never disagree."""
    frame = features_of(random_market(seed, 60, damage))
    for name, part in PART_OF.items():
        is_missing = frame.missing[part] != Missing.PRESENT
        np.testing.assert_array_equal(np.isnan(getattr(frame, name)), is_missing, err_msg=name)


def test_the_lender_is_the_largest_with_a_full_window() -> None:
    """LBank borrows open interest, prints and their times from the larger of two; a venue that has its own does not."""
    lender, larger, borrower = (
        instrument(venue="bybit"),
        instrument(venue="binance"),
        instrument(venue="lbank", publishes_trades=False, publishes_open_interest=False),
    )
    state = MarketState([borrower, lender, larger], FeatureSettings())
    for number in range(181):
        now_ms = NOW_MS + number * 5000
        state.advance(now_ms)
        for one, amount in ((lender, 1e6), (larger, 2e6 + 1000 * number)):
            state.append([quotes(now_ms, venue=one.venue), open_interest(amount, venue=one.venue, exchange_ms=now_ms)])
        state.append([quotes(now_ms, venue="lbank", bid_price=None, ask_price=None, mark_price=100.0)])
        state.append([trades([(now_ms - 100, 100.0, 1.0, True)], venue="binance", exchange_ms=now_ms - 50)])
    frame = compute_features(state, now_ms)
    assert frame.lender.tolist() == [2, -1, -1]
    assert frame.borrows_open_interest.tolist() == frame.borrows_flow.tolist() == [True, False, False]
    assert frame.open_interest_change[0] == pytest.approx(0.09)
    assert frame.taker_sell_share[0] == 1.0
    assert frame.trades_ms[0] == now_ms - 50
    assert frame.open_interest_is_live.tolist() == [True, True, True]
    assert math.isnan(frame.open_interest_usdt[0])


def test_the_newest_open_interest_from_a_history_is_not_live() -> None:
    """It fills windows, but the frame says that no gate may pass on it."""
    state = MarketState([instrument()], FeatureSettings())
    state.advance(NOW_MS)
    state.append([quotes(), open_interest(exchange_ms=NOW_MS - 1000, is_live=False)])
    assert compute_features(state, NOW_MS).open_interest_is_live.tolist() == [False]
    state.append([open_interest()])
    assert compute_features(state, NOW_MS).open_interest_is_live.tolist() == [True]


def test_a_frozen_book_is_missing_only_while_something_moves() -> None:
    """Unchanged for a minute is quiet; unchanged while prints go through is a dead feed."""
    state = MarketState([instrument()], FeatureSettings())
    for number in range(14):
        now_ms = NOW_MS + number * 5000
        state.advance(now_ms)
        state.append([quotes(now_ms), order_book(exchange_ms=now_ms)])
    assert compute_features(state, now_ms).missing["book"].tolist() == [Missing.PRESENT]
    state.append([trades([(now_ms - 10, 100.0, 1.0, False)], exchange_ms=now_ms)])
    assert compute_features(state, now_ms).missing["book"].tolist() == [Missing.FROZEN]


def test_nothing_at_all_is_not_seen_everywhere() -> None:
    """An empty market has a frame too."""
    state = MarketState([instrument()], FeatureSettings())
    frame = compute_features(state, NOW_MS)
    assert {Missing(code[0]) for code in frame.missing.values()} == {Missing.NOT_SEEN}
    assert all(np.isnan(getattr(frame, feature.name)).all() for feature in FEATURES)
