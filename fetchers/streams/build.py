"""The streams of the venues that have one, found by the venue's id in `features.facts.venues`."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from features.facts.venues import VENUES
from fetchers.streams.venue_stream import VenueStream
from fetchers.streams.wire import StreamWire
from fetchers.transport.route import ANY_ROUTE, Route

WIRES: Mapping[str, StreamWire] = {
    venue.id: import_module(f"fetchers.streams.{venue.id}").WIRE for venue in VENUES.values() if venue.has_stream
}


def build_streams(
    names: Sequence[str], urls: Mapping[str, str], draw: Callable[[], float], routes: Mapping[str, Route]
) -> dict[str, VenueStream]:
    """Return the streams of the named venues that have one; "" in `urls` is the venue's own host."""
    return {
        name: VenueStream(WIRES[name], draw=draw, base_url=urls.get(name) or None, route=routes.get(name, ANY_ROUTE))
        for name in names
        if name in WIRES
    }
