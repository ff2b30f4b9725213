"""The market over time: rows, freshness, order and size."""

import gc
import math
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.facts.market import Candles, Instrument, Observation
from features.frame import FeatureFrame, compute_features
from features.missing import Missing
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from features.state.prints import open_runs
from features.state.ring import CLEARED_S, LEAD_S
from scoring.settings import ScoringSettings
from tests.builders import ID, NOW_MS, VENUE, instrument, open_interest, order_book, quotes, trades
from tests.features.markets import SHORT, random_market
from tests.scoring.frames import UPS


def told(*observations: Observation, instruments: tuple[Instrument, ...] = (), now_ms: int = NOW_MS) -> MarketState:
    """Return a state of one tick."""
    state = MarketState(instruments or (instrument(),), FeatureSettings())
    state.advance(now_ms)
    state.append(observations)
    return state


def test_rows_are_found_after_any_number_of_rounds() -> None:
    """A ring gives the same rows as a plain list."""
    state = MarketState(
        [instrument()], FeatureSettings(oi_window_s=40, book_window_s=40, btc_window_s=40, momentum_window_s=2)
    )
    assert len(state.tick_ms) == 15
    times = [NOW_MS + 5000 * i for i in range(50)]
    for number, now_ms in enumerate(times):
        state.advance(now_ms)
        kept = times[max(0, number - 14) : number + 1]
        inside = [t for t in kept if now_ms - 31_000 <= t <= now_ms - 4_000]
        assert state.tick_ms[state.rows(now_ms - 31_000, now_ms - 4_000)].tolist() == inside
        assert state.tick_ms[state.row] == now_ms


def test_append_needs_a_tick() -> None:
    """There is no row to write into before the first."""
    with pytest.raises(ValueError, match="advanced"):
        MarketState([instrument()], FeatureSettings()).append([quotes()])


def test_a_tick_that_is_not_later_opens_nothing() -> None:
    """A clock that stands still or steps back does not disturb the rows."""
    state = told(quotes())
    state.advance(NOW_MS)
    state.advance(NOW_MS - 5000)
    assert len(state.rows(0, NOW_MS)) == 1


def test_unknown_ids_are_counted() -> None:
    """Bulk, book and open interest of somebody else change nothing."""
    state = told(
        quotes(ids=("X", ID)), order_book(id="Y"), open_interest(id="Z"), trades(venue="mexc"), quotes(venue="kraken")
    )
    assert state.index.unknown_ids == {(VENUE, "X"), (VENUE, "Y"), (VENUE, "Z"), ("mexc", ID), ("kraken", ID)}
    assert state.price.tolist() == [100.0]


def test_a_price_is_carried_while_it_is_fresh() -> None:
    """Fifteen seconds long, then the cell is missing."""
    state = told(quotes())
    for after_s in (15, 16):
        state.advance(NOW_MS + after_s * 1000)
    assert state.price_at[:3, 0].tolist()[:2] == [100.0, 100.0]
    assert math.isnan(state.price_at[2, 0])


def test_an_older_quote_does_not_replace_a_newer_one() -> None:
    """Replies may overtake each other."""
    state = told(quotes(NOW_MS, bid_price=100.0, ask_price=100.0), quotes(NOW_MS - 1, bid_price=50.0, ask_price=50.0))
    assert state.price.tolist() == state.best_bid.tolist() == [100.0]


def test_marks_and_mids_are_never_mixed() -> None:
    """Once a bulk quote has come, what was kept of the mark is gone, and the mark is no price any more."""
    state = told(quotes(bid_price=None, ask_price=None, mark_price=90.0))
    assert state.price_at[0].tolist() == [90.0]
    state.advance(NOW_MS + 5000)
    state.append([quotes(NOW_MS + 5000)])
    assert math.isnan(state.price_at[0, 0])
    state.append([quotes(NOW_MS + 6000, bid_price=None, ask_price=None, mark_price=90.0)])
    assert (state.price[0], state.mark_price[0]) == (100.0, 90.0)


def test_best_prices_are_the_newer_of_bulk_and_book() -> None:
    """A book polled after the bulk corrects it, an older one does not."""
    state = told(quotes(NOW_MS), order_book(exchange_ms=NOW_MS - 1, bids=((50.0, 1.0),)))
    assert state.best_bid.tolist() == [99.9]
    state.append([order_book(exchange_ms=NOW_MS + 1, bids=((99.95, 1.0),))])
    assert state.best_bid.tolist() == [99.95]


def test_history_fills_the_ticks_that_did_not_know_it() -> None:
    """A point that comes late is known from its time for as long as a live one would be; live values stay."""
    state = MarketState([instrument()], FeatureSettings())
    for number in range(20):
        state.advance(NOW_MS + 5000 * number)
        if number == 5:
            state.append([open_interest(7.0, exchange_ms=NOW_MS + 25_000)])
    state.append([open_interest(3.0, exchange_ms=NOW_MS + 10_000, is_live=False)])
    known = state.open_interest_at[:20, 0]
    assert known[2:5].tolist() == [3.0] * 3
    assert known[5:18].tolist() == [7.0] * 13
    assert np.isnan(known[[0, 1, 18, 19]]).all()


def test_history_may_be_told_before_the_first_live_tick() -> None:
    """A warm start: past ticks, then the present, and the window is full at once."""
    state = MarketState([instrument()], FeatureSettings())
    for ago_s in range(900, 0, -60):
        then_ms = NOW_MS - ago_s * 1000
        state.advance(then_ms)
        state.append([quotes(then_ms), open_interest(1e6, exchange_ms=then_ms, is_live=False)])
    state.advance(NOW_MS)
    state.append([quotes(), open_interest(1.02e6)])
    frame = compute_features(state, NOW_MS)
    assert frame.open_interest_change[0] == pytest.approx(0.02)
    assert frame.missing["momentum"][0] == Missing.PRESENT


def minutes(count: int, close: float = 101.0) -> Candles:
    """Return candles up to now, each from 100 to `close`."""
    opens = np.arange(NOW_MS - count * 60_000, NOW_MS, 60_000)
    flat = np.full(count, 100.0)
    return Candles(
        venue=VENUE,
        id=ID,
        open_ms=opens,
        open=flat,
        high=flat + 1,
        low=flat,
        close=flat + close - 100,
        received_ms=NOW_MS,
    )


def test_candles_fill_the_past_before_the_first_tick() -> None:
    """A cold start: the ticks that would have been take the price next to them, and momentum is there at once.

    The mark price is 101 where the mid is 100 now, so they are shifted to meet it.
    """
    state = MarketState([instrument(), instrument(id="B")], FeatureSettings())
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    state.append([quotes(ids=(ID, "B"), mark_price=101.0), minutes(20)])
    frame = compute_features(state, NOW_MS)
    assert frame.missing["momentum"].tolist() == [Missing.PRESENT, Missing.WARMING_UP]
    rows = state.rows(NOW_MS - 65_000, NOW_MS - 35_000)
    assert state.price_at[rows, 0].tolist() == pytest.approx(
        [100.0, 100.0, 1e4 / 101, 1e4 / 101, 1e4 / 101, 1e4 / 101, 1e4 / 101][: len(rows)]
    )
    assert np.isnan(state.price_at[state.rows(0, NOW_MS - 1_201_000), 0]).all()


@given(
    half_spread=st.floats(0, 0.01),
    basis=st.floats(-0.02, 0.02),
    noise=st.lists(st.floats(-1e-7, 1e-7), min_size=21, max_size=21),
)
def test_a_price_that_stood_still_scores_nothing(half_spread: float, basis: float, noise: list[float]) -> None:
    """Whatever the spread and the mark's distance from the mid, a history that stood still is no fall."""
    state = MarketState([instrument()], FeatureSettings())
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    closes = 100 * (1 + basis) * (1 + np.array(noise))
    opens_ms = NOW_MS // 60_000 * 60_000 + 60_000 * np.arange(-20, 1)
    still = Candles(
        venue=VENUE,
        id=ID,
        open_ms=opens_ms,
        open=closes,
        high=closes,
        low=closes,
        close=closes,
        received_ms=NOW_MS,
    )
    ago_ms = [1_200_000, 900_000, 600_000]
    history = [open_interest(1e6, exchange_ms=NOW_MS - ms, is_live=False, received_ms=NOW_MS) for ms in ago_ms]
    bid, ask, mark = (100 * (1 + share) for share in (-half_spread, half_spread, basis))
    now = quotes(bid_price=bid, ask_price=ask, mark_price=mark)
    state.append([now, still, *history, open_interest(1.02e6)])
    scores = UPS.score(compute_features(state, NOW_MS), ScoringSettings()).sub_scores
    assert scores[list(UPS.weights).index("short_momentum"), 0] < 0.1
    assert scores[list(UPS.weights).index("oi_divergence"), 0] < 1


def test_without_a_fresh_price_there_is_nothing_to_meet() -> None:
    """A history that cannot be shifted stays out."""
    state = MarketState([instrument()], FeatureSettings())
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    state.append([minutes(20)])
    assert np.isnan(state.price_at).all()
    state.append([quotes(mark_price=None), minutes(20)])
    assert np.isnan(state.price_at[state.rows(0, NOW_MS - 1), 0]).all()


@pytest.mark.parametrize("late", [0, 1])
def test_a_move_after_the_last_candle_is_no_basis(late: int) -> None:
    """The price rose by 1 % in the last minute and the last candle does not show it: the past stays where it was."""
    state = MarketState([instrument()], FeatureSettings())
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    whole = minutes(20, close=100.0)
    names = ("open_ms", "open", "high", "low", "close")
    candles = replace(whole, **{name: getattr(whole, name)[: 20 - late] for name in names})
    state.append([quotes(bid_price=100.9, ask_price=101.1, mark_price=101.0), candles])
    frame = compute_features(state, NOW_MS)
    assert frame.momentum_return[0] == pytest.approx(0.01)
    assert frame.momentum_return_3[0] == pytest.approx(0.01)


def test_a_minute_that_lacks_is_not_filled_from_its_neighbours() -> None:
    """A reply from which bad minutes were left out says nothing of their middle."""
    state = MarketState([instrument()], FeatureSettings())
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    whole, kept = minutes(20, close=100.0), np.r_[0:10, 13:20]
    names = ("open_ms", "open", "high", "low", "close")
    state.append([quotes(mark_price=100.0), replace(whole, **{name: getattr(whole, name)[kept] for name in names})])
    lacks_from_ms, lacks_to_ms = NOW_MS - 600_000, NOW_MS - 420_000
    inside = state.rows(lacks_from_ms + 30_001, lacks_to_ms - 30_001)
    assert len(inside)
    assert np.isnan(state.price_at[inside, 0]).all()
    beside = [*state.rows(NOW_MS - 1_200_000, lacks_from_ms), *state.rows(lacks_to_ms, NOW_MS)]
    assert np.isfinite(state.price_at[beside, 0]).all()


WALL = [(100.1, 10.0), (100.2, 10.0), (100.3, 900.0), (100.4, 10.0), (100.5, 10.0), (100.6, 10.0)]


def walled(*, moved: float = 0.0, apart_ms: int = 5000, prints_usdt: float = 1000.0, size: float = 1.0) -> FeatureFrame:
    """Return the frame after two books with a wall, where so much trades in each of the last seconds."""
    state = MarketState([instrument(tick_size=0.01)], FeatureSettings())
    for ago_ms, shift in ((apart_ms, 0.0), (0, moved)):
        state.advance(NOW_MS - ago_ms)
        asks = [(price + shift, quantity * size) for price, quantity in WALL]
        state.append([quotes(NOW_MS - ago_ms), order_book(asks=asks, exchange_ms=NOW_MS - ago_ms)])
    tape = [(NOW_MS - 1000 * second, 100.0, prints_usdt / 100, False) for second in range(20, 0, -1)]
    state.append([trades(tape)])
    return compute_features(state, NOW_MS)


def test_a_wall_that_lasts_and_matters_counts() -> None:
    """90,270 USDT beside levels of a thousand, twice within 15 s at one price, worth 90 usual seconds."""
    frame = walled()
    assert frame.missing["wall"][0] == Missing.PRESENT
    assert frame.wall_ratio[0] == pytest.approx(90, rel=0.01)


@pytest.mark.parametrize(
    "changed",
    [
        {"moved": 0.03},  # three ticks
        {"prints_usdt": 10_000.0},  # nine usual seconds
        {"size": 0.001},  # 90 USDT
    ],
)
def test_a_wall_that_moves_or_is_dust_counts_for_nothing(changed: dict[str, Any]) -> None:
    """It is present, and 0."""
    frame = walled(**changed)
    assert frame.missing["wall"][0] == Missing.PRESENT
    assert frame.wall_ratio[0] == 0.0


def test_a_wall_may_move_by_two_ticks() -> None:
    """Rounding of a quote is no other wall."""
    assert walled(moved=0.02).wall_ratio[0] == pytest.approx(90, rel=0.01)


@pytest.mark.parametrize("apart_ms", [100, 2900, 15_100])
def test_a_wall_needs_two_looks(apart_ms: int) -> None:
    """Two books less than 3 s or more than 15 s apart are not two looks."""
    assert walled(apart_ms=apart_ms).missing["wall"][0] == Missing.WARMING_UP


def test_candles_never_replace_what_was_seen_nor_fill_windows_of_seconds() -> None:
    """A tick's own price is better than a minute's, and half a minute too late is too much for a short window."""
    state = told(quotes())
    state.advance(NOW_MS + 5000)
    state.append([minutes(20, close=200.0)])
    assert state.price_at[state.rows(0, NOW_MS), 0].tolist() == [100.0]
    short = MarketState([instrument()], SHORT)
    short.open_past(NOW_MS)
    short.append([minutes(20)])
    assert np.isnan(short.price_at).all()


def test_missed_ticks_have_rows() -> None:
    """After a restart there are rows for the ticks missed, which candles fill; what was seen before them stays."""
    state = MarketState([instrument(), instrument(id="B")], FeatureSettings())
    for ago_s in range(920, 180, -5):
        then_ms = NOW_MS - ago_s * 1000
        state.advance(then_ms)
        state.append([quotes(then_ms, ids=(ID, "B"))])
    seen = state.rows(0, NOW_MS)
    state.open_past(NOW_MS)
    state.advance(NOW_MS)
    state.append([quotes(ids=(ID, "B"), mark_price=101.0), minutes(5)])
    times = state.tick_ms[state.rows(0, NOW_MS)]
    assert np.diff(times).tolist() == [5000] * (len(times) - 1)
    assert len(times) == 185
    assert (state.price_at[seen] == 100.0).all()
    assert state.prices_as_of(np.array([NOW_MS - 60_000]))[:, 0].tolist() == [100.0]
    frame = compute_features(state, NOW_MS)
    assert frame.missing["momentum"].tolist() == [Missing.PRESENT, Missing.WARMING_UP]


def test_no_rows_for_what_was_not_missed() -> None:
    """A tick in its time opens no row but its own, one a moment before the open one none."""
    state = told(quotes())
    for now_ms in (NOW_MS + 5000, NOW_MS + 9000, NOW_MS + 7000):
        state.open_past(now_ms)
        state.advance(now_ms)
    assert state.tick_ms[state.rows(0, NOW_MS + 60_000)].tolist() == [NOW_MS, NOW_MS + 5000, NOW_MS + 9000]


def test_several_books_of_one_tick_follow_one_another() -> None:
    """The one before counts for the wall, whether it came in the same call or not; a repeated one does not."""
    times_ms = [NOW_MS + 3000 * i for i in (0, 1, 1, 2)]
    books = [order_book(exchange_ms=ms, bids=((99.0 + ms % 7 / 10, 10.0),)) for ms in times_ms]
    state = told(*books)
    assert (state.book_ms[0], state.previous_book_ms[0]) == (NOW_MS + 6000, NOW_MS + 3000)
    assert state.bid_depth_at[0, state.band[0], 0] == state.bid_depth[0]


@pytest.mark.parametrize("apart_ms", [100, 700, 1000, 1600, 2900, 3000, 5000, 14_000])
def test_the_earlier_book_is_neither_too_near_nor_too_far(apart_ms: int) -> None:
    """However fast books come, the one the wall is compared with is 3 to 15 s older, once there is one."""
    state = told(order_book(exchange_ms=NOW_MS))
    for number in range(1, 60):
        now_ms = NOW_MS + number * apart_ms
        state.advance(now_ms)
        state.append([order_book(exchange_ms=now_ms, bids=((99.0 + number / 100, 10.0),))])
        age_ms = now_ms - int(state.previous_book_ms[0])
        assert age_ms >= 3000
        assert age_ms <= 15_000 or number * apart_ms < 6000


def test_prints_fall_into_their_seconds() -> None:
    """Late ones too, as far back as the ring holds; what is older or far ahead is dropped."""
    second = NOW_MS // 1000
    seconds = [second - 10_000, second - 2, second, second, second + LEAD_S + CLEARED_S + 1]
    state = told(trades([(s * 1000, 10.0, 1.0, i == 1) for i, s in enumerate(seconds)]))
    assert state.traded_at.sum() == 30.0
    assert state.traded_at[state.second_rows(second, 3), 0].tolist() == [10.0, 0.0, 20.0]
    assert state.taker_sold_at[state.second_rows(second, 3), 0].tolist() == [10.0, 0.0, 0.0]


def test_a_second_is_empty_when_its_row_comes_round_again() -> None:
    """The ring of seconds forgets."""
    state = told(trades([(NOW_MS, 10.0, 1.0, True)]))
    for number in range(1, 100):
        state.advance(NOW_MS + number * 5000)
    assert state.traded_at.sum() == 0.0


FALLING = [(NOW_MS - 900 + i * 100, 100.0 - i, 10.0, True) for i in range(6)]


@pytest.mark.parametrize("cut", range(7))
def test_a_sweep_may_arrive_in_pieces(cut: int) -> None:
    """Wherever a reply ends, the run is the same."""
    state = told(trades(FALLING[:cut]), trades(FALLING[cut:]))
    runs = open_runs(state, np.array([0]))
    assert runs.notional[0] == pytest.approx(sum(p * q for _, p, q, _ in FALLING))
    assert runs.can_be_sweeps(2000.0).tolist() == [True]
    assert (runs.start_ms[0], runs.end_ms[0]) == (FALLING[0][0], FALLING[-1][0])


def test_a_gap_closes_the_open_run() -> None:
    """What may have been missed in between is not assumed; the run before stays a sweep."""
    state = told(trades(FALLING[:4]), trades(FALLING[4:], continues=False))
    assert state.run_notional[-1, 0] == pytest.approx(10 * (100 + 99 + 98 + 97))
    assert open_runs(state, np.array([0])).notional[0] == pytest.approx(10 * (96 + 95))
    assert state.covered_from_ms[0] == FALLING[4][0]


def test_another_universe_keeps_what_both_hold() -> None:
    """Columns move with their instruments: the frame of those that stay is the same."""
    market = random_market(5, 60, 0.1)
    state = MarketState(market.instruments, SHORT)
    for tick in market.ticks:
        state.advance(tick.now_ms)
        state.append(tick.observations)
    now_ms = market.ticks[-1].now_ms
    reordered = [instrument(id="NEWUSDT"), *reversed(market.instruments)]
    before, after = compute_features(state, now_ms), compute_features(state.with_instruments(reordered), now_ms)
    for name in ("price", "bid_depth_usdt", "bid_exhaustion", "sweep_multiple", "open_interest_change", "momentum_z"):
        np.testing.assert_array_equal(getattr(after, name)[:0:-1], getattr(before, name), err_msg=name)
    assert after.missing["price"][0] == Missing.NOT_SEEN


def test_memory_does_not_grow_with_time() -> None:
    """Once the rings have gone round, a hundred ticks leave nothing behind, whatever ids the replies name."""
    instruments = [instrument(id=f"C{i}USDT") for i in range(300)]
    ids = tuple(one.id for one in instruments)
    state = MarketState(instruments, SHORT)
    tracemalloc.start()
    for number in range(2 * len(state.tick_ms)):
        if number == len(state.tick_ms):
            gc.collect()  # which empties the interpreter's own stores of small objects too
            before = tracemalloc.get_traced_memory()[0]
        now_ms = NOW_MS + 1000 * number
        state.advance(now_ms)
        state.append([quotes(now_ms, ids=ids[number % 7 :]), open_interest(id=ids[0], exchange_ms=now_ms)])
        polled = ids[number % 200 :][:6]
        state.append([order_book(id=one, exchange_ms=now_ms) for one in polled])
        prints = [(now_ms - 900 + 100 * i, 100.0 - i % 3, 50.0, i % 5 > 0) for i in range(9)]
        state.append([trades(prints, id=one) for one in polled])
        compute_features(state, now_ms)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000  # one float for each instrument and tick would be three times that


def test_the_default_state_of_2500_instruments_is_below_80_mb() -> None:
    """And it stays so: every array is allocated once."""
    state = MarketState([instrument(id=f"C{i}USDT") for i in range(2500)], FeatureSettings())
    assert state.nbytes < 80e6
