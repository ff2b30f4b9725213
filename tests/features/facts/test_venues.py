"""The table of venues."""

from features.facts.venues import VENUES, venue_title
from fetchers.simulated.wires import wire_module
from fetchers.venues import VENUES as CLASSES


def test_every_venue_is_everywhere() -> None:
    """Each has its class and its simulated wire, and is called by its own id."""
    assert VENUES.keys() == CLASSES.keys()
    assert all(name == wire_module(name).VENUE for name in VENUES)
    assert all(venue.id == name for name, venue in VENUES.items())


def test_titles() -> None:
    """People read titles; what is not known stays as it is."""
    assert [venue_title(name) for name in (*VENUES, "okx")] == ["LBank", "Binance", "MEXC", "Bybit", "okx"]
