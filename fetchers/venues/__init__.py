"""One wire module a venue, found by the venue's id in `features.facts.venues`; each has its class as VENUE."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TypeAlias

from features.facts import venues as facts
from fetchers.base import ProbedVenue
from fetchers.transport.pools import HEADROOM
from fetchers.transport.route import ANY_ROUTE, Route

BuildVenue: TypeAlias = Callable[[str | None, Callable[[], int], float, Route], ProbedVenue]

VENUES: Mapping[str, BuildVenue] = {venue: import_module(f"{__name__}.{venue}").VENUE for venue in facts.VENUES}


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
