"""The bound that says who is worth polling."""

from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.facts.market import OpenInterest, Quotes
from features.frame import compute_features
from features.missing import Missing
from features.state.market_state import MarketState
from scoring.gates import check_gates
from scoring.strategies.ups_short.bound import upper_bound
from tests.builders import NOW_MS, instrument
from tests.features.markets import INSTRUMENTS, SHORT, random_market
from tests.scoring.frames import NAN, SETTINGS, UPS, check, limits, make_settings, passing

pytestmark = pytest.mark.long

#: what a poll may bring, by feature
POLLED = {
    "wall_ratio": st.floats(0, 50) | st.just(NAN),
    "bid_exhaustion": st.floats(-3, 1) | st.just(NAN),
    "ask_share": st.floats(0, 1) | st.just(NAN),
    "taker_sell_share": st.floats(0, 1) | st.just(NAN),
    "sweep_multiple": st.floats(0, 100) | st.just(NAN),
    "sweep_age_s": st.floats(0, 60) | st.just(NAN),
    "bid_depth_usdt": st.floats(0, 1e6) | st.just(NAN),
}
#: what the bulk calls decide
BULK = {
    "momentum_z": st.floats(-4, 4) | st.just(NAN),
    "vwap_distance": st.floats(-0.1, 0.1) | st.just(NAN),
    "funding_rate_8h": st.floats(-0.002, 0.002) | st.just(NAN),
    "btc_return": st.floats(-0.01, 0.01) | st.just(NAN),
    "spread_bps": st.floats(0, 80),
    "price_ms": st.integers(NOW_MS - 20_000, NOW_MS),
}
OPEN_INTEREST = {
    "open_interest_change": st.floats(-0.05, 0.05) | st.just(NAN),
    "price_change": st.floats(-0.05, 0.05) | st.just(NAN),
}


@given(
    st.fixed_dictionaries(BULK),
    st.fixed_dictionaries(OPEN_INTEREST),
    st.fixed_dictionaries(POLLED),
    st.fixed_dictionaries(POLLED | OPEN_INTEREST),
    st.booleans(),
    st.booleans(),
)
def test_never_below_the_score(
    bulk: dict[str, Any],
    open_interest: dict[str, float],
    before: dict[str, float],
    after: dict[str, float],
    in_bulk: bool,
    is_live: bool,
) -> None:
    """Whatever a poll completes a bulk snapshot with, the score stays at or under the bound, and -inf never signals."""
    one = [instrument(has_bulk_open_interest=in_bulk)]
    bound = upper_bound(
        passing(instruments=one, open_interest_is_live=is_live, **bulk | open_interest | before), SETTINGS
    )[0]
    if in_bulk and is_live:
        after = after | open_interest
    completed = passing(instruments=one, **bulk | after)
    if bound == -np.inf:
        inputs, _ = check(completed, min_score=0.0)
        assert not check_gates(UPS.gates, inputs).passed[:, 0].all()
    else:
        assert UPS.score(completed, SETTINGS).total[0] <= bound


@pytest.mark.parametrize("damage", [0.0, 0.05, 0.3])
def test_never_below_the_score_of_a_market(damage: float) -> None:
    """In random markets, bulk first and polls after, no score passes its bound and nothing ruled out signals."""
    ruled_out, passed = np.sum([_follow(seed, damage) for seed in range(8)], axis=0)
    assert ruled_out
    assert passed or damage > 0.1


def _follow(seed: int, damage: float) -> tuple[int, int]:
    # how often an instrument was ruled out, and how often one passed every gate
    instruments = tuple(replace(one, has_bulk_open_interest=one.venue == "mexc") for one in INSTRUMENTS)
    state = MarketState(instruments, SHORT)
    # the spread aside: the next book has another
    rules: dict[str, Any] = {"min_score": 0.0, "max_spread_percent": 99.0, "max_btc_pump_percent": 5.0}
    rules |= {
        "min_bid_depth_usdt": 0.0,
        "min_ask_imbalance": 0.0,
        "min_oi_divergence": 1.0,
        "max_data_age_s": SHORT.max_data_age_s,
    }
    ruled_out = passed = 0
    for tick in random_market(seed=seed, ticks=60, damage=damage).ticks:
        in_bulk = [isinstance(one, Quotes) for one in tick.observations]
        state.advance(tick.now_ms)
        state.append(compress(tick.observations, in_bulk))
        bound = upper_bound(compute_features(state, tick.now_ms), make_settings(**rules))
        polled = compress(tick.observations, np.logical_not(in_bulk))
        state.append(one for one in polled if not (isinstance(one, OpenInterest) and one.venue == "mexc"))
        inputs, checked = check(compute_features(state, tick.now_ms), **rules)
        signals = np.all(checked.passed, axis=0)
        out = bound == -np.inf
        assert not (signals & out).any()
        assert (inputs.scores.total <= bound)[~out].all()
        ruled_out, passed = ruled_out + int(out.sum()), passed + int(signals.sum())
    return ruled_out, passed


def test_the_bound_is_reached() -> None:
    """Full marks for what is polled, the actual ones for the rest: 20 + 20 + 15 + 15 + 10 + 7.6 + 4."""
    assert upper_bound(passing(), SETTINGS)[0] == pytest.approx(91.6)


def test_open_interest() -> None:
    """Open interest counts as it is where it comes live and in bulk, else as full."""
    half = {"open_interest_change": 0.005, "price_change": -0.005}
    in_bulk, polled = [instrument(has_bulk_open_interest=True)], [instrument()]
    assert upper_bound(passing(instruments=polled, **half), SETTINGS)[0] == pytest.approx(91.6)
    expected = 91.6 - 20 + 20 * np.sqrt(0.125)
    assert upper_bound(passing(instruments=in_bulk, **half), SETTINGS)[0] == pytest.approx(expected)
    historical = passing(instruments=in_bulk, open_interest_is_live=False, **half)
    assert upper_bound(historical, SETTINGS)[0] == pytest.approx(91.6)
    assert upper_bound(passing(instruments=in_bulk, open_interest_change=0.0), SETTINGS)[0] == -np.inf


def test_unknown_open_interest() -> None:
    """A window that is still filling up may yet borrow from whom a poll makes fit to lend."""
    warming = {"open_interest_change": NAN, "missing": {"open_interest_change": Missing.WARMING_UP}}
    in_bulk = [instrument(has_bulk_open_interest=True)]
    assert upper_bound(passing(instruments=in_bulk, **warming), SETTINGS)[0] == pytest.approx(91.6)


def test_borrowed_open_interest() -> None:
    """What is borrowed counts as it is where the lender has it in bulk and no other venue would have to be asked."""
    borrower = instrument(venue="lbank", publishes_trades=False, publishes_open_interest=False)
    bulk, polled = instrument(has_bulk_open_interest=True), instrument(venue="binance")
    borrow = {"borrows_open_interest": True, "lender": 1, "open_interest_change": 0.0}
    assert upper_bound(passing(instruments=[borrower, bulk], **borrow), SETTINGS)[0] == -np.inf
    assert upper_bound(passing(instruments=[borrower, polled], **borrow), SETTINGS)[0] == pytest.approx(91.6)
    assert upper_bound(passing(instruments=[borrower, bulk, polled], **borrow), SETTINGS)[0] == pytest.approx(91.6)


@pytest.mark.parametrize(
    "changed",
    [
        {"spread_bps": 50.0},
        {"btc_return": 0.005},
        {"btc_return": NAN},
        {"price_ms": NOW_MS - 15_001},
        {"price": NAN, "missing": {"price": Missing.STALE}},
        {"instruments": [instrument(is_eligible=False)]},
        {"instruments": [instrument(venue="lbank", publishes_trades=False)]},
    ],
)
def test_gates_that_fail_already(changed: dict[str, Any]) -> None:
    """What no poll can mend is not polled."""
    assert upper_bound(passing(**changed), SETTINGS)[0] == -np.inf


def test_spread_of_the_book() -> None:
    """A venue without a bulk bid and ask, priced by its mark, has its spread from books: the last one fails nothing."""
    wide = {"spread_bps": 90.0}
    assert upper_bound(passing(**wide), SETTINGS)[0] == -np.inf
    assert upper_bound(passing(mark_price=100.0, **wide), SETTINGS)[0] == pytest.approx(91.6)


def test_limits() -> None:
    """Mutes, the cooldown and open signals are known; a pause, the guard and a full day leave the order alone."""
    frame = passing(2)
    for changed in (
        {"muted_coins": {"C0": NOW_MS + 1}},
        {"last_signal_ms": {"C0": NOW_MS - 1}},
        {"last_exit_ms": {"C0": NOW_MS - 1}},
    ):
        assert upper_bound(frame, SETTINGS, limits(**changed)).tolist() == [-np.inf, pytest.approx(91.6)]
    assert upper_bound(frame, SETTINGS, open_names={"C0"}).tolist() == [-np.inf, pytest.approx(91.6)]
    barred = limits(paused_until_ms=NOW_MS + 1, guard_until_ms=NOW_MS + 1, signal_times_ms=(NOW_MS,) * 9)
    assert upper_bound(frame, SETTINGS, barred) == pytest.approx([91.6, 91.6])
