"""Signals that are followed: each tick's look judged, with candles where a time was not watched."""

from collections.abc import Iterable
from dataclasses import replace

from bot.core.gap_candles import GapCandles, with_candles
from bot.core.sight import Sight, Unjudged, funding_rate
from bot.core.tick import View
from features.facts.market import Candles
from fetchers.base import CandleSource
from fetchers.poll_plan import Key
from scoring.exits import MINUTE_MS, Look, follow, shift_clock, start
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Outcome, Signal


class OpenSignals:
    """Follows signals to their end, by the same rules and the same polls whatever they are for.

    `asks` says that candles may be asked for where a time was not watched; without that, the next quote has to do.
    """

    def __init__(
        self, source: CandleSource, settings: ScoringSettings, *, max_data_age_s: float, started_ms: int, asks: bool
    ) -> None:
        self._settings = settings
        self._sight = Sight(source, settings, max_data_age_s=max_data_age_s, started_ms=started_ms, asks=asks)
        self._candles = GapCandles(source, settings)
        self._unjudged: dict[int, Unjudged] = {}
        self.open: dict[int, OpenSignal] = {}  #: by the signal's id

    def add(self, signals: Iterable[OpenSignal]) -> None:
        """Follow these too."""
        self.open |= {one.signal.id: one for one in signals}

    def begin(self, signals: Iterable[Signal], view: View) -> None:
        """Follow what was just decided on what `view` shows."""
        rates = ((one, funding_rate(view.features, view.column[one.key])) for one in signals)
        self.add(start(one, rate) for one, rate in rates)

    def remove(self, signal_id: int) -> None:
        """Follow this one no more."""
        del self.open[signal_id]
        self._unjudged.pop(signal_id, None)

    def keys(self) -> set[Key]:
        """Return (venue, id) of the instruments that are followed."""
        return {one.signal.key for one in self.open.values()}

    def names(self) -> set[str]:
        """Return the coins and the instruments that are followed."""
        return {name for one in self.open.values() for name in (one.signal.coin, one.signal.key_name)}

    def shift_clock(self, step_ms: int) -> None:
        """Move every time along with a clock that was set by `step_ms`."""
        self._sight.shift_clock(step_ms)
        self.open = {signal_id: shift_clock(one, step_ms) for signal_id, one in self.open.items()}
        for unjudged in self._unjudged.values():
            unjudged.shift_clock(step_ms)

    async def judge(self, view: View) -> list[tuple[OpenSignal, OpenSignal | Outcome]]:
        """Judge each by what this tick saw and what earlier ticks left; return how each was and what it is now.

        One that has ended stays until it is removed, so that nothing is lost where its end cannot be stored.
        """
        judged: list[tuple[OpenSignal, OpenSignal | Outcome]] = []
        for signal_id, before in list(self.open.items()):
            unjudged = self._unjudged.setdefault(signal_id, Unjudged(tape_ms=before.tape_ms))
            followed = await self._judge(self._sight.note(before, unjudged, view), unjudged)
            if isinstance(followed, OpenSignal):
                self.open[signal_id] = followed
            judged.append((before, followed))
        return judged

    async def _judge(self, open_signal: OpenSignal, unjudged: Unjudged) -> OpenSignal | Outcome:
        candles: Candles | None = None
        is_whole = False
        while unjudged.waiting:
            waiting, look = unjudged.waiting[0], unjudged.waiting[0].look
            if look.gap and waiting.can_ask:
                if candles is None:
                    candles, is_whole = await self._candles.fetch(open_signal, unjudged)
                if candles is not None:
                    look = with_candles(look, candles, [later.look for later in unjudged.waiting[1:]])
                if candles is not None and is_whole:
                    unjudged.tape_ms = max(unjudged.tape_ms, look.now_ms)
                elif candles is not None and (ended := self._end_within(open_signal, look, candles)) is not None:
                    return ended
                elif look.is_provisional:
                    look = replace(waiting.look, gap="")  # the quotes have to do
                elif self._candles.is_given_up(open_signal, unjudged):
                    look = replace(waiting.look, is_unsettled=True)
                else:
                    return open_signal
            followed = follow(open_signal, look, self._settings)
            if isinstance(followed, Outcome):
                return followed
            open_signal = followed
            del unjudged.waiting[0]
        return open_signal

    def _end_within(self, open_signal: OpenSignal, look: Look, candles: Candles) -> Outcome | None:
        """Return the end that candles without the newest minute show already; None where that may still decide."""
        ended = follow(open_signal, look, self._settings)
        if not isinstance(ended, Outcome) or ended.ideal is None:
            return None
        return ended if ended.exit_ms <= int(candles.open_ms[-1]) + MINUTE_MS else None
