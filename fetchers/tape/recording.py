"""A `MarketFeed` that keeps what it hands on, so that a tick can be played again."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from features.facts.market import Candles, Observation
from fetchers.base import MarketFeed
from fetchers.health import Notice
from fetchers.parsing.tallies import Change
from fetchers.poll_plan import Key, Wanted
from fetchers.tape.records import CandleReply, Watched
from fetchers.universe import Universe
from fetchers.venue_report import VenueReport


@dataclass(slots=True, kw_only=True)
class Taken:
    """The input of a tick so far; universe and reports stay as they are until it ends."""

    universe: Universe
    heard: Sequence[Sequence[Observation]] = ()  #: since the tick or look before
    quotes: Sequence[Observation] = ()
    portions: list[Sequence[Observation]] = field(default_factory=list)
    candles: list[CandleReply] = field(default_factory=list)
    reports: Mapping[str, VenueReport] | None = None  #: from the end of the polls on


class RecordingFeed:
    """Hands on what another feed brings.

    Whatever a decision or an outcome depends on is the same from its first reading in a tick to the tick's end: what
    changes in between counts from the next tick on. So a tick can be played from what was kept.
    """

    def __init__(self, feed: MarketFeed) -> None:
        self._feed = feed
        self._taken: Taken | None = None
        self._heard: list[list[Observation]] = []
        self.unfinished = 0  #: ticks that began and were never taken: they failed

    def take(self) -> Taken | None:
        """Return what the tick that has just ended took in; the next may see what is new."""
        taken, self._taken = self._taken, None
        return taken

    @property
    def universe(self) -> Universe:
        """The instruments that are watched; another object after every reload, and not within a tick."""
        return self._feed.universe if self._taken is None else self._taken.universe

    async def poll_quotes(self) -> list[Observation]:
        """Make the bulk calls."""
        taken = self._begin()
        taken.quotes = await self._feed.poll_quotes()
        return [*taken.quotes]

    @property
    def is_late(self) -> bool:
        """Whether what comes between ticks is late."""
        return self._feed.is_late

    @property
    def is_heard_between_ticks(self) -> bool:
        """Whether anything comes by `listen`."""
        return self._feed.is_heard_between_ticks

    async def listen(self) -> list[list[Observation]]:
        """Return what has come without being waited for."""
        portions = await self._feed.listen()
        self._heard += [[*portion] for portion in portions]
        return portions

    async def poll_now(self, keys: Sequence[Key], /) -> AsyncIterator[list[Observation]]:
        """Poll these instruments at once."""
        taken = self._begin()
        async for portion in self._feed.poll_now(keys):
            if portion:
                taken.portions.append(portion)
            yield portion
        taken.reports = self._feed.status()

    async def poll_candidates(
        self,
        wanted: Callable[[], Sequence[Wanted]],
        *,
        held: Collection[str] = (),
        urgent: Callable[[], Sequence[Key]] = list,
    ) -> AsyncIterator[list[Observation]]:
        """Poll single instruments."""
        async for portion in self._feed.poll_candidates(wanted, held=held, urgent=urgent):
            if self._taken is not None and portion:
                self._taken.portions.append(portion)
            yield portion
        if self._taken is not None:
            self._taken.reports = self._feed.status()

    def _begin(self) -> Taken:
        if self._taken is not None:
            self.unfinished += 1
        self._taken = Taken(universe=self._feed.universe, heard=self._heard)
        self._heard = []
        return self._taken

    async def fetch_candles(self, key: Key, since_ms: int, /) -> Candles | None:
        """Return candles."""
        candles = await self._feed.fetch_candles(key, since_ms)
        if self._taken is not None:
            self._taken.candles.append(CandleReply(key=key, since_ms=since_ms, candles=candles))
        return candles

    def renew(self) -> None:
        """Fill the windows again."""
        self._feed.renew()

    def notices(self) -> list[Notice]:
        """Return what became worth a message."""
        return self._feed.notices()

    def changes(self) -> Mapping[str, Sequence[Change]]:
        """Return the endpoints whose replies are no longer what they were."""
        return self._feed.changes()

    def status(self) -> Mapping[str, VenueReport]:
        """Return how every venue is doing."""
        return self._feed.status() if self._taken is None or self._taken.reports is None else self._taken.reports


def watched(universe: Universe) -> Watched:
    """Return what of a universe stands on a tape."""
    return Watched(instruments=universe.instruments, delisted=universe.delisted)


def conditions(reports: Mapping[str, VenueReport]) -> dict[str, str]:
    """Return what of the reports stands on a tape."""
    return {name: str(report.condition) for name, report in reports.items()}
