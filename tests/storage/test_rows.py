"""Every record survives a row of the real schema to the bit."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.signals import Levels, NearMiss, OpenSignal, Outcome, Signal
from storage.following import outcome_from_row, outcome_to_row, tracking_to_row
from storage.messages import Kind, Priority
from storage.migrations import MIGRATIONS
from storage.near_misses import near_miss_from_row, near_miss_to_row
from storage.outbox import message_from_row, message_to_row
from storage.signals import open_signal_from_row, signal_from_row, signal_to_row
from tests.storage.builders import make_message

INT64 = st.integers(-(2**63), 2**63 - 1)


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that records are made of."""
    if is_dataclass(hint):
        return records(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if get_origin(hint) is tuple:
        return st.lists(anything(get_args(hint)[0]), max_size=2).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(st.text(max_size=5), anything(get_args(hint)[1]), max_size=3)
    if NoneType in get_args(hint):  # None and NaN are both null
        return st.none() | anything(get_args(hint)[0]).filter(lambda value: value == value)
    return {float: st.floats(), int: INT64, bool: st.booleans(), str: st.text(max_size=10)}[hint]


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Any record of this kind."""
    hints = get_type_hints(kind)
    values = {field.name: anything(hints[field.name]) for field in fields(kind)}
    if kind is not Levels:
        return st.builds(kind, **values)
    del values["take_profits"], values["shares"]
    return st.integers(1, 3).flatmap(
        lambda count: st.builds(
            kind,
            take_profits=st.tuples(*[st.floats()] * count),
            shares=st.just((1 / count,) * count),  # each target has one
            **values,
        )
    )


@pytest.mark.parametrize(
    ("table", "record", "to_row", "from_row"),
    [
        ("signals", records(Signal), signal_to_row, signal_from_row),
        ("outcomes", records(Outcome), outcome_to_row, outcome_from_row),
        ("near_misses", records(NearMiss), near_miss_to_row, near_miss_from_row),
    ],
)
def test_round_trip(
    database: sqlite3.Connection,
    table: str,
    record: st.SearchStrategy[Any],
    to_row: Callable[[Any], dict[str, Any]],
    from_row: Callable[[sqlite3.Row], Any],
) -> None:
    """A record of any values comes back equal, NaN, infinities and the sign of zero included."""

    @settings(max_examples=60, deadline=None)
    @given(record)
    def holds(value: Any) -> None:
        assert repr(from_row(through(database, table, to_row(value)))) == repr(value)

    holds()


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """Return an empty database of the current schema."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    for migration in MIGRATIONS:
        connection.executescript(migration)
    yield connection
    connection.close()


def through(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> sqlite3.Row:
    """Insert a row, read it back and forget it."""
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    cursor = database.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)  # noqa: S608 - our own names
    found: sqlite3.Row = database.execute(f"SELECT * FROM {table} WHERE rowid = ?", (cursor.lastrowid,)).fetchone()  # noqa: S608
    database.rollback()
    return found


@settings(max_examples=60, deadline=None)
@given(records(OpenSignal))
def test_open_signal(open_signal: OpenSignal) -> None:
    """What tracking adds to a signal comes back with the signal from its own row."""
    row = {**signal_to_row(open_signal.signal), **tracking_to_row(open_signal)}
    assert repr(open_signal_from_row(row)) == repr(open_signal)


@pytest.mark.parametrize("kind", Kind)
def test_message(database: sqlite3.Connection, kind: Kind) -> None:
    """A queued message comes back pending, and its kind decides its priority."""
    message = make_message(kind=kind, entry_price=0.1 + 0.2)
    row = message_to_row(message)
    stored = message_from_row({**through(database, "outbox", row), "reply_to_message_id": None})
    assert stored.message == message
    assert (stored.state, stored.attempts, stored.may_repeat) == ("pending", 0, False)
    assert row["priority"] == Priority[kind.name]
