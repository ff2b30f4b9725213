"""What counts as a number on the wire, and what becomes of the rest."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fetchers.errors import BadPayload
from fetchers.parsing.payload import column, each, error_code, member, number, objects, table, time_ms, times

GARBAGE: tuple[Any, ...] = (None, "", "x", "nan", "inf", "-inf", True, [], {}, "1e999", 1e25, 10**400, -1, "-1", 0)


def test_a_column_has_nan_where_there_is_no_number() -> None:
    """Numbers and strings of numbers count, everything else is missing, and the rest of the column is unharmed."""
    rows = [{"a": value} for value in (1, "2.5", 3.5, *GARBAGE)]
    assert_array_equal(column(rows, "a"), [1, 2.5, 3.5, *[np.nan] * len(GARBAGE)])
    assert_array_equal(column(rows[:3], "b"), [np.nan] * 3)
    assert len(column([], "a")) == 0


def test_what_a_column_may_go_down_to_is_the_callers() -> None:
    """Zero is a volume and a negative rate a rate."""
    rows = [{"a": "0"}, {"a": "-0.1"}]
    assert_array_equal(column(rows, "a", least=0.0), [0, np.nan])
    assert_array_equal(column(rows, "a", least=-1.0), [0, -0.1])


def test_times_are_epoch_milliseconds() -> None:
    """Seconds, microseconds and nothing are no times."""
    rows = [{"t": at} for at in (1_700_000_000_000, "1700000000000", 1_700_000_000, 1_700_000_000_000_000, 0)]
    assert_array_equal(times(rows, "t"), [1.7e12, 1.7e12, *[np.nan] * 3])
    assert time_ms({"t": "1700000000000"}, "t", "venue call") == 1.7e12


@pytest.mark.parametrize("value", GARBAGE)
def test_a_single_number_has_to_be_one(value: Any) -> None:
    """The error says where, what was expected and what came."""
    with pytest.raises(BadPayload, match=r"venue call: a was .*, expected a number"):
        number({"a": value}, "a", "venue call")


@pytest.mark.parametrize("payload", [None, [], "x", 1])
def test_a_reply_that_is_no_object(payload: Any) -> None:
    """It has no members."""
    with pytest.raises(BadPayload, match="venue call"):
        number(payload, "a", "venue call")
    with pytest.raises(BadPayload, match="venue call"):
        member(payload, "a", int, "venue call")


def test_members_are_of_exactly_the_type() -> None:
    """Python counts True among the integers; the wire does not."""
    assert member({"a": 1}, "a", int, "venue call") == 1
    with pytest.raises(BadPayload, match="a was True, expected a int"):
        member({"a": True}, "a", int, "venue call")
    with pytest.raises(BadPayload, match="a was None, expected a bool"):
        each([{"a": True}, {}], "a", bool, "venue call")
    with pytest.raises(BadPayload, match="a list of objects"):
        objects([{}, 1], "venue call")


def test_a_table_ignores_what_is_further_right() -> None:
    """A venue may add a column."""
    assert_array_equal(table([["1", 2], [3.0, "4", "new"]], 2, "venue call", "bids"), [[1, 2], [3, 4]])
    assert table([], 2, "venue call", "bids").shape == (0, 2)


@pytest.mark.parametrize(
    "rows", [None, {}, "12", ["12"], [["1"]], [["1", "2"], ["1"]], [["1", ""]], [[True, 1]], [[1, [2]]], [[10**400, 1]]]
)
def test_what_is_no_table(rows: Any) -> None:
    """Short rows, other types and what is no number refuse the whole."""
    with pytest.raises(BadPayload, match="bids"):
        table(rows, 2, "venue call", "bids")


@pytest.mark.parametrize(
    ("payload", "code"),
    [({"c": -1003}, -1003), ({"c": "183"}, 183), ({}, 0), ({"c": None}, 0), (None, 0), ({"c": "inf"}, 0)],
)
def test_error_codes(payload: Any, code: int) -> None:
    """A number, a string of one, or none."""
    assert error_code(payload, "c") == code
