"""The universe as arrays."""

import numpy as np

from features.facts.instruments import Instruments
from tests.builders import instrument

UNIVERSE = Instruments(
    [
        instrument(venue="lbank", id="AUSDT", publishes_trades=False),
        instrument(venue="bybit", id="BUSDT", is_eligible=False),
        instrument(venue="bybit", id="AUSDT", tick_size=0.5),
    ]
)


def test_it_is_a_tuple_with_columns() -> None:
    """What never changes of an instrument stands in arrays, in the universe's order."""
    assert [one.venue for one in UNIVERSE] == ["lbank", "bybit", "bybit"]
    assert UNIVERSE.tick_size.tolist() == [0.01, 0.01, 0.5]
    assert UNIVERSE.publishes_trades.tolist() == [False, True, True]
    assert UNIVERSE.is_eligible.tolist() == [True, False, True]
    assert UNIVERSE.publishes_open_interest.tolist() == [True] * 3
    assert UNIVERSE.has_bulk_open_interest.tolist() == [False] * 3


def test_equal_names_have_equal_numbers() -> None:
    """From 0 and without gaps; an empty universe has none."""
    assert UNIVERSE.coin.number.tolist() == [0, 1, 0]
    assert UNIVERSE.venue.number.tolist() == [0, 1, 1]
    assert Instruments().coin.number.tolist() == []


def test_values_are_looked_up_by_name() -> None:
    """Names that no instrument has do not matter, and those without a value get the default."""
    assert UNIVERSE.venue.look_up({"bybit": 0.055, "kraken": 1.0}, otherwise=0.1).tolist() == [0.1, 0.055, 0.055]


def test_what_a_chosen_one_shares() -> None:
    """Whoever has the coin of an instrument that publishes trades, itself included."""
    assert UNIVERSE.coin.shared_with(UNIVERSE.publishes_trades).tolist() == [True, True, True]
    assert UNIVERSE.coin.shared_with(np.array([False, True, False])).tolist() == [False, True, False]
