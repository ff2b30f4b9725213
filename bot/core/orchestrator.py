"""The tick, and what it carries from one to the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from loguru import logger

from bot.clock import Clock
from bot.config.settings import Config
from bot.core.activity import Activity
from bot.core.announcer import Announcer, venue_key
from bot.core.events import Event, Events, LookEnded, TickEnded, VenueChanged
from bot.core.ledger import Ledger
from bot.core.looks import Looks
from bot.core.market import Market
from bot.core.tick import Tick, View
from bot.core.wanted import HotList, wanted
from features.facts.market import Observation
from fetchers.base import MarketFeed
from fetchers.poll_plan import Key, Wanted
from scoring.decide import decide
from scoring.strategies import chosen
from storage.errors import StorageError
from storage.messages import NewMessage
from storage.store import Store

SAVE_EVERY_MS = 60_000  #: the windows; what a killed bot lacks of them it has to watch again
ALERT_FIRST_S = 0.02  #: pause after a signal, in which the delivery sends it before the rest of the tick runs
LISTEN_MS = 100  #: between two readings of what comes between two ticks
FAILED_TICKS = 5  #: so many unexpected failures in a row end the process: it restarts, or a person looks


class Orchestrator:
    """Polls, decides and remembers, tick by tick, with the market and the ledger that it owns."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        feed: MarketFeed,
        store: Store,
        announcer: Announcer,
        activity: Activity,
        subscribers: Sequence[Callable[[Event], None]] = (),
    ) -> None:
        self._config = config
        self._clock = clock
        self._feed = feed
        self._store = store
        self._announcer = announcer
        self._events = Events((activity.note, *subscribers))
        self._saved_ms = clock.monotonic_ms()
        self.strategies = chosen(config.strategies)
        self.activity = activity
        self.market = Market(feed, config.features, config.kept_candles)
        self.ledger = Ledger(
            settings=config.scoring,
            max_data_age_s=config.features.max_data_age_s,
            strategies=self.strategies,
            clock=clock,
            feed=feed,
            store=store,
            market=self.market,
            announcer=announcer,
            events=self._events,
        )
        self._hot = HotList()
        self._looks = Looks(self.market, self.ledger, self.strategies, config.scoring, clock)
        self.fault = ""  #: why ticks fail now, for /health

    async def restore(self) -> None:
        """Go on from what the last run left behind."""
        await self.ledger.restore()
        await self.market.resume(self._store, self._clock.now_ms())
        if ahead_ms := await self.ledger.ahead_ms():
            await self._follow_clock(-ahead_ms)

    def known_coins(self) -> dict[Key, str]:
        """Return how the last run named each instrument, and the open signals'."""
        return self.market.kept_coins | {one.signal.key: one.signal.coin for one in self.ledger.open_signals.values()}

    async def start(self) -> None:
        """Say that the watch begins."""
        kept = {venue: report.kept for venue, report in self._feed.status().items()}
        await self._enqueue(self._announcer.started(kept, tuple(self.ledger.open_signals.values())))

    async def stop(self) -> None:
        """Say that it ends, and keep the windows for the next start."""
        await self.save_windows(with_candles=True)
        await self._enqueue(self._announcer.stopped(tuple(self.ledger.open_signals.values())))

    async def run(self, stop: asyncio.Event) -> None:
        """Tick every REFRESH_INTERVAL until `stop`; the tick under way is finished."""
        interval_ms = 1000 * self._config.features.refresh_interval_s
        due_ms = float(self._clock.monotonic_ms())
        failed = 0
        while not stop.is_set():
            failed = 0 if await self._try(self.tick) else failed + 1
            if failed == FAILED_TICKS:
                raise RuntimeError(f"{failed} ticks in a row failed, the last: {self.fault}")
            if self._clock.monotonic_ms() - self._saved_ms >= SAVE_EVERY_MS:
                await self.save_windows()
            now_ms = self._clock.monotonic_ms()
            # after a late tick the next starts at once; missed ticks are skipped
            due_ms = max(due_ms + interval_ms, now_ms)
            await self._wait(stop, due_ms)

    async def _wait(self, stop: asyncio.Event, due_ms: float) -> None:
        """Return at `due_ms` or at `stop`; meanwhile take what comes, and look where that makes a signal likely."""
        while self._feed.is_heard_between_ticks and not stop.is_set() and self._clock.monotonic_ms() < due_ms:
            if not await self._try(self.hear, is_tick=False):
                break  # the next tick comes first
            await _pause(stop, min(LISTEN_MS, due_ms - self._clock.monotonic_ms()))
        await _pause(stop, due_ms - self._clock.monotonic_ms())

    async def tick(self) -> None:
        """Look at the market once, and act on it."""
        clock_step_ms = await self._follow_clock()
        started_ms = self._clock.now_ms()
        view = await self._poll(started_ms)
        if self._feed.is_heard_between_ticks:
            self._looks.saw(view)
        await self._act(view, started_ms, clock_step_ms=clock_step_ms)

    async def hear(self) -> None:
        """Take what has come since the last tick or look, and look at whom that makes likely to signal."""
        portions = await self._feed.listen()
        for portion in portions:
            await self.market.append(portion)
        arrived = [one for portion in portions for one in portion]
        if arrived and not self._feed.is_late and (keys := self._looks.choose(arrived)):
            await self.look(keys)

    async def look(self, keys: Sequence[Key]) -> None:
        """Look at a few instruments between two ticks, and act on it as a tick does."""
        started_ms = self._clock.now_ms()
        async for portion in self._feed.poll_now(keys):
            await self.market.append(portion)
        view = self.market.last_view(self._clock.now_ms())
        await self._act(view, started_ms, is_look=True)

    async def _act(self, view: View, started_ms: int, *, clock_step_ms: int = 0, is_look: bool = False) -> None:
        """Judge what is followed, decide, remember and announce."""
        async with self.ledger.changing:
            followed = await self.ledger.follow(view)
            commands = self.ledger.take_commands()
            decided_ms = self._clock.now_ms()
            names, settings = self.ledger.open_names(), self._config.scoring
            decision = decide(decided_ms, view.features, self.ledger.limits, names, settings, self.strategies)
            near_misses = await self.ledger.remember(view, decision, followed)
        self._announcer.wake()
        # real time, whatever the clock: the loop is left to the delivery
        await asyncio.sleep(ALERT_FIRST_S if decision.signals else 0)
        self.market.keep_books()
        await self.ledger.follow_silently(view, near_misses)
        if not is_look:
            self.market.end_tick()
            await self._announce_venues(view.features.now_ms)
        tick = Tick(
            started_ms=started_ms,
            features=view.features,
            decided_ms=decided_ms,
            decision=decision,
            open_signals=dict(self.ledger.open_signals),
            conditions={name: report.condition for name, report in self._feed.status().items()},
            outbox={state.value: count for state, count in (await self._store.outbox.counts()).items()},
            ended_ms=self._clock.now_ms(),
            clock_step_ms=clock_step_ms,
            is_look=is_look,
            commands=commands,
        )
        self._events.add(LookEnded(tick) if is_look else TickEnded(tick))
        self._events.flush()

    async def save_windows(self, *, with_candles: bool = False) -> None:
        """Keep the market for a restart, and how far near misses have been followed; without them it is only colder."""
        self._saved_ms = self._clock.monotonic_ms()
        try:
            await self._store.windows.save(self.market.windows(with_candles=with_candles), self.ledger.near_misses)
        except StorageError as error:
            logger.warning("the windows cannot be saved: {}", error)

    async def _poll(self, started_ms: int) -> View:
        """Return the market after the bulk data and the polls of those that it does not rule out."""
        market = self.market
        market.begin_tick(started_ms)
        await market.append(await self._feed.poll_quotes())
        arrived: list[Observation] = []

        def urgent() -> list[Key]:
            if not (self._feed.is_heard_between_ticks and arrived) or self._feed.is_late:
                return []
            keys = self._looks.choose(arrived)
            arrived.clear()
            return keys

        held = self.ledger.names_in_use()
        async for portion in self._feed.poll_candidates(self._wanted, held=held, urgent=urgent):
            await market.append(portion)
            arrived += portion
        return market.last_view(self._clock.now_ms())

    def _wanted(self) -> list[Wanted]:
        view, ledger = self.market.view(self._clock.now_ms()), self.ledger
        found = wanted(
            view.features,
            view.column,
            self.strategies,
            ledger.limits,
            self._config.scoring,
            open_keys=ledger.open_keys(),
            open_names=ledger.open_names(),
        )
        return self._hot.extend(found, self._clock.monotonic_ms(), view.column)

    async def _follow_clock(self, step_ms: int = 0) -> int:
        """Where the machine's clock was set, move every time that is kept, so that elapsed time stays true.

        `step_ms` is a step from before the start. Return by how much the clock was set since.
        """
        async with self._store.times, self.ledger.changing:
            rebased_ms = self._clock.rebase()
            if rebased_ms:
                self.activity.shift_clock(rebased_ms)
                self.market.renew()
                self._feed.renew()
            stored_ms = await self.ledger.shift_clock(step_ms + rebased_ms)
        if stored_ms:
            logger.warning("the machine's clock was set by {:+.1f} s", stored_ms / 1000)
            await self._enqueue(self._announcer.clock_set(stored_ms))
        return rebased_ms

    async def _announce_venues(self, now_ms: int) -> None:
        """Say which venues are blind, back, or readable to another share than before."""
        for notice in self._feed.notices():
            self._events.add(VenueChanged(notice))
            await self._store.outbox.enqueue(
                self._announcer.venue_lines(notice, self.ledger.open_signals.values(), now_ms)
            )
            # where the chat does not know yet that it is blind, that is over
            if not (notice.is_back and await self._store.outbox.withdraw(venue_key(notice))):
                why = self._feed.status()[notice.venue].last_error
                await self._enqueue(self._announcer.venue(notice, why, now_ms))
        for venue, changes in self._feed.changes().items():
            await self._enqueue(self._announcer.replies(venue, changes))

    async def _enqueue(self, messages: Sequence[NewMessage]) -> None:
        await self._store.outbox.enqueue(messages)
        self._announcer.wake()

    async def _try(self, step: Callable[[], Awaitable[None]], *, is_tick: bool = True) -> bool:
        try:
            await step()
        except StorageError as error:
            # What was not stored was not sent either, and its limits were not used up: it is decided again.
            if self.fault != str(error):
                logger.error("nothing can be stored, so nothing can be alerted: {}", error)
            self.fault = str(error)
            return True
        except Exception as error:  # noqa: BLE001 - the tick's guard: one bad tick must not end the watch
            logger.exception("a tick or a look failed unexpectedly")
            self.fault = f"{type(error).__name__}: {error}"
            return False
        if is_tick and self.fault:  # that nothing was to be looked at shows nothing
            logger.info("ticks work again")
            self.fault = ""
        return True


async def _pause(stop: asyncio.Event, pause_ms: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(pause_ms, 0) / 1000):
            await stop.wait()
