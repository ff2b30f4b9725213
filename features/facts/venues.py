"""The venues: one row of facts each, from which settings, names, links and lists derive.

A new venue is a row here, a wire module in fetchers/venues/ and a simulated one in fetchers/simulated/wires/, both
named by its id (docs/venues.md); with a stream of trades one in fetchers/streams/ and in fetchers/simulated/streams/.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFacts:
    """A venue's facts that every room may use."""

    id: str  #: as in settings, the database and the API
    title: str  #: as people write it
    pair_page: str  #: URL of an instrument's page; {} takes its id
    has_lower_case_pages: bool = False  #: the page wants the id in lower case
    #: how much of its published limits stays unused by default, where that is not RATE_HEADROOM_PERCENT's own default
    headroom_percent: float | None = None
    has_stream: bool = False  #: of trades, that the bot reads (docs/streams.md)
    other_hosts: str = ""  #: hosts of its API for (country) blocks that the usual one may be under


#: by id, in the order of the default of EXCHANGES
VENUES = {
    venue.id: venue
    for venue in (
        VenueFacts(id="lbank", title="LBank", pair_page="https://www.lbank.com/futures/{}", has_lower_case_pages=True),
        VenueFacts(id="binance", title="Binance", pair_page="https://www.binance.com/en/futures/{}", has_stream=True),
        VenueFacts(id="mexc", title="MEXC", pair_page="https://www.mexc.com/futures/{}", has_stream=True),
        VenueFacts(
            id="bybit",
            title="Bybit",
            pair_page="https://www.bybit.com/trade/usdt/{}",
            has_stream=True,
            headroom_percent=50.0,  # it does not show what others on the same address use
            other_hosts=(
                "api.bybit.eu, api.bybit.nl, api.bybit.tr, api.bybit.kz, api.bybit.ae, api.bybit.id, "
                "api.bybitgeorgia.ge"
            ),
        ),
    )
}


def venue_title(venue: str) -> str:
    """Return a venue's name as people write it; an id that is not known stays as it is."""
    return VENUES[venue].title if venue in VENUES else venue
