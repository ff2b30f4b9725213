"""The protocols `Venue`, which the feed polls, and `MarketFeed`, which the bot is given."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Protocol

from features.facts.market import Candles, Observation, OpenInterest, OrderBook, Quotes, Trades
from fetchers.health import Notice
from fetchers.listing import ClockOffset, Listing
from fetchers.parsing.tallies import Change, Tallies
from fetchers.poll_plan import Key, Wanted
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import Reply
from fetchers.universe import Universe
from fetchers.venue_report import VenueReport


class Venue(Protocol):
    """One exchange. Every call spends from `budget`, carries a deadline and raises only FetchErrors."""

    name: str
    budget: RateBudget
    #: what one candidate costs (book, and trades and live open interest where the venue has them), by pool
    candidate_cost: Mapping[str, float]
    #: of that, what its prints cost, which a stream can bring; {} where it publishes none
    trades_cost: Mapping[str, float]
    #: of that, what its open interest costs; {} where it comes in bulk or not at all
    open_interest_cost: Mapping[str, float]
    #: by pool, what polls leave free for the bulk calls: a whole round, or more where a minute can run out
    kept_for_quotes: Mapping[str, float]
    #: what the history of one instrument costs, by pool; {} where the venue publishes none
    history_cost: Mapping[str, float]
    #: what a reply of closed candles costs at most, by pool; {} where the venue publishes none
    candle_cost: Mapping[str, float]
    #: [s] between two of them
    candle_pause_s: float
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

    async def fetch_prices(self) -> list[Quotes]:
        """Make the one bulk call that has the prices, for between two rounds."""

    async def fetch_order_book(self, instrument_id: str, /) -> OrderBook:
        """Return the book, with as many levels asked for as cost nothing more."""

    async def fetch_trades(self, instrument_id: str, /) -> Trades | None:
        """Return the prints since the last call for this instrument; None where the venue publishes none."""

    async def fetch_open_interest(self, instrument_id: str, /) -> OpenInterest | None:
        """Return live open interest; None where it comes with the quotes, or not at all."""

    async def fetch_candles(self, instrument_id: str, since_ms: int, /, interval_s: int = 60) -> Candles | None:
        """Return candles from that of `since_ms` on, as many as one call gives, with volume; None: none published.

        The interval is one of `features.facts.market.CANDLE_INTERVALS`; the last one may still be open.
        """

    async def fetch_mark_candles(self, instrument_id: str, since_ms: int, /) -> Candles | None:
        """Return 1-minute candles of the mark price, for the windows; None where the venue publishes none."""

    async def fetch_open_interest_history(self, instrument_id: str, /) -> tuple[OpenInterest, ...]:
        """Return the last half hour of 5-minute points, oldest first; empty where the venue publishes none."""


class ProbedVenue(Venue, Protocol):
    """A venue whose replies can be seen as they come: what `check --deep` needs beside the rest."""

    bulk_columns: Collection[str]  #: the columns of `Quotes` that it brings beside those of every venue

    def observe(self, see: Callable[[Reply], None]) -> None:
        """Show every reply from here on, before it is checked."""

    async def ask(self, path: str, params: Mapping[str, str | int], *, cost: Mapping[str, float]) -> Reply:
        """Make a call that the bot does not make otherwise."""


class CandleSource(Protocol):
    """The part of a market feed that exits need: who is watched, how the venues are doing, and candles of a gap."""

    @property
    def universe(self) -> Universe:
        """The instruments that are watched; another object after every reload."""

    async def fetch_candles(self, key: Key, since_ms: int, /) -> Candles | None:
        """Return 1-minute candles from the minute of `since_ms` on; None where there are none, or no answer."""

    def status(self) -> Mapping[str, VenueReport]:
        """Return how every venue is doing, by name."""


class MarketFeed(CandleSource, Protocol):
    """All venues as the bot sees them: live (`fetchers.feed.Feed`), from a tape, or a test's own.

    Times are epoch milliseconds on the clock that the bot was given.
    """

    async def poll_quotes(self) -> list[Observation]:
        """Make the bulk calls of all venues and return what has arrived since the last poll, of whatever kind."""

    def poll_candidates(
        self,
        wanted: Callable[[], Sequence[Wanted]],
        *,
        held: Collection[str] = (),
        urgent: Callable[[], Sequence[Key]] = list,
    ) -> AsyncIterator[list[Observation]]:
        """Poll single instruments, and yield what has arrived since the last poll, in portions.

        `wanted` says which; a feed that asks nobody need not call it. `urgent` names, after each portion, those for
        which the decision cannot wait: they are polled at once, and the others' answers come later.

        Coins and instruments in `held`, by name, keep their name when the universe is reloaded.
        """

    @property
    def is_late(self) -> bool:
        """Whether what comes between ticks is late, so that decisions are the ticks' alone."""

    @property
    def is_heard_between_ticks(self) -> bool:
        """Whether anything comes by `listen`."""

    async def listen(self) -> list[list[Observation]]:
        """Return what has come since the last poll without being waited for, in portions; empty where nothing has."""

    def poll_now(self, keys: Sequence[Key], /) -> AsyncIterator[list[Observation]]:
        """Poll these instruments at once, outside any plan, as far as the budgets allow, and yield what has arrived."""

    def renew(self) -> None:
        """Fill the windows again and measure the venues' clocks: ours was set."""

    def notices(self) -> list[Notice]:
        """Return what became worth a message since the last call: a venue blind for two minutes, or back."""

    def changes(self) -> Mapping[str, Sequence[Change]]:
        """Return by venue the endpoints whose replies are no longer what they were, each once."""
