"""The control group: what chance drew with each alert, followed by the same code and polls, and never announced."""

from collections.abc import Iterable
from dataclasses import replace

from bot.core.open_signals import OpenSignals
from bot.core.tick import View
from fetchers.poll_plan import Key
from scoring.controls import as_signal, begin_control
from scoring.records import Closed, closed_of
from scoring.settings import ScoringSettings
from scoring.signals import Control, OpenSignal, Outcome, Signal
from scoring.strategies.base import Strategy
from storage.store import Store


class ControlGroup:
    """Follows the controls; no limit, gate or message ever sees them."""

    def __init__(
        self, store: Store, open_signals: OpenSignals, settings: ScoringSettings, strategies: Iterable[Strategy]
    ) -> None:
        self._store = store
        self._open_signals = open_signals
        self._settings = settings
        self._strategies = {strategy.name: strategy for strategy in strategies}
        self._waiting: dict[int, Control] = {}
        self._alerts: dict[int, Signal] = {}  # by the control's id, the signal it was drawn with

    @property
    def followed(self) -> dict[int, OpenSignal]:
        """Those that have begun, by the control's id."""
        return self._open_signals.open

    def keys(self, now_ms: int) -> set[Key]:
        """Return (venue, id) of the instruments of those that have begun or are about to."""
        due = {one.key for one in self._waiting.values() if one.decided_ms <= now_ms}
        return self._open_signals.keys() | due

    def resume(self, saved: Iterable[tuple[Control, Signal, OpenSignal | None]]) -> None:
        """Go on with those of an earlier run."""
        for control, alert, followed in saved:
            self._alerts[control.id] = alert
            if followed is None:
                self._waiting[control.id] = control
            else:
                self._open_signals.add([followed])

    def add(self, controls: Iterable[Control], signals: Iterable[Signal], view: View) -> None:
        """Follow what was drawn with `signals`, once it is stored."""
        alerts = {signal.id: signal for signal in signals}
        for control in controls:
            self._alerts[control.id] = alerts[control.signal_id]
            if control.levels is None:
                self._waiting[control.id] = control
            else:
                self._begin(control, view)

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        self._open_signals.shift_clock(step_ms)
        self._waiting = {
            control_id: replace(one, decided_ms=one.decided_ms + step_ms) for control_id, one in self._waiting.items()
        }

    async def follow(self, view: View) -> list[Closed]:
        """Judge each by what this tick saw, begin those whose time has come, and return what has ended, stored."""
        judged = [after for _, after in await self._open_signals.judge(view)]
        ended = [one for one in judged if isinstance(one, Outcome)]
        begun: list[Control] = []
        for control in self._waiting.values():
            if control.decided_ms <= view.features.now_ms:
                alert = self._alerts[control.id]
                place = view.column.get(control.key)
                strategy = self._strategies.get(alert.strategy)
                found = begin_control(control, alert, view.features, place, self._settings, strategy)
                begun += [found] if isinstance(found, Control) else []
                ended += [found] if isinstance(found, Outcome) else []
        await self._store.record_controls(begun, [one for one in judged if isinstance(one, OpenSignal)], ended)
        for control in begun:
            del self._waiting[control.id]
            self._begin(control, view)
        return [self._end(outcome) for outcome in ended]

    def _begin(self, control: Control, view: View) -> None:
        self._open_signals.begin([as_signal(control, self._alerts[control.id])], view)

    def _end(self, outcome: Outcome) -> Closed:
        if self._waiting.pop(outcome.signal_id, None) is None:
            self._open_signals.remove(outcome.signal_id)
        return closed_of(self._alerts.pop(outcome.signal_id), outcome, is_control=True)
