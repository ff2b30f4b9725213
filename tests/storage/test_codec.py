"""Records survive JSON to the bit."""

import math
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from scoring.signals import Limits, Side
from storage.codec import from_plain, to_json
from tests.storage.builders import make_signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    old: float
    new: tuple[Side, ...] = (Side.LONG,)
    maybe: float | None = None


def read_back(kind: Any, record: Any) -> Any:
    """Return the record after a journey through text."""
    return from_plain(kind, orjson.loads(to_json(record)))


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf, math.nan])
def test_floats_to_the_bit(value: float) -> None:
    """A float comes back as it was, also where JSON has no number for it."""
    assert repr(read_back(Grown, Grown(old=value)).old) == repr(value)


def test_nan_is_null() -> None:
    """NaN is null in the text, so that SQL sees it as missing."""
    assert orjson.loads(to_json(Grown(old=math.nan)))["old"] is None


def test_rows_from_before_a_field_existed() -> None:
    """A field that older rows lack takes its default."""
    assert from_plain(Grown, {"old": 1}) == Grown(old=1.0)


def test_a_field_without_a_default_must_be_there() -> None:
    """A row that lacks what a record cannot do without is refused."""
    with pytest.raises(TypeError, match="decided_ms"):
        from_plain(type(make_signal()), {})


def test_whole_records() -> None:
    """Nested records, tuples, dictionaries, enums and None come back as what they were."""
    signal = make_signal(features={"spread_bps": 4.2})
    assert read_back(type(signal), signal) == signal
    limits = Limits(last_signal_ms={"XLM": 1}, last_exit_ms={}, muted_coins={}, muted_venues={"mexc": 2**62})
    assert read_back(Limits, limits) == limits
