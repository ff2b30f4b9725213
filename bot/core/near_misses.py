"""Near misses followed beside the signals, from whatever a tick sees of them anyway."""

from collections.abc import Iterable, Sequence

from bot.core.open_signals import OpenSignals
from bot.core.tick import View
from scoring.exits import start_near_miss
from scoring.signals import NearMiss, OpenSignal, Outcome
from storage.store import Store

MOST_FOLLOWED = 100


class NearMisses:
    """Follows some near misses, one of a coin at a time; asks the venues for nothing.

    Quotes come in bulk, books and prints only where the plan polls the instrument for other reasons: so a near miss is
    seen less closely than a signal. `open_signals` judges them and asks for no candles.
    """

    def __init__(self, store: Store, open_signals: OpenSignals) -> None:
        self._store = store
        self._open_signals = open_signals

    @property
    def followed(self) -> dict[int, OpenSignal]:
        """Those that are followed, by the near miss's id."""
        return self._open_signals.open

    def choose(self, new: Iterable[NearMiss]) -> list[NearMiss]:
        """Return those of the new ones, best first, that there is room to follow."""
        names = self._open_signals.names()
        can_be = {one.coin: one for one in reversed(list(new)) if one.levels is not None and one.coin not in names}
        return list(can_be.values())[::-1][: MOST_FOLLOWED - len(self.followed)]

    async def begin(self, chosen: Sequence[NearMiss]) -> None:
        """Follow what has been stored as followed, all of one decision."""
        if chosen:
            ids = await self._store.near_misses.ids(chosen[0].decided_ms)
            self.resume([start_near_miss(one, ids[one.coin, one.strategy]) for one in chosen])

    def resume(self, followed: Iterable[OpenSignal | None]) -> None:
        """Go on with what is being followed."""
        self._open_signals.add(one for one in followed if one is not None)

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        self._open_signals.shift_clock(step_ms)

    async def follow(self, view: View) -> None:
        """Judge each by what this tick saw, and store what has ended."""
        judged = await self._open_signals.judge(view)
        outcomes = [after for _, after in judged if isinstance(after, Outcome)]
        if outcomes:
            await self._store.record_near_misses(outcomes)
            for outcome in outcomes:
                self._open_signals.remove(outcome.signal_id)
