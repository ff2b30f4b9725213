"""The one place that changes what the bot is bound by and follows: each change is one transaction, then true here."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bot.clock import Clock
from bot.core.announcer import Announcer
from bot.core.control_group import ControlGroup
from bot.core.events import Events, SignalEnded, SignalGiven
from bot.core.leg_watch import LegWatch
from bot.core.market import Market
from bot.core.near_misses import NearMisses
from bot.core.open_signals import OpenSignals
from bot.core.storm import Storm
from bot.core.tick import View
from features.facts.market import FUTURE_MS
from fetchers.base import MarketFeed
from fetchers.poll_plan import Key
from scoring.capture import Capture
from scoring.decide import Decision
from scoring.episodes import GAP_MS, Episodes
from scoring.limits import (
    after_outcome,
    after_signal,
    names_in_use,
    newest_ms,
    pause,
    resume,
    shift_clock,
    signals_today,
)
from scoring.records import Records, closed_of
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, Limits, NearMiss, OpenSignal, Outcome, Signal
from scoring.strategies.base import Strategy
from storage.messages import FollowUp, NewMessage
from storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The open signals after a look: those that have ended are stored already."""

    still_open: Sequence[OpenSignal]
    lines: Sequence[FollowUp]  #: what the look is to add below their alerts


class Ledger:
    """Owns the limits, the open signals, what is followed silently, and the record.

    Whoever decides on the limits and commits the decision holds `changing` meanwhile.
    """

    def __init__(
        self,
        *,
        settings: ScoringSettings,
        max_data_age_s: float,
        strategies: Sequence[Strategy],
        clock: Clock,
        feed: MarketFeed,
        store: Store,
        market: Market,
        announcer: Announcer,
        events: Events,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._market = market
        self._announcer = announcer
        self._events = events
        self._episodes = Episodes()
        self._storm = Storm(settings.burst_window_s)
        self._legs = LegWatch()
        self._following, controls, judged_by_quotes = (
            OpenSignals(feed, settings, max_data_age_s=max_data_age_s, started_ms=clock.now_ms(), asks=asks)
            for asks in (True, True, False)
        )
        self._controls = ControlGroup(store, controls, settings, strategies)
        self._near_misses = NearMisses(store, judged_by_quotes)
        self._commands: list[dict[str, Any]] = []
        self._step_ms = 0  # by which the clock was set, and the store does not know it yet
        self.changing = asyncio.Lock()
        self.limits = Limits.fresh()
        self.records = Records()  #: how ended signals have done, for alerts to come

    async def restore(self) -> None:
        """Go on from what the last run left behind."""
        saved = await self._store.load()
        self.limits = saved.limits
        self._following.add(saved.open_signals)
        self._controls.resume(saved.controls)
        self._near_misses.resume(saved.followed)
        async for closed in self._store.signals.closed_figures():
            self.records.add(closed)
        async for closed in self._store.controls.closed_figures():
            self.records.add(closed)
        self.records.prepare()
        self._episodes.resume(await self._store.near_misses.with_peaks(self._clock.now_ms() - GAP_MS))

    @property
    def open_signals(self) -> dict[int, OpenSignal]:
        """The signals without an end, by id."""
        return self._following.open

    @property
    def near_misses(self) -> tuple[OpenSignal, ...]:
        """The near misses that are followed."""
        return tuple(self._near_misses.followed.values())

    def open_names(self) -> set[str]:
        """Return the coins and the instruments that have an open signal."""
        return self._following.names()

    def open_keys(self) -> set[Key]:
        """Return (venue, id) of the instruments that have an open signal, or a control that is followed alike."""
        return self._following.keys() | self._controls.keys(self._clock.now_ms())

    def names_in_use(self) -> set[str]:
        """Return the coins and the instruments that are open, muted or cooling: none of them may be renamed."""
        return self.open_names() | names_in_use(self.limits, self._clock.now_ms(), self._settings.cooldown_s)

    async def follow(self, view: View) -> Followed:
        """Judge every open signal by what was seen of it, before anything new is decided; an end is stored at once."""
        still_open: list[OpenSignal] = []
        lines: list[FollowUp] = []
        for before, after in await self._following.judge(view):
            if isinstance(after, Outcome):
                await self._close(before.signal, after)
            else:
                still_open.append(after)
                lines += self._announcer.look(before, after)
        return Followed(still_open=still_open, lines=lines)

    async def remember(self, view: View, decision: Decision, followed: Followed) -> list[NearMiss]:
        """Commit the signals with their input, messages and limits, the new near misses, and how open signals fare.

        Return the near misses that are to be followed.
        """
        now_ms = view.features.now_ms
        news = self._episodes.note(decision.near_misses, now_ms)
        notices = self._limits_met(decision)
        if legs := self._legs.add(view.features, self._settings):
            notices += self._announcer.legs(legs, self._legs.key)
        if not (decision.signals or news.begun or news.peaks or notices):
            await self._store.save_open(followed.still_open, followed.lines)
            return []
        messages: list[NewMessage | FollowUp] = [*followed.lines, *notices]
        for signal in decision.signals:
            messages += self._announcer.entry(signal, self.records.like(signal), signal.decided_ms - now_ms)
        chosen = self._near_misses.choose(news.begun)
        await self._store.remember(
            decision.signals,
            decision.limits,
            messages,
            news.begun,
            peaks=news.peaks,
            followed=chosen,
            captures=self._captures(view, decision.signals),
            controls=decision.controls,
            still_open=followed.still_open,
        )
        self.limits = decision.limits
        self._following.begin(decision.signals, view)
        self._controls.add(decision.controls, decision.signals, view)
        for signal in decision.signals:
            self._events.add(SignalGiven(signal))
        return chosen

    async def follow_silently(self, view: View, chosen: Sequence[NearMiss]) -> None:
        """Follow the controls and the near misses, these from now on too; no message mentions them."""
        for closed in await self._controls.follow(view):
            self.records.add(closed)
        self.records.prepare()  # while no alert waits for it
        await self._near_misses.begin(chosen)
        await self._near_misses.follow(view)

    async def change_limits(self, change: Callable[[Limits], Limits]) -> None:
        """Store and apply what a command wants of the limits."""
        async with self.changing:
            limits = change(self.limits)
            await self._store.state.save_limits(limits)
            self._commands.append(changes_of(self.limits, limits))
            self.limits = limits

    def take_commands(self) -> list[dict[str, Any]]:
        """Return what commands have changed of the limits since the last call, each by its fields."""
        taken, self._commands = self._commands, []
        return taken

    async def pause(self, until_ms: int | None) -> None:
        """Give no new signals until then, or until `resume` where None."""
        await self.change_limits(lambda limits: pause(limits, FOREVER_MS if until_ms is None else until_ms))

    async def resume(self) -> None:
        """Give signals again."""
        await self.change_limits(resume)

    async def shift_clock(self, step_ms: int) -> int:
        """Move every time that is kept by as much as the clock was set, here and in the store.

        The caller holds `changing` and the store's `times`. Return the step that the store has now taken; where it
        takes none the step is kept for the next call.
        """
        if step_ms:
            self.limits = shift_clock(self.limits, step_ms)
            for keeper in (self._following, self._controls, self._near_misses, self._episodes, self._storm):
                keeper.shift_clock(step_ms)
        self._step_ms += step_ms
        if self._step_ms:
            open_signals, controls = tuple(self.open_signals.values()), tuple(self._controls.followed.values())
            await self._store.shift_clock(self._step_ms, self.limits, open_signals, self.near_misses, controls)
        stored_ms, self._step_ms = self._step_ms, 0
        return stored_ms

    async def ahead_ms(self) -> int:
        """Return by how much the clock was set back while the bot was off, from stored times; 0 for not at all."""
        groups = (self.open_signals, self._controls.followed, self._near_misses.followed)
        followed = [one for group in groups for one in group.values()]
        times_ms = [time_ms for one in followed for time_ms in (one.decided_ms, one.looked_ms)]
        newest = max([newest_ms(self.limits), await self._store.outbox.latest_unsent_ms(), *times_ms])
        ahead_ms = newest - self._clock.now_ms()
        return ahead_ms if ahead_ms > FUTURE_MS else 0

    async def _close(self, signal: Signal, outcome: Outcome) -> None:
        limits = after_outcome(self.limits, signal, outcome, self._settings)
        messages = self._announcer.exit(signal, outcome)
        if limits.guard_until_ms > self.limits.guard_until_ms:
            messages += self._announcer.guard(limits)
        await self._store.record_outcome(outcome, limits, messages)
        self.limits = limits
        self._following.remove(signal.id)
        self.records.add(closed_of(signal, outcome))
        self._events.add(SignalEnded(signal, outcome))

    def _captures(self, view: View, signals: Sequence[Signal]) -> list[Capture]:
        """Return what each signal was decided on; a later one had the limits that the earlier ones had left."""
        limits, captures = self.limits, []
        for signal in signals:
            captures.append(self._market.capture(signal, view, limits, self._settings))
            limits = after_signal(limits, signal, self._settings)
        return captures

    def _limits_met(self, decision: Decision) -> list[NewMessage]:
        """Return the notices of the burst limit and of the daily cap."""
        notices: list[NewMessage] = []
        if refused := self._storm.add(decision.near_misses):
            notices += self._announcer.storm(refused, self._storm.key)
        used = signals_today(decision.limits, self._clock.now_ms(), self._settings.timezone)
        if decision.signals and used >= self._settings.max_daily_trades:
            notices += self._announcer.cap()
        return notices


def changes_of(before: Limits, after: Limits) -> dict[str, Any]:
    """Return the fields in which two limits differ, as the second has them."""
    names = (one.name for one in fields(Limits))
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
