"""The `MarketFeed` that plays a tape, and the clock that goes with it."""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence

from features.facts.market import Candles, Observation, Prints, Quotes
from features.state.ring import LEAD_S
from fetchers.base import MarketFeed
from fetchers.health import Condition, Notice
from fetchers.parsing.tallies import Change
from fetchers.poll_plan import Key, Wanted
from fetchers.tape.records import TapeTick
from fetchers.universe import Universe
from fetchers.venue_report import VenueReport, report_without_polls


class TapePlayer:
    """Gives again, tick by tick, what was taken in, at the times at which it was; it is feed and clock in one.

    Nothing is handed out that was not known at the time at which the tick's features were taken: what a tape has of
    later is left out and counted in `from_the_future`.
    """

    def __init__(self, now_ms: int) -> None:
        self._universe = Universe(instruments=())
        self._reports: dict[str, VenueReport] = {}
        self._tick = TapeTick(started_ms=now_ms, seen_ms=now_ms, decided_ms=now_ms, ended_ms=now_ms)
        self._step_ms = 0
        self._readings = deque((now_ms,))  # of the clock; the last one stays
        self._candles: dict[tuple[Key, int], deque[Candles | None]] = {}
        self.from_the_future = 0

    def load(self, tick: TapeTick) -> None:
        """Make ready for the next tick."""
        self._tick = tick
        self._step_ms = tick.clock_step_ms
        self._readings = deque((tick.started_ms,))
        if tick.watched is not None:
            self._universe = Universe(instruments=tick.watched.instruments, delisted=tick.watched.delisted)
        if tick.conditions is not None:
            self._reports = {
                venue: report_without_polls(Condition(condition)) for venue, condition in tick.conditions.items()
            }
        self._candles = defaultdict(deque)
        for reply in tick.candles:
            self._candles[reply.key, reply.since_ms].append(reply.candles)

    def now_ms(self) -> int:
        """Return the reading of the clock that the tape has here."""
        return self._readings.popleft() if len(self._readings) > 1 else self._readings[0]

    def monotonic_ms(self) -> int:
        """Return the same; nothing waits in a replay."""
        return self._readings[0]

    def rebase(self) -> int:
        """Return by how much the clock was set before this tick."""
        step_ms, self._step_ms = self._step_ms, 0
        return step_ms

    async def sleep(self, seconds: float) -> None:
        """Return at once."""

    @property
    def universe(self) -> Universe:
        """The instruments that were watched."""
        return self._universe

    async def poll_quotes(self) -> list[Observation]:
        """Return what came with the bulk calls."""
        return self._known(self._tick.quotes)

    async def poll_candidates(
        self,
        _wanted: Callable[[], Sequence[Wanted]],
        *,
        held: Collection[str] = (),  # noqa: ARG002 - the names are the tape's
        urgent: Callable[[], Sequence[Key]] = list,  # noqa: ARG002 - and who was
    ) -> AsyncIterator[list[Observation]]:
        """Yield what came after them, whatever is wanted now."""
        for portion in joined(self._tick.portions, self._tick.started_ms):
            yield self._known(portion)
        self._readings = deque((self._tick.seen_ms, self._tick.decided_ms))

    @property
    def is_late(self) -> bool:
        """Return no: the tape has the looks that there were."""
        return False

    @property
    def is_heard_between_ticks(self) -> bool:
        """Return no: whoever plays a tape lets the bot hear what belongs to a tick or look just before it."""
        return False

    async def listen(self) -> list[list[Observation]]:
        """Return what came since the tick or look before."""
        return [self._known(portion) for portion in self._tick.heard]

    async def poll_now(self, _keys: Sequence[Key], /) -> AsyncIterator[list[Observation]]:
        """Yield what came of a look's polls."""
        for portion in self._tick.portions:
            yield self._known(portion)
        self._readings = deque((self._tick.seen_ms, self._tick.decided_ms))

    async def fetch_candles(self, key: Key, since_ms: int, /) -> Candles | None:
        """Return what the venue answered to this question in this tick; None where it was not asked."""
        replies = self._candles.get((key, since_ms))
        candles = replies.popleft() if replies else None
        return candles if candles is None or candles.received_ms <= self._tick.ended_ms else None

    def renew(self) -> None:
        """Do nothing: the tape has the histories that were asked for."""

    def notices(self) -> list[Notice]:
        """Return nothing."""
        return []

    def changes(self) -> Mapping[str, Sequence[Change]]:
        """Return nothing."""
        return {}

    def status(self) -> Mapping[str, VenueReport]:
        """Return in which condition each venue was."""
        return self._reports

    def _known(self, observations: Sequence[Observation]) -> list[Observation]:
        known = [one for one in observations if one.received_ms <= self._tick.seen_ms]
        self.from_the_future += len(observations) - len(known)
        return known


def joined(portions: Sequence[Sequence[Observation]], started_ms: int) -> Iterator[Sequence[Observation]]:
    """Yield the portions of a tick in fewer and longer ones, which leave the market as they do, to the bit.

    Books, prints and open interest may be appended together, each kind after the other; bulk replies and candles may
    not be appended before what came before them, nor prints that the market will leave out because they are too new.
    """
    waiting: list[Observation] = []
    for portion in portions:
        is_alone = any(_is_alone(one, started_ms + 1000 * LEAD_S) for one in portion)
        if is_alone and waiting:
            yield waiting
            waiting = []
        if is_alone:
            yield portion
        else:
            waiting += portion
    if waiting:
        yield waiting


def _is_alone(one: Observation, latest_ms: int) -> bool:
    if isinstance(one, Quotes | Candles):
        return True
    return (one.read_ms if isinstance(one, Prints) else one.exchange_ms) > latest_ms


_FEED: type[MarketFeed] = TapePlayer  # it is one
