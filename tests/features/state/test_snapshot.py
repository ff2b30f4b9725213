"""A market taken down and put up again is the same market, and a slice of it says the same of its instrument."""

from dataclasses import replace

import numpy as np
import pytest

from features.facts.market import BTC
from features.frame import FEATURES, FeatureFrame, compute_features
from features.state.arrays import STATE
from features.state.market_state import MarketState
from features.state.snapshot import restore, slice_state, take_snapshot, take_windows
from tests.builders import NOW_MS, instrument, trades
from tests.features.markets import INSTRUMENTS, SHORT, Tick, random_market


def watched(seed: int, ticks: int, damage: float) -> tuple[MarketState, list[Tick]]:
    """Return the state after most of a random market, and the ticks that are still to come."""
    market = random_market(seed, ticks + 20, damage)
    state = MarketState(market.instruments, SHORT)
    feed(state, market.ticks[:ticks])
    return state, market.ticks[ticks:]


def feed(state: MarketState, ticks: list[Tick]) -> None:
    """Tell a state of some ticks."""
    for tick in ticks:
        state.advance(tick.now_ms)
        state.append(tick.observations)


def same(one: FeatureFrame, other: FeatureFrame, column: int, other_column: int) -> bool:
    """Whether two frames say the same of an instrument, to the bit."""
    values = all(
        np.array_equal(getattr(one, name)[column], getattr(other, name)[other_column], equal_nan=True)
        for name in (*(feature.name for feature in FEATURES), "book_ms", "trades_ms", "open_interest_is_live")
    )
    missing = all(codes[column] == other.missing[part][other_column] for part, codes in one.missing.items())
    return values and missing and np.array_equal(one.btc_return, other.btc_return, equal_nan=True)


@pytest.mark.parametrize("ticks", [0, 1, 40, 150])
def test_round_trip(ticks: int) -> None:
    """A restored state goes on exactly as the one it was taken of, which may be empty or have gone round its rings."""
    state, to_come = watched(5, ticks, 0.1)
    again = restore(take_snapshot(state))
    feed(state, to_come)
    feed(again, to_come)
    now_ms = to_come[-1].now_ms + 123
    one, other = compute_features(state, now_ms), compute_features(again, now_ms)
    assert all(same(one, other, column, column) for column in range(len(INSTRUMENTS)))


def test_nothing_is_shared() -> None:
    """What happens to a state after it was taken is not in the snapshot."""
    state, to_come = watched(1, 30, 0.0)
    snapshot = take_snapshot(state)
    before = {name: array.copy() for name, array in snapshot.arrays.items()}
    feed(restore(snapshot), to_come)
    feed(state, to_come)
    assert all(np.array_equal(array, before[name], equal_nan=True) for name, array in snapshot.arrays.items())
    assert snapshot.newest_ms < to_come[0].now_ms


def test_what_is_too_old_stays_out() -> None:
    """Prices that no later tick can look at are not kept; those inside the windows are, to the last cell."""
    settings = replace(SHORT, book_window_s=300.0)
    market = random_market(2, 200, 0.0)
    state = MarketState(market.instruments, settings)
    feed(state, market.ticks)
    kept = take_windows(state)
    old = kept.newest_ms - state.tick_ms > 1000 * (settings.history_s + settings.max_data_age_s)
    assert old.sum() > 50
    assert np.isnan(kept.arrays["price_at"][old]).all()
    assert np.array_equal(kept.arrays["price_at"][~old], state.price_at[~old], equal_nan=True)
    assert np.array_equal(kept.arrays["bid_depth_at"], state.bid_depth_at, equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_restart(seed: int) -> None:
    """After a restart every feature but those of the prints goes on as if there had been none."""
    state, to_come = watched(seed, 150, 0.05)
    again = restore(take_windows(state))
    feed(state, to_come)
    feed(again, to_come)
    now_ms = to_come[-1].now_ms + 123
    one, other = compute_features(state, now_ms), compute_features(again, now_ms)
    for feature in FEATURES:
        if feature.name not in {"taker_sell_share", "sweep_multiple", "sweep_age_s"}:
            assert np.array_equal(getattr(one, feature.name), getattr(other, feature.name), equal_nan=True)


def test_prints_do_not_count_twice() -> None:
    """The prints of a venue's first reply after a restart are all there is, though they were known before."""
    settings = replace(SHORT, sweep_baseline_s=60.0)
    state = MarketState([instrument()], settings)
    prints = [(NOW_MS - 1000 * second, 100.0, 1.0, True) for second in range(20, 0, -1)]
    state.advance(NOW_MS)
    state.append([trades(prints, continues=False)])
    again = restore(take_windows(state))
    again.advance(NOW_MS + 1000)
    again.append([trades(prints, exchange_ms=NOW_MS + 1000, continues=False)])
    rows = state.second_rows(NOW_MS // 1000, 30)
    assert np.array_equal(again.traded_at[rows], state.traded_at[rows])


def test_another_shape_is_refused() -> None:
    """Arrays that are not those of the settings are refused, one that is missing too."""
    state, _ = watched(1, 5, 0.0)
    snapshot = take_snapshot(state)
    longer = replace(snapshot, settings=replace(SHORT, book_window_s=600.0))
    with pytest.raises(ValueError, match="were not those"):
        restore(longer)
    fewer = replace(snapshot, arrays={name: array for name, array in snapshot.arrays.items() if name != "price"})
    with pytest.raises(ValueError, match="were not those"):
        restore(fewer)


@pytest.mark.parametrize("seed", range(8))
def test_a_slice_says_the_same_bits(seed: int) -> None:
    """At every moment every instrument's features come out of its slice to the bit, borrowed or own."""
    market = random_market(seed, 160, (0.0, 0.05, 0.3)[seed % 3])
    state = MarketState(market.instruments, SHORT)
    compared = borrowed = 0
    for number, tick in enumerate(market.ticks):
        feed(state, [tick])
        if number % 7:
            continue
        now_ms = tick.now_ms + 377
        whole = compute_features(state, now_ms)
        if not whole.btc_venue:
            continue  # without Bitcoin there is no signal
        for column in [place for place, one in enumerate(INSTRUMENTS) if one.coin != BTC]:
            part = compute_features(restore(slice_state(state, whole, column)), now_ms)
            assert same(whole, part, column, 0)
            compared += 1
            borrowed += int(whole.borrows_flow[column])
    assert compared > 30
    assert borrowed > 0


def test_a_slice_is_small_and_cannot_signal_for_others() -> None:
    """A slice holds few instruments, only the first of them eligible, and hardly any cell that was not looked at."""
    state, _ = watched(3, 160, 0.0)
    whole = compute_features(state, int(state.tick_ms.max()))
    borrower = next(column for column, one in enumerate(INSTRUMENTS) if not one.publishes_trades)
    part = slice_state(state, whole, borrower)
    assert [one.is_eligible for one in part.instruments] == [True, False, False]
    assert np.isfinite(part.arrays["price_at"]).sum() < np.isfinite(state.price_at).sum() / 5
    assert {quantity.name for quantity in STATE} == part.arrays.keys()
