"""The tick, and what it carries from one to the next."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from loguru import logger

from bot.chat.charts import PriceHistory
from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.chat.delivery.sounds import Mode
from bot.chat.texts import follow_ups
from bot.chat.texts.daily_report import DayLog
from bot.chat.texts.messages import (
    entry_buttons,
    render_cap,
    render_changes,
    render_clock_set,
    render_entry,
    render_exit,
    render_guard,
    render_start,
    render_stop,
    render_storm,
    render_track_record,
    render_venue_back,
    render_venue_blind,
)
from bot.chat.texts.storm import Storm
from bot.clock import Clock
from bot.config.load import Config
from bot.core.control_group import ControlGroup
from bot.core.funnels import FunnelLog
from bot.core.near_misses import NearMisses
from bot.core.open_signals import OpenSignals, Seen, note_looks
from bot.version import VERSION
from features.facts.market import FUTURE_MS, Observation, OrderBook, Trades
from features.facts.venues import venue_title
from features.frame import FeatureFrame, compute_features
from features.state.market_state import MarketState
from features.state.snapshot import restore, take_windows
from fetchers.base import MarketFeed
from fetchers.poll_plan import Key, Wanted
from scoring.capture import Capture, capture
from scoring.decide import Decision, decide
from scoring.episodes import GAP_MS, Episodes
from scoring.limits import after_outcome, after_signal, names_in_use, newest_ms, pause, resume, signals_today
from scoring.limits import shift_clock as shift_limits
from scoring.signals import FOREVER_MS, Limits, NearMiss, OpenSignal, Outcome, Signal
from scoring.statistics import Records, closed_of
from scoring.strategies import chosen
from storage.errors import StorageError
from storage.messages import FollowUp, Kind, NewMessage
from storage.store import Store

SAVE_EVERY_MS = 60_000  #: the windows; what a killed bot lacks of them it has to watch again
APPENDED_AT_ONCE = 250  #: histories come by the thousand
ALERT_FIRST_S = 0.02  #: how long an alert has the process for itself
FAILED_TICKS = 5  #: so many in a row that nobody expected end the process: it restarts, or a person looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What the last tick saw and decided."""

    features: FeatureFrame
    decision: Decision
    ended_ms: int


class Orchestrator:
    """Owns the market state, the limits and the open signals; everything else it is given."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        feed: MarketFeed,
        store: Store,
    ) -> None:
        self._config = config
        self.strategies = chosen(config.strategies)
        self._clock = clock
        self._feed = feed
        self._store = store
        self._announce: Callable[[], None] = lambda: None
        self._universe = feed.universe
        self._state = MarketState((), config.features)
        self._records = Records()
        self._episodes = Episodes()
        max_data_age_s, started_ms = config.features.max_data_age_s, clock.now_ms()
        self._following, controls, judged_by_quotes = (
            OpenSignals(feed, config.scoring, max_data_age_s=max_data_age_s, started_ms=started_ms, asks=asks)
            for asks in (True, True, False)
        )
        self._controls = ControlGroup(store, controls, config.scoring, self.strategies)
        self._near_misses = NearMisses(store, judged_by_quotes)
        # two books of what a signal was decided on, neither older than the oldest that may be looked at
        ticks = math.ceil(2 * config.features.max_data_age_s / config.features.refresh_interval_s) + 1
        self._recent: deque[Mapping[Key, Sequence[OrderBook | Trades]]] = deque(maxlen=ticks)
        self._saved_ms = clock.monotonic_ms()
        self._kept_coins: dict[Key, str] = {}  # of the last run's instruments
        self._deciding = asyncio.Lock()  # a command must not change the limits between a decision and its commit
        self.chats = config.telegram.chat_ids if config.telegram.bot_token else (TERMINAL_CHAT,)
        self.operator = config.telegram.operator if config.telegram.bot_token else TERMINAL_CHAT
        self.started_ms = clock.now_ms()
        self.limits = Limits.fresh()
        self.last_tick: Tick | None = None
        self.ticks = 0
        self.signals = 0
        self.exits = 0
        self.funnels = {strategy.name: FunnelLog() for strategy in self.strategies}
        self.outbox: dict[str, int] = {}
        self.durations_ms: deque[int] = deque(maxlen=1000)
        self.day = DayLog(since_ms=self.started_ms)
        self._storm = Storm(config.scoring.burst_window_s)
        self.books: dict[tuple[str, str], OrderBook] = {}  #: the last one of each instrument, for charts
        self.trouble = ""  #: why ticks fail now, for /health
        self._step_ms = 0  # by which the clock was set, and the store does not know it yet

    async def restore(self) -> None:
        """Go on from what the last run left behind."""
        saved = await self._store.load()
        self.limits = saved.limits
        self._following.add(saved.open_signals)
        self._controls.resume(saved.controls)
        self._near_misses.resume(saved.followed)
        async for closed in self._store.signals.closed_figures():
            self._records.add(closed)
        async for closed in self._store.controls.closed_figures():
            self._records.add(closed)
        self._records.prepare()
        self._episodes.resume(await self._store.near_misses.with_peaks(self._clock.now_ms() - GAP_MS))
        await self._restore_windows()
        await self._catch_up_clock()

    @property
    def open_signals(self) -> dict[int, OpenSignal]:
        """The signals without an end, by id."""
        return self._following.open

    def open_keys(self) -> set[tuple[str, str]]:
        """Return (venue, id) of the instruments that have an open signal, or a control that is followed alike."""
        return self._following.keys() | self._controls.keys(self._clock.now_ms())

    def known_coins(self) -> dict[tuple[str, str], str]:
        """Return how the last run named each instrument, and the open signals'."""
        return self._kept_coins | {one.signal.key: one.signal.coin for one in self.open_signals.values()}

    async def start(self, announce: Callable[[], None]) -> None:
        """Say that the watch begins; `announce` is called whenever there may be something to send."""
        self._announce = announce
        counts = {venue: report.kept for venue, report in self._feed.status().items()}
        await self.notify(render_start(VERSION, counts, tuple(self.open_signals.values()), self._clock.now_ms()))

    async def stop(self) -> None:
        """Say that it ends, and keep the windows for the next start."""
        await self.save_windows()
        await self.notify(render_stop("it was told to", tuple(self.open_signals.values()), self._clock.now_ms()))

    async def run(self, stop: asyncio.Event) -> None:
        """Tick every REFRESH_INTERVAL until `stop`; the tick under way is finished."""
        interval_ms = 1000 * self._config.features.refresh_interval_s
        due_ms = float(self._clock.monotonic_ms())
        failed = 0
        while not stop.is_set():
            failed = 0 if await self._try_tick() else failed + 1
            if failed == FAILED_TICKS:
                raise RuntimeError(f"{failed} ticks in a row failed, the last: {self.trouble}")
            if self._clock.monotonic_ms() - self._saved_ms >= SAVE_EVERY_MS:
                await self.save_windows()
            now_ms = self._clock.monotonic_ms()
            # a tick that took longer is followed at once, none is made up for
            due_ms = max(due_ms + interval_ms, now_ms)
            with suppress(TimeoutError):
                async with asyncio.timeout((due_ms - now_ms) / 1000):
                    await stop.wait()

    async def tick(self) -> None:
        """Look at the market once, and act on it."""
        await self._follow_clock()
        started_ms = self._clock.now_ms()
        self._follow_universe()
        self._state.open_past(started_ms)
        self._state.advance(started_ms)
        seen: dict[Key, list[OrderBook | Trades]] = {}
        self._recent.append(seen)
        await self._append(await self._feed.poll_quotes(), seen)
        async for portion in self._feed.poll_candidates(self._wanted(), held=self._names_in_use()):
            await self._append(portion, seen)
        features = compute_features(self._state, self._clock.now_ms())
        async with self._deciding:
            still_open, said = await self._follow_open(features, seen)
            decision = decide(
                self._clock.now_ms(), features, self.limits, self.open_names(), self._config.scoring, self.strategies
            )
            followed = await self._remember(features, decision, still_open, said)
        self._announce()
        await asyncio.sleep(ALERT_FIRST_S if decision.signals else 0)  # it goes before what nobody waits for
        self.books |= {key: one for key, found in seen.items() for one in found if isinstance(one, OrderBook)}
        await self._follow_controls(features, seen)
        await self._near_misses.begin(followed)
        await self._near_misses.follow(features, self._state.column, seen)
        await self._record(features, decision, started_ms)

    async def _follow_clock(self) -> None:
        """Where the machine's clock was set, move every time that is kept, so that elapsed time stays true."""
        async with self._store.times, self._deciding:
            step_ms = self._clock.rebase()
            self._shift_clock(step_ms)
            self._step_ms += step_ms
            if not self._step_ms:
                return
            open_signals, followed = tuple(self.open_signals.values()), tuple(self._near_misses.followed.values())
            controls = tuple(self._controls.followed.values())
            await self._store.shift_clock(self._step_ms, self.limits, open_signals, followed, controls)
            step_ms, self._step_ms = self._step_ms, 0
        logger.warning("the machine's clock was set by {:+.1f} s", step_ms / 1000)
        await self.notify(render_clock_set(step_ms))

    async def _catch_up_clock(self) -> None:
        """Where the clock was set back while nobody ran, move what waits and is followed out of the future."""
        groups = (self.open_signals, self._controls.followed, self._near_misses.followed)
        followed = [one for group in groups for one in group.values()]
        times_ms = [time_ms for one in followed for time_ms in (one.decided_ms, one.looked_ms)]
        newest = max([newest_ms(self.limits), await self._store.outbox.latest_unsent_ms(), *times_ms])
        step_ms = self._clock.now_ms() - newest
        if step_ms >= -FUTURE_MS:
            return
        self._shift_kept(step_ms)
        self._step_ms += step_ms
        await self._follow_clock()

    def _shift_clock(self, step_ms: int) -> None:
        if not step_ms:
            return
        self._shift_kept(step_ms)
        self.started_ms += step_ms
        self.day.since_ms += step_ms
        if self.last_tick is not None:
            self.last_tick = replace(self.last_tick, ended_ms=self.last_tick.ended_ms + step_ms)
        # the windows begin anew: nobody knows whether the clock was wrong before the step or is after it
        self._state = MarketState(self._state.instruments, self._config.features)
        self._recent.clear()
        self._feed.renew()

    def _shift_kept(self, step_ms: int) -> None:
        self.limits = shift_limits(self.limits, step_ms)
        for keeper in (self._following, self._controls, self._near_misses, self._episodes, self._storm):
            keeper.shift_clock(step_ms)

    async def _append(self, observations: Sequence[Observation], seen: dict[Key, list[OrderBook | Trades]]) -> None:
        note_looks(seen, observations)
        for first in range(0, len(observations), APPENDED_AT_ONCE):
            self._state.append(observations[first : first + APPENDED_AT_ONCE])
            await asyncio.sleep(0)  # whoever is ready goes between two long steps

    async def save_windows(self) -> None:
        """Keep the market for a restart, and how far near misses have been followed; without them it is only colder."""
        self._saved_ms = self._clock.monotonic_ms()
        try:
            await self._store.windows.save(take_windows(self._state), tuple(self._near_misses.followed.values()))
        except StorageError as error:
            logger.warning("the windows cannot be saved: {}", error)

    async def pause(self, until_ms: int | None) -> None:
        """Give no new signals until then, or until `resume` where None."""
        await self.change_limits(lambda limits: pause(limits, FOREVER_MS if until_ms is None else until_ms))

    async def resume(self) -> None:
        """Give signals again."""
        await self.change_limits(resume)

    async def notify(self, html: str, kind: Kind = Kind.NOTICE, edit_key: str = "") -> None:
        """Queue a message that belongs to no signal, for the operator."""
        await self._store.outbox.enqueue(self._notices(html, kind, edit_key))
        self._announce()

    async def notify_all(self, html: str) -> None:
        """Queue a notice for every chat that gets alerts."""
        now_ms = self._clock.now_ms()
        notices = [NewMessage(chat_id=chat, kind=Kind.NOTICE, html=html, created_ms=now_ms) for chat in self.chats]
        await self._store.outbox.enqueue(notices)
        self._announce()

    async def price_history(
        self, key: tuple[str, str], needed_ms: int | None = None, lead_ms: int = 0
    ) -> PriceHistory | None:
        """Return what is kept of an instrument, or the venue's candles where that begins after `needed_ms`.

        The candles begin `lead_ms` earlier still.
        """
        column, rows = self._state.column.get(key), self._state.rows(0, math.inf)
        is_kept = needed_ms is None or (len(rows) and self._state.tick_ms[rows[0]] <= needed_ms)
        if needed_ms is not None and not is_kept and key[0] in self._feed.status():
            candles = await self._feed.fetch_candles(key, needed_ms - lead_ms)
            if candles is not None and len(candles.open_ms):
                return PriceHistory(
                    time_ms=candles.open_ms, price=candles.close, open_interest=np.full(len(candles.close), np.nan)
                )
        if column is None or not np.isfinite(self._state.price_at[rows, column]).any():
            return None
        return PriceHistory(
            time_ms=self._state.tick_ms[rows],
            price=self._state.price_at[rows, column],
            open_interest=self._state.open_interest_at[rows, column],
        )

    def current_price(self, signal_id: int) -> float | None:
        """Return the price an entry of this signal would now start from, None where it is not known."""
        if self.last_tick is None or signal_id not in self.open_signals:
            return None
        signal = self.open_signals[signal_id].signal
        features = self.last_tick.features
        for instrument, price in zip(features.instruments, features.best_bid.tolist(), strict=True):
            if instrument.key == signal.key:
                return price if math.isfinite(price) else None
        return None

    def open_names(self) -> set[str]:
        """Return the coins and the instruments that have an open signal."""
        return self._following.names()

    async def _try_tick(self) -> bool:
        try:
            await self.tick()
        except StorageError as error:
            # What was not stored was not sent either, and its limits were not used up: it is decided again.
            if self.trouble != str(error):
                logger.error("nothing can be stored, so nothing can be alerted: {}", error)
            self.trouble = str(error)
            return True
        except Exception as error:  # noqa: BLE001 - the tick's guard: one bad tick must not end the watch
            logger.exception("a tick failed in a way nobody expected")
            self.trouble = f"{type(error).__name__}: {error}"
            return False
        if self.trouble:
            logger.info("ticks work again")
        self.trouble = ""
        return True

    async def change_limits(self, change: Callable[[Limits], Limits]) -> None:
        """Apply and store what a command wants of the limits."""
        async with self._deciding:
            limits = change(self.limits)
            await self._store.state.save_limits(limits)
            self.limits = limits

    async def _restore_windows(self) -> None:
        """Go on with the market as it was, where anything of it is still inside a window."""
        try:
            saved = await self._store.windows.load()
            state = None if saved is None else restore(saved)
        except ValueError as error:
            logger.warning("the windows begin empty: {}", error)
            return
        if state is None:
            return
        self._kept_coins = {one.key: one.coin for one in state.instruments}
        if state.settings != self._config.features:
            logger.info("the windows begin empty: they were kept for other settings")
            return
        age_ms = self._clock.now_ms() - int(state.tick_ms.max())
        if 0 <= age_ms <= 1000 * self._config.features.book_window_s:  # one from the future would hold up every tick
            logger.info("the windows go on from {:.0f} s ago", age_ms / 1000)
            self._state = state
        else:
            logger.info("the windows begin empty: those kept are {:.0f} s old", age_ms / 1000)

    def _names_in_use(self) -> set[str]:
        return self.open_names() | names_in_use(self.limits, self._clock.now_ms(), self._config.scoring.cooldown_s)

    def _follow_universe(self) -> None:
        if self._feed.universe is not self._universe or not self._state.instruments:
            self._universe = self._feed.universe
            self._state = self._state.with_instruments(self._universe.instruments)

    def _wanted(self) -> list[Wanted]:
        """Open signals, and whoever the bulk data does not already rule out."""
        features = compute_features(self._state, self._clock.now_ms())
        settings = self._config.scoring
        open_names = self.open_names()
        # the scores of two strategies cannot be compared; how far each could pass its own threshold can
        margins = [
            one.bound(features, settings, self.limits, open_names) - one.lowest_score(settings)
            for one in self.strategies
        ]
        bound = np.max(margins, axis=0)
        keys = list(self._state.column)

        def want(column: int, kind: Literal["open", "candidate"], bound: float = 0.0) -> Wanted:
            lender = int(features.lender[column])
            return Wanted(key=keys[column], kind=kind, bound=bound, lender=keys[lender] if lender >= 0 else None)

        columns = {key: self._state.column.get(key) for key in self.open_keys()}
        wanted = [
            Wanted(key=key, kind="open") if column is None else want(column, "open") for key, column in columns.items()
        ]
        candidates = np.flatnonzero(bound >= 0).tolist()
        return wanted + [want(column, "candidate", float(bound[column])) for column in candidates]

    async def _follow_open(self, features: FeatureFrame, seen: Seen) -> tuple[list[OpenSignal], list[FollowUp]]:
        """Judge every open signal by what was seen of it, before anything new is decided; an end is stored at once.

        Return those that stay open, and what their alerts are to say of it.
        """
        still_open: list[OpenSignal] = []
        said: list[FollowUp] = []
        for before, after in await self._following.judge(features, self._state.column, seen):
            if isinstance(after, Outcome):
                await self._close(before.signal, after)
            else:
                still_open.append(after)
                said += follow_ups.of_look(before, after, self._config.scoring)
        return still_open, said

    async def _follow_controls(self, features: FeatureFrame, seen: Seen) -> None:
        """Follow the controls, and bring the records up to date while no alert waits for one."""
        for closed in await self._controls.follow(features, self._state.column, seen):
            self._records.add(closed)
        self._records.prepare()

    async def _close(self, signal: Signal, outcome: Outcome) -> None:
        html = render_exit(signal, outcome, reach_s=self._config.scoring.reach_s)
        settings = self._config.scoring
        limits = after_outcome(self.limits, signal, outcome, settings)
        messages: list[NewMessage | FollowUp] = [*self._messages(Kind.EXIT, html, signal)]
        messages.append(follow_ups.of_exit(signal, outcome, settings))
        if limits.guard_until_ms > self.limits.guard_until_ms:
            stops, until_ms = len(limits.stop_times_ms), limits.guard_until_ms
            messages += self._notices(render_guard(stops, settings.stoploss_guard_s, until_ms, settings.timezone))
        await self._store.record_outcome(outcome, limits, messages)
        self.limits = limits
        self._following.remove(signal.id)
        self._records.add(closed_of(signal, outcome))
        self.exits += 1

    async def _remember(
        self,
        features: FeatureFrame,
        decision: Decision,
        still_open: Sequence[OpenSignal],
        said: Sequence[FollowUp],
    ) -> list[NearMiss]:
        """Commit the signals with their input, messages and limits, the new near misses, and how open signals fare.

        Return the near misses that are to be followed.
        """
        news = self._episodes.note(decision.near_misses, features.now_ms)
        crowd = self._crowd(decision)
        if not (decision.signals or news.begun or news.peaks or crowd):
            await self._store.save_open(still_open, said)
            return []
        messages: list[NewMessage | FollowUp] = [*said, *crowd]
        for signal in decision.signals:
            messages += self._messages(Kind.ENTRY, self._entry(signal, features.now_ms), signal)
        followed = self._near_misses.choose(news.begun)
        captures = self._captures(features, decision)
        await self._store.remember(
            decision.signals,
            decision.limits,
            messages,
            news.begun,
            peaks=news.peaks,
            followed=followed,
            captures=captures,
            controls=decision.controls,
            still_open=still_open,
        )
        self.limits = decision.limits
        self._following.begin(decision.signals, features, self._state.column)
        self._controls.add(decision.controls, decision.signals, features, self._state.column)
        self.signals += len(decision.signals)
        return followed

    def _captures(self, features: FeatureFrame, decision: Decision) -> list[Capture]:
        """What each signal was decided on; a later one had the limits that the earlier ones had left."""
        limits, settings, captures = self.limits, self._config.scoring, []
        for signal in decision.signals:
            captures.append(capture(signal, self._state, features, limits, settings, self._recent))
            limits = after_signal(limits, signal, settings)
        return captures

    def _entry(self, signal: Signal, replied_ms: int) -> str:
        return render_entry(
            signal,
            track_record=render_track_record(self._records.like(signal), signal.score),
            decided_after_ms=signal.decided_ms - replied_ms,
        )

    def _crowd(self, decision: Decision) -> list[NewMessage]:
        """What is said of the limits a decision has met."""
        settings, messages = self._config.scoring, []
        if refused := self._storm.add(decision.near_misses):
            html = render_storm(refused, settings.burst_limit, settings.burst_window_s)
            messages += self._notices(html, Kind.STORM, edit_key=self._storm.key)
        used = signals_today(decision.limits, self._clock.now_ms(), settings.timezone)
        if decision.signals and used >= settings.max_daily_trades:
            messages += self._notices(render_cap(settings.max_daily_trades, settings.timezone))
        return messages

    def _notices(self, html: str, kind: Kind = Kind.NOTICE, edit_key: str = "") -> list[NewMessage]:
        if self._config.telegram.modes[kind] is Mode.OFF:
            return []
        now_ms = self._clock.now_ms()
        chats = self.chats if kind is Kind.STORM else filter(None, [self.operator])
        return [NewMessage(chat_id=chat, kind=kind, html=html, created_ms=now_ms, edit_key=edit_key) for chat in chats]

    def _messages(self, kind: Kind, html: str, signal: Signal) -> list[NewMessage]:
        if self._config.telegram.modes[kind] is Mode.OFF:
            return []
        created_ms = signal.decided_ms if kind is Kind.ENTRY else self._clock.now_ms()
        return [
            NewMessage(
                chat_id=chat,
                kind=kind,
                html=html,
                created_ms=created_ms,
                signal_id=signal.id,
                entry_price=signal.levels.entry,
                buttons=entry_buttons(signal) if kind is Kind.ENTRY else (),
            )
            for chat in self.chats
        ]

    async def _record(self, features: FeatureFrame, decision: Decision, started_ms: int) -> None:
        """Keep what /status and the web app tell of, and queue what the venues' health has to say."""
        for notice in self._feed.notices():
            open_signals = self.open_signals.values()
            await self._store.outbox.enqueue(
                follow_ups.of_venue(notice, open_signals, features.now_ms, self._config.scoring)
            )
            lasted_s = (features.now_ms - notice.since_ms) / 1000
            key = f"blind {notice.venue} {notice.since_ms}"
            if not notice.is_back:
                why = self._feed.status()[notice.venue].last_error
                await self.notify(render_venue_blind(notice.venue, lasted_s, why), edit_key=key)
            elif not await self._store.outbox.withdraw(key):  # where nobody has been told of it, it is over
                await self.notify(render_venue_back(notice.venue, lasted_s))
        for venue, changes in self._feed.changes().items():
            await self.notify(render_changes(venue, changes))
        self.outbox = {state.value: count for state, count in (await self._store.outbox.counts()).items()}
        funnels = {name: judgement.funnel for name, judgement in decision.by_strategy.items()}
        for name, funnel in funnels.items():
            self.funnels[name].note(funnel)
        conditions = {name: report.condition for name, report in self._feed.status().items()}
        self.day.note(len(features.instruments), _best(features, decision), funnels, conditions)
        ended_ms = self._clock.now_ms()
        self.last_tick = Tick(features=features, decision=decision, ended_ms=ended_ms)
        self.ticks += 1
        self.durations_ms.append(ended_ms - started_ms)


def _best(features: FeatureFrame, decision: Decision) -> tuple[float, str]:
    """The best score of those that may signal, and whose it is."""
    eligible = features.instruments.is_eligible
    if not eligible.any():
        return 0.0, ""
    scores = next(iter(decision.by_strategy.values())).scores  # of the first strategy: two scores cannot be compared
    column = int(np.where(eligible, scores.total, -1).argmax())
    instrument = features.instruments[column]
    return float(scores.total[column]), f"{instrument.pair} {venue_title(instrument.venue)}"
