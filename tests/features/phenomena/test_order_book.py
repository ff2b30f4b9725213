"""Features of the order book, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from features.facts.market import OrderBook
from features.phenomena.order_book import (
    ask_share,
    bid_exhaustion,
    full_reach,
    measure_books,
    median_of_known,
    microprice_tilt_bps,
    pad,
    side_depth,
    usual_depth,
    wall_ratio,
    widest,
)
from tests.builders import order_book

NAN = math.nan


def test_depth_falls_to_nothing_at_the_bands_end() -> None:
    """A level half way to the end counts half; at the end nothing; beyond it not at all."""
    distance = np.array([0.0025, 0.005, 0.01, 0.02, 0.005])
    start, levels = np.array([0, 4]), np.array([4, 1])
    assert_allclose(side_depth(distance, np.full(5, 1000.0), start, levels, 0.01), [750 + 500, 500])


@pytest.mark.parametrize("best", [0.01, 0.02, NAN])
def test_a_side_without_a_level_inside_the_band_is_missing(best: float) -> None:
    """At its end, beyond it, or no level at all."""
    assert_allclose(side_depth(np.array([best]), np.array([1000.0]), np.array([0]), np.array([1]), 0.01), [NAN])


def test_only_a_full_side_limits_reach() -> None:
    """Three of three levels end at 0.3 %; two of three show all there is."""
    distance = np.array([0.001, 0.002, 0.003, 0.001, 0.002, 1.0])
    start, levels = np.array([0, 3, 5]), np.array([3, 2, 0])
    assert_allclose(full_reach(distance, start, levels, np.array([3, 3, 3])), [0.003, math.inf, math.inf])


def ladder(step_bps: float, usdt: float, sign: int, levels: int = 50) -> list[tuple[float, float]]:
    """Return a side of so many USDT a level, the first 1 bp from a mid of 100, then one each step."""
    prices = [100 * (1 + sign * 1e-4 * (1 + step_bps * k)) for k in range(levels)]
    return [(price, usdt / price) for price in prices]


def book_of(bid_step_bps: float, bid_usdt: float, ask_step_bps: float, ask_usdt: float) -> OrderBook:
    """Return a book of fifty levels a side, as many as were asked for."""
    bids, asks = ladder(bid_step_bps, bid_usdt, -1), ladder(ask_step_bps, ask_usdt, 1)
    return order_book(bids=bids, asks=asks, levels_asked=50)


def test_bands_that_a_side_does_not_reach_are_missing() -> None:
    """Fifty asks a bp apart end at 50 bps: 10, 25 and 50 bps are known, 100 bps is not, for both sides."""
    measures = measure_books([book_of(2.0, 1000.0, 1.0, 1000.0)], band_percent=1.0)
    assert np.isfinite(measures.bid_depth[:, 0]).tolist() == [True, True, True, False]
    assert np.isfinite(measures.ask_depth[:, 0]).tolist() == [True, True, True, False]
    assert measures.reach[0] == pytest.approx(0.005)
    assert widest(np.isfinite(measures.bid_depth)).tolist() == [2]


def test_denser_asks_change_no_bid_depth() -> None:
    """Asks a quarter of their distance apart, the bids untouched: where both books are known the bids are as deep."""
    usual, denser = (measure_books([book_of(2.0, 1000.0, step, 1000.0)], 1.0).bid_depth[:, 0] for step in (2.0, 0.5))
    both = np.isfinite(usual) & np.isfinite(denser)
    assert both.tolist() == [True, True, False, False]
    assert_allclose(usual[both], denser[both])


def test_twice_the_bids_are_twice_as_deep() -> None:
    """Twice as many bids of the same size on the same stretch are twice as deep, and no exhaustion is seen."""
    usual, doubled = (
        measure_books([order_book(bids=ladder(step, 1000.0, -1, levels), asks=ladder(2.0, 1000.0, 1, 60))], 1.0)
        for step, levels in ((2.0, 60), (1.0, 120))
    )
    assert_allclose(doubled.bid_depth[3] / usual.bid_depth[3], 2.0, rtol=0.03)


def test_a_setting_narrows_the_bands() -> None:
    """Bands beyond BOOK_BAND_PERCENT are not measured."""
    measures = measure_books([book_of(4.0, 1000.0, 4.0, 1000.0)], band_percent=0.25)
    assert np.isfinite(measures.bid_depth[:, 0]).tolist() == [True, True, False, False]


def test_the_widest_band_by_hand() -> None:
    """A bid of 10 at 99.5 is half way to 1 %: 497.5 USDT; one at 98 does not count."""
    book = order_book(bids=((99.5, 10.0), (98.0, 10.0)), asks=((100.5, 10.0),))
    assert_allclose(measure_books([book], band_percent=1.0).bid_depth[:, 0], [NAN, NAN, NAN, 497.5])


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ((), ((100.1, 1.0),)),
        (((99.9, 1.0),), ()),
        ((), ()),
        (((100.2, 1.0),), ((100.1, 1.0),)),
        (((90.0, 1.0),), ((110.0, 1.0),)),
    ],
)
def test_an_empty_crossed_or_wide_book_says_nothing(
    bids: tuple[tuple[float, float], ...], asks: tuple[tuple[float, float], ...]
) -> None:
    """From the depth on everything is missing, for both sides."""
    measures = measure_books([order_book(bids=bids, asks=asks), order_book()], band_percent=1.0)
    for values in measures[4:]:
        assert np.isnan(values[..., 0]).all()
    assert math.isfinite(measures.bid_depth[3, 1])


def test_one_level_of_one_asked_reaches_nowhere() -> None:
    """Its last level is its best, so nothing is known of any band."""
    book = order_book(bids=((99.9, 1.0),), asks=((100.1, 1.0),), levels_asked=1)
    assert np.isnan(measure_books([book], band_percent=1.0).bid_depth).all()


def test_sellable_takes_the_bids_within_a_thousandth() -> None:
    """100 for 5 and 99.95 for 2, but not 99.8."""
    book = order_book(bids=((100.0, 5.0), (99.95, 2.0), (99.8, 9.0)))
    assert_allclose(measure_books([book], band_percent=1.0).sellable, [699.9])


def test_buyable_takes_the_asks_within_a_thousandth() -> None:
    """100 for 5 and 100.05 for 2, but not 100.2; beside a longer book as well."""
    book = order_book(bids=((99.95, 1.0),), asks=((100.0, 5.0), (100.05, 2.0), (100.2, 9.0)))
    longer = order_book(asks=[(100.1 + step / 100, 1.0) for step in range(20)])
    assert_allclose(measure_books([book, longer], band_percent=1.0).buyable[0], 700.1)


def test_wall_ratio() -> None:
    """900 among 100s is 9; equal levels are 1; an even count averages the middle two; four levels say nothing."""
    notional = np.array(
        [
            [100.0, 100.0, 900.0, 100.0, 100.0, -np.inf],
            [50.0, 50.0, 50.0, 50.0, 50.0, 50.0],
            [100.0, 200.0, 300.0, 400.0, 500.0, 1400.0],
            [1.0, 1.0, 1.0, 9.0, -np.inf, -np.inf],
        ]
    )
    assert_allclose(wall_ratio(notional), [9, 1, 4, NAN])


def test_a_wall_beyond_the_band_does_not_count() -> None:
    """The large level at 102 is outside 1 %."""
    asks = [(100.1 + 0.1 * i, 10.0) for i in range(5)]
    near = measure_books([order_book(asks=asks)], band_percent=1.0).wall_ratio
    far = measure_books([order_book(asks=[*asks, (102.0, 1e6)])], band_percent=1.0).wall_ratio
    assert_allclose(near, far)


def test_where_the_wall_is() -> None:
    """The largest ask level is known by its price and size."""
    asks = [(100.1, 10.0), (100.2, 10.0), (100.3, 90.0), (100.4, 10.0), (100.5, 10.0)]
    measures = measure_books([order_book(asks=asks)], band_percent=1.0)
    assert (measures.wall_price[0], measures.wall_notional[0]) == (100.3, pytest.approx(9027.0))
    assert measures.wall_ratio[0] == pytest.approx(9.0, rel=0.01)


def test_microprice_leans_away_from_the_larger_side() -> None:
    """10 bid against 30 offered puts it at 99.95, 5 bps below the mid."""
    tilt = microprice_tilt_bps(np.array([99.9]), np.array([10.0]), np.array([100.1]), np.array([30.0]))
    assert_allclose(tilt, [-5.0])


def test_ask_share_and_its_mirror() -> None:
    """3,000 of 4,000 is 0.75, and swapped sides give the rest to one."""
    bid, ask = np.array([1000.0, NAN]), np.array([3000.0, 1.0])
    assert_allclose(ask_share(bid, ask), [0.75, NAN])
    assert_allclose(ask_share(ask, bid), [0.25, NAN])


@pytest.mark.parametrize("seed", range(20))
def test_swapping_the_sides_mirrors_the_share(seed: int) -> None:
    """Reflected about the mid, a book's share becomes one less it."""
    random = np.random.default_rng(seed)
    steps, count = np.cumsum(random.integers(1, 9, 12)) / 64, int(random.integers(1, 12))
    quantity = random.lognormal(0, 1, 12)
    below = [(128 - step, q) for step, q in zip(steps.tolist(), quantity.tolist(), strict=True)]
    above = [(128 + step, q) for step, q in zip(steps[:count].tolist(), quantity[::-1].tolist(), strict=False)]
    mirror = [[(256 - price, q) for price, q in side] for side in (above, below)]
    # Quantities are restated so that each level keeps its notional where its price has changed.
    restated = [
        [(new, q * old / new) for (new, q), (old, _) in zip(side, was, strict=True)]
        for side, was in zip(mirror, (above, below), strict=True)
    ]
    books = [
        order_book(bids=below, asks=above, levels_asked=12),
        order_book(bids=restated[0], asks=restated[1], levels_asked=12),
    ]
    measures = measure_books(books, band_percent=1.0)
    share = ask_share(measures.bid_depth, measures.ask_depth)
    assert share[:, 1] == pytest.approx(1 - share[:, 0], rel=1e-9, nan_ok=True)


def test_pad() -> None:
    """Ragged sides, one of them empty, in one array."""
    padded = pad(np.array([1.0, 2.0, 3.0]), np.array([2, 0, 1]))
    assert padded.tolist() == [[1, 2], [-np.inf, -np.inf], [3, -np.inf]]


_SIDE = st.integers(0, 40)


@given(st.lists(st.tuples(_SIDE, _SIDE), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_books_are_measured_alike_whatever_is_beside_them(shapes: list[tuple[int, int]], seed: int) -> None:
    """One by one, all at once, or in two groups: the same bits, so that portions may be joined."""
    random = np.random.default_rng(seed)
    books = [
        order_book(
            bids=[(100 - 0.03 * (place + random.random()), random.lognormal()) for place in range(bids)],
            asks=[(100 + 0.03 * (place + random.random()), random.lognormal()) for place in range(asks)],
            levels_asked=int(random.choice([20, 100])),
        )
        for bids, asks in shapes
    ]
    at, together = int(random.integers(len(books))), measure_books(books, 1.0)
    for groups in ([[one] for one in books], [group for group in (books[:at], books[at:]) if group]):
        parts = [measure_books(group, 1.0) for group in groups]
        for whole, *pieces in zip(together, *parts, strict=True):
            assert np.concatenate(pieces, axis=-1).tobytes() == whole.tobytes()


TICKS = np.array([0, 60_000, 120_000, 180_000])


@pytest.mark.parametrize(
    ("depth", "median"),
    [
        ([1000.0, 900.0, 1100.0, 1200.0], 1050),
        ([1000.0, NAN, 900.0, 1200.0], 1000),
        ([1000.0, NAN, NAN, 900.0], NAN),  # two books
        ([NAN, 1000.0, 1000.0, 1000.0], 1000),
        ([NAN] * 4, NAN),
    ],
)
def test_usual_depth(depth: list[float], median: float) -> None:
    """The median of at least three books."""
    assert_allclose(usual_depth(np.array([depth]), np.arange(4), TICKS, 120.0), [median])


def test_usual_depth_needs_a_span() -> None:
    """Three books within a minute are one look."""
    assert_allclose(usual_depth(np.full((1, 3), 5.0), np.arange(3), np.array([0, 30_000, 60_000]), 120.0), [NAN])
    assert_allclose(usual_depth(np.full((2, 4), np.inf), np.arange(0), TICKS, 120.0), [NAN, NAN])


def test_usual_depth_round_a_ring() -> None:
    """The window's ticks are those of `rows`, which may go round the end; what is outside is not finite."""
    depth = np.array([[900.0, 1200.0, np.inf, 1000.0], [NAN, 1200.0, np.inf, 1000.0], [900.0, 1200.0, np.inf, NAN]])
    ring_ms = np.array([120_000, 180_000, 0, 60_000])
    assert_allclose(usual_depth(depth, np.array([3, 0, 1]), ring_ms, 120.0), [1000.0, NAN, NAN])


@given(st.lists(st.lists(st.integers(0, 9) | st.sampled_from([np.inf, NAN]), min_size=6, max_size=6), min_size=1))
def test_median_of_known(rows: list[list[float]]) -> None:
    """Whatever lacks where, it is the median of what is there."""
    values = np.array(rows, float)
    known = np.isfinite(values)
    found = median_of_known(values, known.sum(axis=1))
    for median, row, is_known in zip(found, values, known, strict=True):
        if is_known.any():
            assert median == np.median(row[is_known])


def test_bid_exhaustion() -> None:
    """400 where 1,000 is usual is 0.6; deeper than usual is negative."""
    assert_allclose(bid_exhaustion(np.array([400.0, 1500.0, 1.0]), np.array([1000.0, 1000.0, NAN])), [0.6, -0.5, NAN])
