"""Features of open interest and funding, by hand."""

import math

import numpy as np
from numpy.testing import assert_allclose

from features.phenomena.derivatives import find_lenders, funding_impulse, funding_rate_8h, oldest_known

NAN = math.nan


def test_funding_is_brought_to_eight_hours() -> None:
    """0.005 % every four hours is 0.01 % every eight."""
    assert_allclose(funding_rate_8h(np.array([0.00005, 0.0001, NAN]), np.array([4.0, 8.0, 8.0])), [0.0001, 0.0001, NAN])


def test_funding_impulse_is_against_what_is_known() -> None:
    """0.0003 after 0.0001 and 0.0002 is 0.00015 up; a gap does not count, and no history is no change."""
    history = [np.array([[0.0001, 0.0001, NAN]]), np.array([[0.0002, NAN, NAN]])]
    assert_allclose(funding_impulse(np.array([0.0003, 0.0003, 0.0003]), history), [0.00015, 0.0002, 0.0003])
    assert_allclose(funding_impulse(np.array([NAN, NAN, 0.0003]), history), [NAN, NAN, 0.0003])


def test_oldest_known_row_has_both() -> None:
    """The first row lacks a price, the second open interest, so the third is the base; unwanted columns are left."""
    open_interest = np.array([[1.0, 1.0], [NAN, 1.0], [3.0, 1.0], [4.0, 1.0]])
    price = np.array([[NAN, 2.0], [2.0, 2.0], [3.5, 2.0], [4.5, 2.0]])
    base = oldest_known(open_interest, price, np.array([0, 1, 2, 3]), np.array([True, False]))
    assert_allclose(base.open_interest, [3.0, NAN])
    assert_allclose(base.price, [3.5, NAN])
    assert_allclose(oldest_known(open_interest, price, np.array([], int), np.array([True, True])).price, [NAN, NAN])


def test_the_largest_on_another_venue_lends() -> None:
    """Not one's own venue, not another coin, not whoever has nothing fresh; of equals the first."""
    coin = np.array([0, 0, 0, 1, 0])
    venue = np.array([0, 1, 2, 1, 0])
    notional = np.array([9.0, 5.0, 7.0, 99.0, NAN])
    can_lend = np.array([True, True, True, True, False])
    assert find_lenders(coin, venue, notional, can_lend).tolist() == [2, 0, 0, -1, 2]
    assert find_lenders(coin, venue, notional, np.zeros(5, bool)).tolist() == [-1] * 5
    assert find_lenders(coin, venue, np.full(5, 7.0), can_lend).tolist() == [1, 0, 0, -1, 1]
