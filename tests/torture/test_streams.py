"""One fault of each kind on each venue's stream; `make torture` has all of them."""

import pytest

from fetchers.simulated.streams.stream_faults import StreamFault
from tests.torture.streams import try_fault

CELLS: tuple[tuple[str, StreamFault], ...] = (
    ("binance", "gap"),
    ("bybit", "stall"),
    ("bybit", "other_product"),
    ("mexc", "replay"),
)


@pytest.mark.parametrize(("venue", "fault"), CELLS)
def test_a_fault(venue: str, fault: StreamFault) -> None:
    """Nothing untrue is given, nothing is covered that does not come, and the stream comes back."""
    assert try_fault(venue, fault).problems == ()
