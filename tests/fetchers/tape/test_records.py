"""Records as they come from a tape."""

from features.facts.market import OpenInterest
from fetchers.tape.records import trusted
from tests.builders import open_interest


def test_trusted() -> None:
    """What passed its checks before it was written is made again as it was."""
    one = open_interest()
    again = trusted(
        OpenInterest,
        venue=one.venue,
        id=one.id,
        open_interest_base=one.open_interest_base,
        exchange_ms=one.exchange_ms,
        received_ms=one.received_ms,
        is_live=one.is_live,
    )
    assert again == one
