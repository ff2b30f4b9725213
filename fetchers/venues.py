"""The list of venues."""

from collections.abc import Callable, Mapping, Sequence

from fetchers.base import ProbedVenue
from fetchers.binance import Binance
from fetchers.budget import HEADROOM
from fetchers.bybit import Bybit
from fetchers.lbank import Lbank
from fetchers.mexc import Mexc

VENUES: Mapping[str, Callable[[str | None, Callable[[], int], float], ProbedVenue]] = {
    venue.name: venue for venue in (Lbank, Binance, Mexc, Bybit)
}


def build_venues(
    names: Sequence[str], urls: Mapping[str, str | None], now_ms: Callable[[], int], headroom: float = HEADROOM
) -> list[ProbedVenue]:
    """Return the named venues, at their own URL where none is given."""
    return [VENUES[name](urls.get(name), now_ms, headroom) for name in names]
