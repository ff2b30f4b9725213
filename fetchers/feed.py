"""The live `MarketFeed`: all venues side by side, each failing and recovering by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any

from loguru import logger

from features.backoff import backoff
from features.facts.market import Candles, Observation, moved
from fetchers.base import Venue
from fetchers.candidate_polls import Spawn
from fetchers.errors import Unreachable
from fetchers.health import Notice
from fetchers.identity import Identities
from fetchers.parsing.tallies import Change
from fetchers.poll_plan import Key, Plan, Wanted, make_plan
from fetchers.streamed_trades import TradeStream
from fetchers.universe import Universe, UniverseSettings, build_universe
from fetchers.venue_poller import VenuePoller
from fetchers.venue_report import VenueReport

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0  #: of a venue that could not be loaded
EARLIEST_RELOAD_MS = 60_000  #: after the last, when an unknown id shows up
PORTION_S = 0.025  #: of what arrives, so that little is left to be done when the last reply has come
DEADLINE_SHARE = 0.4  #: of the time between ticks that either half of a poll may take, so that all venues keep it


class Feed:
    """All venues as the bot sees them.

    `spawn` starts a named background task and reports the exception that ends it (bot/tasks.py). `window_s` is how far
    back the features look at prices and open interest, and so how much history is asked for. Closed candles come of
    `candle_interval_s`, 0: none. Prices are asked for every `quotes_interval_s` between two polls, 0: not at all.
    `streams` bring the prints of the venues that have one.
    `draw` returns random
    numbers in [0, 1), by which venues that failed together are tried again apart.

    The venues and all that waits run by `monotonic_ms`, which cannot be set; the feed returns times by `now_ms`.
    """

    def __init__(
        self,
        venues: Iterable[Venue],
        *,
        settings: UniverseSettings,
        now_ms: Callable[[], int],
        monotonic_ms: Callable[[], int] | None = None,
        sleep: Callable[[float], Awaitable[None]],
        spawn: Spawn,
        refresh_interval_s: float = 5.0,
        reload_s: float = 900.0,
        window_s: float = 900.0,
        draw: Callable[[], float] = lambda: 0.0,
        candle_interval_s: int = 0,
        quotes_interval_s: float = 0.0,
        streams: Mapping[str, TradeStream] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._utc_ms = now_ms
        self._now_ms = monotonic_ms or now_ms
        self._sleep = sleep
        self._spawn = spawn
        self._draw = draw
        self._quotes_ms = round(1000 * quotes_interval_s)
        self._tick_ms = round(1000 * refresh_interval_s)
        self._reload_ms = round(1000 * reload_s)
        self._deadline_s = DEADLINE_SHARE * refresh_interval_s
        self._pollers = {
            venue.name: VenuePoller(
                venue,
                now_ms=self._now_ms,
                sleep=sleep,
                start=self._start_task,
                window_s=window_s,
                deadline_s=refresh_interval_s,
                candle_interval_s=candle_interval_s,
                stream=streams.get(venue.name),
            )
            for venue in venues
        }
        self._tasks: set[asyncio.Task[None]] = set()
        self._universe = Universe(instruments=())
        self._keep: Collection[Key] = ()
        self._held: Collection[str] = ()
        self._is_usable = asyncio.Event()  # one venue has loaded
        self._reloading: asyncio.Task[None] | None = None
        self._reloaded_ms = 0

    @property
    def universe(self) -> Universe:
        """The instruments that are watched; another object after every reload."""
        return self._universe

    async def start(
        self, *, deadline_s: float = 30.0, keep: Collection[Key] = (), coins: Mapping[Key, str] | None = None
    ) -> None:
        """Load all venues side by side and return when each has loaded or failed once, and one is usable.

        The others are tried on in the background and join the universe when they have loaded. `keep` are the
        instruments of open signals, watched whatever their volume, and `coins` the names of the last run.

        Raises
        ------
        Unreachable
            Where no venue could be loaded within the deadline; it names each and why. The feed is closed then.
        """
        self._keep = keep
        self._universe = Universe(instruments=(), identities=Identities(coins or {}))
        has_tried = []
        for poller in self._pollers.values():
            await poller.venue.open()
            has_tried.append(asyncio.Event())
            self._start_task(self._join(poller, has_tried[-1]), f"load {poller.venue.name}")
        with suppress(TimeoutError):  # said below
            async with asyncio.timeout(deadline_s):
                for tried in has_tried:
                    await tried.wait()
                await self._is_usable.wait()
        if not self._is_usable.is_set():
            await self.close()
            why = "; ".join(
                f"{name}: {poller.health.last_error or 'no answer'}" for name, poller in self._pollers.items()
            )
            raise Unreachable(f"no venue could be reached within {deadline_s:g} s: {why}")
        self._rebuild()

    async def close(self) -> None:
        """End the background work and close the venues' sessions."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(poller.venue.close() for poller in self._pollers.values()))

    async def poll_quotes(self, deadline_s: float | None = None) -> list[Observation]:
        """Make the bulk calls of all venues and return what has arrived since the last poll, of whatever kind.

        A venue whose bulk calls fail is asked but not waited for; what comes too late now comes with the next poll.
        """
        started = [task for poller in self._loaded() if (task := poller.start_quotes()) is not None]
        if started:
            await asyncio.wait(started, timeout=deadline_s or self._deadline_s)
        self._reload_if_due()
        return self._drain()

    async def poll_candidates(
        self,
        wanted: Callable[[], Sequence[Wanted]],
        deadline_s: float | None = None,
        *,
        held: Collection[str] = (),
        urgent: Callable[[], Sequence[Key]] = list,
    ) -> AsyncIterator[list[Observation]]:
        """Poll what is wanted and a rotation of the rest, and yield what has arrived since the last poll, in portions.

        What is wanted and fits into the budgets at once is waited for, until the deadline; the rest of the plan is sent
        as the budgets allow, until the next plan replaces it, and comes with a later poll. What is `held`, coins and
        instruments by name, keeps its name over a reload.

        Whoever is `urgent` after a portion is polled at once, and nobody else is waited for then.
        """
        self._held = held
        asked = wanted()
        self._keep = {want.key for want in asked if want.kind == "open"}
        await asyncio.sleep(0)  # other tasks first: a plan of thousands of candidates takes long
        plan = self._plan(asked)
        await asyncio.sleep(0)
        polls = {name: self._pollers[name].polls.start(ids, plan.awaited[name]) for name, ids in plan.polls.items()}
        answered = {
            self._start_task(self._pollers[name].polls.wait_for(started), f"answers of {name}")
            for name, started in polls.items()
        }
        left_s = deadline_s or self._deadline_s
        while answered and left_s > 0:
            _, answered = await asyncio.wait(answered, timeout=min(PORTION_S, left_s))
            left_s -= PORTION_S
            yield self._drain()
            if keys := urgent():
                await self._poll_at_once(keys)
                break
        for late in answered:
            late.cancel()
        yield [*self._drain(), *self._quiet()]

    @property
    def is_late(self) -> bool:
        """Whether what a stream brings is late: decisions are the ticks' then."""
        return any(poller.streamed is not None and poller.streamed.is_lagging for poller in self._pollers.values())

    @property
    def is_heard_between_ticks(self) -> bool:
        """Whether anything comes by `listen`."""
        return self._quotes_ms > 0 or any(poller.streamed is not None for poller in self._pollers.values())

    async def listen(self) -> list[list[Observation]]:
        """Return what has come since the last poll, and ask for prices where they are due."""
        if self._quotes_ms:
            for poller in self._loaded():
                poller.price_if_due(self._quotes_ms)
        arrived = self._drain()
        return [arrived] if arrived else []

    async def poll_now(self, keys: Sequence[Key]) -> AsyncIterator[list[Observation]]:
        """Poll these instruments outside the plan, as far as the budgets have room now, and yield what has arrived."""
        await self._poll_at_once(keys)
        yield [*self._drain(), *self._quiet()]

    async def _poll_at_once(self, keys: Sequence[Key]) -> None:
        started: list[asyncio.Task[None]] = []
        for name, poller in self._pollers.items():
            if poller.can_be_polled:
                started += poller.polls.start_now([identity for venue, identity in keys if venue == name])
        if started:
            await asyncio.wait(started, timeout=self._deadline_s)

    async def fetch_candles(self, key: Key, since_ms: int) -> Candles | None:
        """Return 1-minute candles from the minute of `since_ms` on; None where there are none, or no answer."""
        venue, instrument_id = key
        candles = await self._pollers[venue].fetch_candles(instrument_id, since_ms)
        return None if candles is None else moved(candles, self._ahead_ms)

    def renew(self) -> None:
        """Fill the windows again, and measure the venues' clocks: ours was set."""
        for poller in self._pollers.values():
            poller.renew()

    def notices(self) -> list[Notice]:
        """Return what became worth a message since the last call: a venue blind for two minutes, or back."""
        now_ms = self._now_ms()
        notices = [poller.health.notice(now_ms) for poller in self._pollers.values()]
        return [replace(notice, since_ms=notice.since_ms + self._ahead_ms) for notice in notices if notice is not None]

    def changes(self) -> dict[str, list[Change]]:
        """Return by venue the endpoints whose replies are no longer what they were, each once."""
        now_ms = self._now_ms()
        return {
            name: changes for name, poller in self._pollers.items() if (changes := poller.venue.tallies.changes(now_ms))
        }

    def status(self) -> dict[str, VenueReport]:
        """Return how every venue is doing, by name."""
        reports = {name: poller.report(self._universe.dropped.get(name, {})) for name, poller in self._pollers.items()}
        return {name: report.moved(self._ahead_ms) for name, report in reports.items()}

    @property
    def _ahead_ms(self) -> int:
        # How far UTC is ahead of the clock that the venues run by: 0 until somebody sets the machine's clock.
        return self._utc_ms() - self._now_ms()

    async def _join(self, poller: VenuePoller, has_tried: asyncio.Event) -> None:
        for failures in count():
            if poller.listed.listings is None:
                await poller.load()
            if poller.listed.listings is not None:
                await poller.quote()
            if poller.is_loaded:
                break
            has_tried.set()
            await self._sleep(backoff(failures, first=FIRST_RETRY_S, longest=LAST_RETRY_S, draw=self._draw()))
        self._start_task(poller.loader.run(), f"history of {poller.venue.name}")
        self._start_task(poller.candle_loader.run(), f"candles of {poller.venue.name}")
        if poller.streamed is not None:
            self._start_task(poller.streamed.run(), f"streams of {poller.venue.name}")
            if poller.venue.open_interest_cost:
                self._start_task(poller.open_interest.run(), f"open interest of {poller.venue.name}")
        self._is_usable.set()
        has_tried.set()
        if self._universe.instruments:  # the others run already
            self._rebuild()

    def _reload_if_due(self) -> None:
        is_asked = any(poller.listed.wants_reload for poller in self._loaded())
        due_ms = self._reloaded_ms + (min(EARLIEST_RELOAD_MS, self._reload_ms) if is_asked else self._reload_ms)
        if self._now_ms() >= due_ms and (self._reloading is None or self._reloading.done()):
            self._reloading = self._start_task(self._reload(), "reload the universe")

    async def _reload(self) -> None:
        await asyncio.gather(*(poller.load() for poller in self._loaded()))
        self._rebuild()

    def _rebuild(self) -> None:
        pollers = {poller.venue.name: poller for poller in self._loaded()}
        universe = build_universe(
            {name: poller.listed.listings or () for name, poller in pollers.items()},
            {name: poller.quotes.values() for name, poller in pollers.items()},
            self._settings,
            keep=self._keep,
            before=self._universe.identities,
            held=self._held,
        )
        delisted = frozenset((name, key) for name, poller in pollers.items() for key in poller.listed.delisted())
        coins = {**self._universe.identities.coins, **universe.identities.coins}  # a venue that is away comes back
        identities = replace(universe.identities, coins=coins)
        self._universe = replace(universe, delisted=delisted, identities=identities)
        for name, poller in pollers.items():
            mine = [instrument for instrument in self._universe.instruments if instrument.venue == name]
            poller.watch(mine)
            dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(self._universe.dropped[name].items()))
            logger.info("{}: {} instruments; left out: {}", name, len(mine), dropped or "none")
        self._reloaded_ms = self._now_ms()

    def _loaded(self) -> list[VenuePoller]:
        return [poller for poller in self._pollers.values() if poller.is_loaded]

    def _plan(self, wanted: Sequence[Wanted]) -> Plan:
        now_ms = self._now_ms()
        pollers = {name: poller for name, poller in self._pollers.items() if poller.can_be_polled}
        plan = make_plan(
            [
                want
                for want in wanted
                if want.kind == "open" or not self._pollers[want.key[0]].polls.quarantine.holds(want.key[1], now_ms)
            ],
            rotation={name: poller.polls.rotation() for name, poller in pollers.items()},
            eligible=self._universe.eligible_by_venue(),
            available={name: poller.available(self._tick_ms) for name, poller in pollers.items()},
            costs={name: poller.poll_cost for name, poller in pollers.items()},
        )
        for name, counts in plan.counts.items():
            self._pollers[name].counts = counts
        for name, poller in pollers.items():
            here = sorted((want for want in wanted if want.key[0] == name), key=lambda want: -want.bound)
            poller.backfill.prefer([want.key[1] for want in here])
            if poller.streamed is not None:
                poller.streamed.prefer([want.key[1] for want in here])
            poller.candles.prefer([want.key[1] for want in here])
        return plan

    def _start_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._spawn(coroutine, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _quiet(self) -> list[Observation]:
        """Return that nothing else was printed until now where streams cover it."""
        found = [
            quiet
            for name, poller in self._pollers.items()
            if poller.streamed is not None and (quiet := poller.streamed.quiet(name)) is not None
        ]
        return [moved(one, self._ahead_ms) for one in found]

    def _drain(self) -> list[Observation]:
        arrived: list[Observation] = []
        for poller in self._pollers.values():
            arrived += poller.arrived
            poller.arrived = []
        return [moved(one, self._ahead_ms) for one in arrived] if self._ahead_ms else arrived
