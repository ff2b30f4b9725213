"""A venue's rate budget: pure arithmetic under the caller's clock.

A call draws on one or more pools, each with the venue's published limit per window, of which `headroom` stays unused.
Nothing is reserved for later: `take` either spends now or says how long to wait before asking again, so that a hold, a
correction by the venue or a cancelled caller needs no bookkeeping. Who waits first is asked first: that queue is the
client's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fetchers.transport.pools import HEADROOM, ROUNDING, ClockMinute, Pool

_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(slots=True)
class Spent:
    """What one endpoint's calls have cost since the start."""

    requests: int = 0
    weight: float = 0.0  #: in the units of the venue's limits: weight where it has such, else requests


class RateBudget:
    """All pools of one venue.

    Raises
    ------
    ValueError
        Where a call costs more than a whole window allows: it could never be sent.
    """

    def __init__(self, pools: Mapping[str, Pool], *, headroom: float = HEADROOM) -> None:
        self._pools = dict(pools)
        for pool in self._pools.values():
            pool.headroom = headroom
        self.spent: dict[str, Spent] = {}  #: by endpoint

    @property
    def requests(self) -> int:
        """How many were sent since the start."""
        return sum(spent.requests for spent in self.spent.values())

    def wait_s(self, cost: Mapping[str, float], now_ms: int, *, kept_free: Mapping[str, float] = _NOTHING) -> float:
        """Return how long until `cost` may be spent with `kept_free` left over for others; 0 is now."""
        wait_ms = 0
        for name, amount in cost.items():
            pool, free = self._pools[name], kept_free.get(name, 0.0)
            if (whole := amount + free) > pool.usable + ROUNDING:
                raise ValueError(f"a call for {whole} of {name} can never fit into {pool.usable:.1f} a window")
            wait_ms = max(wait_ms, pool.wait_ms(amount, now_ms, free), pool.held_until_ms - now_ms)
        return wait_ms / 1000

    def take(
        self, cost: Mapping[str, float], now_ms: int, *, kept_free: Mapping[str, float] = _NOTHING, endpoint: str = ""
    ) -> float:
        """Spend `cost` and return 0, or spend nothing and return the seconds after which to ask again."""
        wait_s = self.wait_s(cost, now_ms, kept_free=kept_free)
        if wait_s == 0:
            spent = self.spent.setdefault(endpoint, Spent())
            spent.requests += 1
            spent.weight += sum(cost.values())
            for name, amount in cost.items():
                self._pools[name].spend(amount, now_ms)
        return wait_s

    def done(self, cost: Mapping[str, float], now_ms: int) -> None:
        """Say that a call taken before is answered or given up."""
        for name, amount in cost.items():
            self._pools[name].done(amount, now_ms)

    def hold(self, pool: str | None, until_ms: int) -> None:
        """Send nothing from `pool` (None: the whole venue) before `until_ms`."""
        for held in self._pools.values() if pool is None else (self._pools[pool],):
            held.hold(until_ms)

    def held_until_ms(self, cost: Mapping[str, float]) -> int:
        """Return when the last hold on these pools ends; 0 where there was none."""
        return max((self._pools[name].held_until_ms for name in cost), default=0)

    def correct(self, pool: str, used: float, *, sent_ms: int, now_ms: int) -> None:
        """Take over what the venue says was used of a clock-minute pool, in its reply to a call sent at `sent_ms`."""
        minute = self._pools[pool]
        if isinstance(minute, ClockMinute):
            minute.correct(used, sent_ms, now_ms)

    def set_clock_offset(self, offset_ms: float) -> None:
        """Let clock minutes turn when the venue's clock does, `offset_ms` ahead of ours."""
        for pool in self._pools.values():
            if isinstance(pool, ClockMinute):
                pool.clock_offset_ms = offset_ms

    def available(self, now_ms: int, horizon_ms: int) -> dict[str, float]:
        """Return by pool what a plan for the next `horizon_ms` may spend: a share, so that no minute goes at once."""
        return {
            name: 0.0 if pool.held_until_ms > now_ms else pool.available(now_ms, horizon_ms)
            for name, pool in self._pools.items()
        }

    def used_share(self) -> dict[str, float]:
        """Return by pool the largest share of the published limit used in any window since the start, [0...1]."""
        return {name: pool.peak_share for name, pool in self._pools.items()}
