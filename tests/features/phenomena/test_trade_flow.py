"""Features of the prints, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from features.phenomena.trade_flow import (
    KEPT_RUNS,
    Runs,
    best_sweep,
    find_runs,
    keep_runs,
    taker_sell_share,
    usual_second,
    usual_second_is_at_most,
)

NAN = math.nan

Print = tuple[int, int, float, bool]  #: list, time, price, is_taker_sell


def runs_of(*prints: Print, min_usdt: float = 0.0) -> Runs:
    """Find the runs among prints of 100 USDT each."""
    lists, times, prices, sells = (np.array(column) for column in zip(*prints, strict=True))
    start = np.searchsorted(lists, np.arange(lists.max() + 1))
    return find_runs(start, times, prices.astype(float), np.full(len(prints), 100.0), sells, min_usdt)


def test_a_buy_ends_a_run() -> None:
    """Three sells, a buy, a sell: two runs, the second still open."""
    falling = ((0, 0, 9.0, True), (0, 10, 8.0, True), (0, 20, 7.0, True))
    runs = runs_of(*falling, (0, 30, 7.0, False), (0, 40, 7.0, True))
    assert runs.start_ms.tolist() == [0, 40]
    assert runs.end_ms.tolist() == [20, 40]
    assert runs.notional.tolist() == [300, 100]
    assert runs.is_open.tolist() == [False, True]


def test_a_run_is_cut_before_the_print_that_makes_it_too_long() -> None:
    """A print at exactly 1,000 ms still belongs; the cut-off one starts the next run, and so on."""
    times_ms = (0, 600, 1000, 1001, 1500, 2001, 2002)
    runs = runs_of(*((0, time_ms, 9.0 - place, True) for place, time_ms in enumerate(times_ms)))
    assert runs.start_ms.tolist() == [0, 1001, 2002]
    assert runs.end_ms.tolist() == [1000, 2001, 2002]


def test_runs_never_cross_lists() -> None:
    """Each list has its own open run, whatever the times."""
    runs = runs_of((0, 100, 9.0, True), (1, 50, 8.0, True), (3, 60, 8.0, True))
    assert runs.list_index.tolist() == [0, 1, 3]
    assert runs.is_open.all()


def test_no_sells_no_runs() -> None:
    """Buys alone, or nothing at all."""
    assert len(runs_of((0, 0, 9.0, False)).notional) == 0


def test_a_closed_run_that_is_no_sweep_is_dropped() -> None:
    """Two prices, or no fall."""
    two = ((0, 0, 9.0, True), (0, 1, 8.0, True), (0, 2, 8.0, False))
    rising = ((1, 0, 7.0, True), (1, 1, 8.0, True), (1, 2, 9.0, True), (1, 3, 9.0, False))
    assert len(runs_of(*two, *rising).notional) == 0


def test_small_closed_runs_are_dropped() -> None:
    """The open one stays: it may grow."""
    runs = runs_of((0, 0, 9.0, True), (0, 1, 9.0, False), (0, 2, 9.0, True), min_usdt=150.0)
    assert runs.start_ms.tolist() == [2]


@pytest.mark.parametrize(
    ("prices", "is_sweep"),
    [
        ((9.0, 8.0, 7.0), True),
        ((9.0, 8.0, 8.0), False),  # two prices
        ((7.0, 8.0, 9.0), False),  # rising
        ((9.0, 8.0, 7.0, 9.0), False),  # ends where it began
        ((9.0, 9.0, 8.0, 9.0, 7.0, 8.0), True),
        ((9.0,), False),
    ],
)
def test_a_sweep_falls_through_three_prices(prices: tuple[float, ...], is_sweep: bool) -> None:
    """At least three distinct ones, the last below the first."""
    runs = runs_of(*((0, i, price, True) for i, price in enumerate(prices)))
    assert runs.can_be_sweeps(0.0).tolist() == [is_sweep]


def test_a_sweep_has_a_least_notional() -> None:
    """300 USDT pass 300, not 301."""
    runs = runs_of((0, 0, 9.0, True), (0, 1, 8.0, True), (0, 2, 7.0, True))
    assert [runs.can_be_sweeps(least).tolist() for least in (300.0, 301.0)] == [[True], [False]]


def test_runs_that_a_later_larger_one_outdoes_are_forgotten() -> None:
    """Of 5, 9, 7, 7 the 9 and the last 7 can still win."""
    end_ms, notional = keep_runs(np.array([[1.0], [2], [3], [4]]), np.array([[5.0], [9], [7], [7]]))
    assert notional[notional > 0].tolist() == [9, 7]
    assert end_ms[notional > 0].tolist() == [2, 4]


def test_no_more_than_so_many_runs_are_kept() -> None:
    """Of a longer falling row of runs the oldest go."""
    count = KEPT_RUNS + 3
    end_ms, notional = keep_runs(np.linspace(0, count - 1, count)[:, None], np.linspace(count, 1, count)[:, None])
    assert end_ms[:, 0].tolist() == list(range(3, count))
    assert (notional > 0).all()


def test_taker_sell_share() -> None:
    """800 of 1,000; a minute without prints has none."""
    assert_allclose(taker_sell_share(np.array([800.0, 0.0]), np.array([1000.0, 0.0])), [0.8, NAN])


@pytest.mark.parametrize(("seconds", "median"), [([5.0, 1.0, 3.0, 0.0, 0.0], 3), ([5.0, 1.0, 3.0, 4.0, 0.0], 3.5)])
def test_usual_second_ignores_empty_ones(seconds: list[float], median: float) -> None:
    """The median of the seconds in which something traded."""
    assert_allclose(usual_second(np.array([seconds])), [median])


@pytest.mark.parametrize(
    ("runs", "multiple", "age_s"),
    [
        ([(100_000, 12_000.0)], 6.0, 0.0),
        ([(94_000, 12_000.0)], 6.0, 6.0),
        ([(100_000, 9_999.0)], 0.0, NAN),  # below five times
        ([(70_000, 12_000.0)], 0.0, NAN),  # its time is over
        ([(85_000, 40_000.0), (94_000, 16_000.0)], 8.0, 6.0),  # 0.64 beats 1.0 * 0.5
        ([(97_000, 40_000.0), (98_000, 16_000.0)], 20.0, 3.0),  # 0.9 beats 0.75
    ],
)
def test_the_sweep_that_scores_highest_counts(runs: list[tuple[int, float]], multiple: float, age_s: float) -> None:
    """Size against age, with 2,000 USDT in a usual second and 30 s to live."""
    ends, notionals = np.array([[e] for e, _ in runs], float), np.array([[x] for _, x in runs])
    sweep = best_sweep(ends, notionals, np.array([2000.0]), 100_000, 30.0)
    assert_allclose(sweep.multiple, [multiple])
    assert_allclose(sweep.age_s, [age_s])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 19))
def test_whether_the_usual_second_is_at_most_so_much(seconds: list[int], twice_the_limit: int) -> None:
    """Counting says what sorting says."""
    traded, limit = np.array([seconds], float), np.array([twice_the_limit / 2])
    if any(seconds):
        assert usual_second_is_at_most(traded, limit).tolist() == (usual_second(traded) <= limit).tolist()
