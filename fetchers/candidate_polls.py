"""The polls of one venue's single instruments: book, trades and live open interest, as its budget allows."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from loguru import logger

from features.facts.market import Observation
from fetchers.base import Venue
from fetchers.errors import BadPayload, FetchError, UnknownSymbol
from fetchers.health import Quarantine
from fetchers.listed_ids import ListedIds
from fetchers.venue_calls import VenueCalls

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

#: what is fetched, and by what
Call: TypeAlias = tuple[str, Callable[[str], Awaitable[Observation | None]]]

BOOK = "book"
LOOKED_AT = 4  #: instruments of a venue in one look between two ticks
POLLS_IN_FLIGHT = 14  #: one call each; with the history's, some of the client's sockets stay free for the bulk calls


@dataclass(slots=True)
class Polls:
    """The polls of one venue in one plan."""

    ids: Sequence[str]
    awaited: Collection[str]  #: of them, those a decision waits for
    sent: list[asyncio.Task[None]] = field(default_factory=list)  #: of those
    is_out: asyncio.Event = field(default_factory=asyncio.Event)  #: all of those that fit into the budget at once are


class CandidatePolls:
    """Polls the plan's instruments; those the venue does not know, or answers badly, are left out for a while."""

    def __init__(
        self,
        calls: VenueCalls,
        listed: ListedIds,
        *,
        start: Spawn,
        deliver: Callable[[Observation], None],
        is_streamed: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.quarantine = Quarantine()
        self._calls = calls
        self._listed = listed
        self._start = start
        self._deliver = deliver
        self._is_streamed = is_streamed
        self._slots = asyncio.Semaphore(POLLS_IN_FLIGHT)
        self._ids: Sequence[str] = ()
        self._last_polled: dict[str, int] = {}
        self._sending: asyncio.Task[None] | None = None

    def watch(self, ids: Sequence[str]) -> None:
        """Take over the ids of the universe, and forget all others."""
        self._ids, watched = ids, set(ids)
        self._last_polled = {key: at_ms for key, at_ms in self._last_polled.items() if key in watched}
        self.quarantine.watch(watched)

    def rotation(self) -> list[str]:
        """Return all instruments that are not left out, least recently polled first."""
        now_ms = self._calls.now_ms()
        inside = [instrument_id for instrument_id in self._ids if not self.quarantine.holds(instrument_id, now_ms)]
        return sorted(inside, key=lambda instrument_id: self._last_polled.get(instrument_id, 0))

    def start(self, ids: Sequence[str], awaited: Collection[str]) -> Polls:
        """Drop what is not sent of the polls before, and start these; some a decision waits for."""
        if self._sending is not None:
            self._sending.cancel()
        polls = Polls(ids, awaited)
        self._sending = self._start(self._send(polls), f"polls of {self._calls.venue.name}")
        return polls

    async def wait_for(self, polls: Polls) -> None:
        """Return when what fits into the budget at once has been answered; at once where books fail anyway."""
        if self._calls.health.fails(BOOK):
            return
        await polls.is_out.wait()
        if polls.sent:
            await asyncio.wait(polls.sent)

    def start_now(self, ids: Sequence[str]) -> list[asyncio.Task[None]]:
        """Poll some at once, all that is to be known of each side by side, as far as the budget has room now."""
        venue, now_ms = self._calls.venue, self._calls.now_ms()
        started: list[asyncio.Task[None]] = []
        asked = [one for one in ids if not self.quarantine.holds(one, now_ms)][:LOOKED_AT]
        for count, instrument_id in enumerate(asked, start=1):
            cost = {pool: count * amount for pool, amount in self.cost(instrument_id).items()}
            if venue.budget.wait_s(cost, now_ms, kept_free=venue.kept_for_quotes) > 0:
                break
            self._last_polled[instrument_id] = now_ms
            started += [
                self._start(self._fetch(instrument_id, (call,)), f"look at {venue.name} {instrument_id}")
                for call in self._calls_of(instrument_id)
            ]
        return started

    async def _send(self, polls: Polls) -> None:
        venue, left = self._calls.venue, len(polls.awaited)
        try:
            for instrument_id in polls.ids:
                if not left:
                    polls.is_out.set()
                await self._calls.wait_for_room(self.cost(instrument_id), before_waiting=polls.is_out.set)
                await self._slots.acquire()
                self._last_polled[instrument_id] = self._calls.now_ms()
                poll = self._start(self._poll(instrument_id), f"poll {venue.name} {instrument_id}")
                if instrument_id in polls.awaited:
                    polls.sent.append(poll)
                    left -= 1
                await asyncio.sleep(0)  # it spends before the budget is looked at for the next one
        finally:
            polls.is_out.set()

    async def _poll(self, instrument_id: str) -> None:
        try:
            await self._fetch(instrument_id, self._calls_of(instrument_id))
        finally:
            self._slots.release()

    def cost(self, instrument_id: str) -> Mapping[str, float]:
        """Return what a poll costs, by pool: without its prints where a stream brings them."""
        venue = self._calls.venue
        return streamed_cost(venue) if self._is_streamed(instrument_id) else venue.candidate_cost

    def _calls_of(self, instrument_id: str) -> list[Call]:
        venue = self._calls.venue
        calls: list[Call] = [(BOOK, venue.fetch_order_book)]
        if not self._is_streamed(instrument_id):
            calls.append(("trades", venue.fetch_trades))
        return [*calls, ("open interest", venue.fetch_open_interest)]

    async def _fetch(self, instrument_id: str, calls: Sequence[Call]) -> None:
        try:
            for kind, fetch in calls:
                async with self._calls.counted(kind):
                    observation = await fetch(instrument_id)
                if observation is not None:
                    self._deliver(observation)
            self.quarantine.success(instrument_id, self._calls.now_ms())
        except (UnknownSymbol, BadPayload) as error:
            self._suspect(instrument_id, error)
        except FetchError:
            return  # counted and logged; the rest of this poll would fare no better

    def _suspect(self, instrument_id: str, error: FetchError) -> None:
        is_unknown = isinstance(error, UnknownSymbol)
        out_s = self.quarantine.failure(instrument_id, self._calls.now_ms(), is_certain=is_unknown)
        if out_s:
            logger.info("{} {}: left out for {:.0f} s: {}", self._calls.venue.name, instrument_id, out_s, error)
        if is_unknown:
            self._listed.note_unknown(instrument_id, is_polled=True)


def streamed_cost(venue: Venue) -> dict[str, float]:
    """Return what a poll costs, by pool, where a stream brings the prints."""
    left = {pool: cost - venue.trades_cost.get(pool, 0.0) for pool, cost in venue.candidate_cost.items()}
    return {pool: cost for pool, cost in left.items() if cost > 0}
