"""The list of venues."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fetchers.base import ProbedVenue
from fetchers.transport.budget import HEADROOM
from fetchers.transport.route import ANY_ROUTE, Route
from fetchers.venues.binance import Binance
from fetchers.venues.bybit import Bybit
from fetchers.venues.lbank import Lbank
from fetchers.venues.mexc import Mexc

VENUES: Mapping[str, Callable[[str | None, Callable[[], int], float, Route], ProbedVenue]] = {
    venue.name: venue for venue in (Lbank, Binance, Mexc, Bybit)
}


def build_venues(
    names: Sequence[str],
    urls: Mapping[str, str | None],
    now_ms: Callable[[], int],
    headroom: Mapping[str, float] = MappingProxyType({}),
    routes: Mapping[str, Route] = MappingProxyType({}),
) -> list[ProbedVenue]:
    """Return the named venues, at their own URL and by the environment's way where nothing else is given."""
    return [
        VENUES[name](urls.get(name), now_ms, headroom.get(name, HEADROOM), routes.get(name, ANY_ROUTE))
        for name in names
    ]
