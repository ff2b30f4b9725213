"""What the rest of the bot may ask of a venue."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from features.facts.market import Candles, Instrument, OpenInterest, OrderBook, Quotes, Trades
from fetchers.parsing.tallies import Tallies
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply

MARKETS_DEADLINE_S = 20.0  #: of a request for a market list
NOT_CRYPTO = "not crypto"  #: why shares and commodities are dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row of a venue's market list: an instrument, or why it is none for us."""

    instrument: Instrument
    dropped: str = ""  #: "" keeps it; otherwise a short reason such as "delisting", counted in the universe
    is_crypto: bool | None = None  #: by the venue's own flags, whatever else is said of the row; None: it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """How far a venue's clock is ahead of ours (add nothing: fetchers have already corrected `exchange_ms` by it)."""

    offset_ms: float
    round_trip_ms: float


class Venue(Protocol):
    """One exchange. Every call spends from `budget`, carries a deadline and raises only FetchErrors."""

    name: str
    budget: RateBudget
    #: what one candidate costs (book, and trades and live open interest where the venue has them), by pool
    candidate_cost: Mapping[str, float]
    #: the most that one round of bulk calls costs, by pool; polls leave it free
    quotes_cost: Mapping[str, float]
    #: what the history of one instrument costs, by pool; {} where the venue publishes none
    history_cost: Mapping[str, float]
    #: whether that fills every window; otherwise some fill only as time goes
    has_whole_history: bool
    #: how readable its replies are
    tallies: Tallies

    def set_deadline(self, seconds: float) -> None:
        """Give every request so long from its sending; the market list, which has megabytes, has more."""

    async def open(self) -> None:
        """Create the session; nothing is sent yet."""

    async def close(self) -> None:
        """Close the session and its sockets."""

    def watch(self, ids: Collection[str]) -> None:
        """Forget what was remembered of any other instrument."""

    async def load_markets(self) -> tuple[Listing, ...]:
        """Return every row of the venue's list, parsed off the loop."""

    async def measure_clock(self) -> ClockOffset:
        """Ask the venue for the time and remember the offset."""

    async def fetch_quotes(self) -> list[Quotes]:
        """Make the bulk calls that are due: prices and funding each time, 24 h figures once a minute where apart."""

    async def fetch_order_book(self, instrument_id: str, /) -> OrderBook:
        """Return the book, with as many levels asked for as cost nothing more."""

    async def fetch_trades(self, instrument_id: str, /) -> Trades | None:
        """Return the prints since the last call for this instrument; None where the venue publishes none."""

    async def fetch_open_interest(self, instrument_id: str, /) -> OpenInterest | None:
        """Return live open interest; None where it comes with the quotes, or not at all."""

    async def fetch_candles(self, instrument_id: str, since_ms: int, /) -> Candles | None:
        """Return 1-minute candles from the minute of `since_ms` on, as many as one call gives; None: none published."""

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int, /) -> Candles | None:
        """Return 1-minute candles of the mark price, for the windows; None where the venue publishes none."""

    async def fetch_open_interest_history(self, instrument_id: str, /) -> tuple[OpenInterest, ...]:
        """Return the last half hour of 5-minute points, oldest first; empty where the venue publishes none."""


class ProbedVenue(Venue, Protocol):
    """A venue whose replies can be seen as they come: what `check --deep` needs beside the rest."""

    def observe(self, see: Callable[[Reply], None]) -> None:
        """Show every reply from here on, before it is checked."""

    async def ask(self, path: str, params: Mapping[str, str | int], *, cost: Mapping[str, float]) -> Reply:
        """Make a call that the bot does not make otherwise."""
