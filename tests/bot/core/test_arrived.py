"""What arrived of each instrument, replies and streams together."""

import pytest

from bot.core.arrived import Arrived
from features.facts.market import Trades
from tests.builders import ID, NOW_MS, VENUE, open_interest, order_book, prints_of, quotes, trades


def test_replies_and_streams_in_the_order_of_their_arrival() -> None:
    """What a stream brought of an instrument is a record of its own between two replies."""
    first, last, other = trades([(NOW_MS, 1.0, 1.0, True)]), order_book(), order_book(id="X")
    streamed = trades([(NOW_MS + 5, 2.0, 1.0, False)], continues=False)
    arrived = Arrived([quotes(), first, open_interest(), prints_of(trades(id="Y"), streamed), last, other])
    found = arrived[VENUE, ID]
    assert [found[0], found[2]] == [first, last]
    between = found[1]
    assert isinstance(between, Trades)
    assert (between.id, between.price.tolist(), between.continues) == (ID, [2.0], False)
    assert arrived.books() == {(VENUE, ID): last, (VENUE, "X"): other}
    assert set(arrived) == {(VENUE, ID), (VENUE, "X"), (VENUE, "Y")}
    assert len(arrived) == 3


def test_who_is_not_there() -> None:
    """Nothing came of an instrument, or of its venue."""
    arrived = Arrived([prints_of(trades())])
    assert arrived.get(("mexc", ID), ()) == ()
    with pytest.raises(KeyError):
        arrived[VENUE, "X"]
