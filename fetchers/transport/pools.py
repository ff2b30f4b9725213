"""The kinds of limit that venues publish, each counted as the venue counts it; pure.

The venue counts a call when it arrives, which is some time between our sending and its reply. So a call is counted
from its sending until one window after its reply: against the usable share by its sending (the pace we want), against
the published limit by its reply (the promise we keep, whatever the network does).
"""

from abc import ABC, abstractmethod
from collections import deque

HEADROOM = 0.30
SECOND_MS = 1_000
ROUNDING = 1e-9


class _Log:
    """The spending of the last `window_ms`, oldest first."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._spent: deque[tuple[int, float]] = deque()
        self.total = 0.0

    def add(self, cost: float, at_ms: int) -> None:
        self._spent.append((at_ms, cost))
        self.total += cost

    def forget(self, now_ms: int) -> None:
        if self._spent and self._spent[-1][0] > now_ms:  # the clock was set back
            self._spent = deque((min(at_ms, now_ms), cost) for at_ms, cost in self._spent)
        while self._spent and self._spent[0][0] + self._window_ms < now_ms:
            self.total -= self._spent.popleft()[1]

    def wait_ms(self, excess: float, now_ms: int) -> int:
        """Return how long until at least `excess` has left the window; a whole window if the log holds less."""
        if excess <= ROUNDING:
            return 0
        for at_ms, cost in self._spent:
            excess -= cost
            if excess <= ROUNDING:
                return at_ms + self._window_ms + 1 - now_ms
        return self._window_ms + 1


class Pool(ABC):
    """One limit of one venue."""

    def __init__(self, limit: float, window_ms: int) -> None:
        self.limit = limit  #: as published, per window
        self.window_ms = window_ms
        self.headroom = HEADROOM
        self.held_until_ms = 0
        self.peak_share = 0.0  #: of the published limit, the most in any window so far
        self._in_flight = 0.0

    @property
    def usable(self) -> float:
        """The share of the limit used in one window; one call always fits."""
        return max(1.0, self.limit * (1.0 - self.headroom))

    @property
    @abstractmethod
    def used(self) -> float:
        """The use of the window when last looked at."""

    @abstractmethod
    def wait_ms(self, cost: float, now_ms: int, kept_free: float = 0.0) -> int:
        """Return how long until `cost` fits with `kept_free` beside it, holds apart; 0 is now."""

    @abstractmethod
    def available(self, now_ms: int, horizon_ms: int) -> float:
        """Return this pool's fair share of the next `horizon_ms`, holds apart."""

    def spend(self, cost: float, now_ms: int) -> None:
        """Count a call that is sent now."""
        self._in_flight += cost
        self._count(cost, now_ms)
        self.peak_share = max(self.peak_share, self.used / self.limit)

    def done(self, cost: float, now_ms: int) -> None:  # noqa: ARG002 - sliding windows count from it
        """Count a call as answered, or given up."""
        self._in_flight -= cost

    def hold(self, until_ms: int) -> None:
        """Send nothing before `until_ms`."""
        self.held_until_ms = max(self.held_until_ms, until_ms)

    @abstractmethod
    def _count(self, cost: float, now_ms: int) -> None: ...


class Sliding(Pool):
    """A limit in any window of `window_ms`: Bybit's 600 in 5 s, MEXC's endpoints, Binance's request counts.

    Where `is_even`, no second takes more than its share of the window and one more: some venues' edges block an address
    for bursts that the published limit allows.
    """

    def __init__(self, limit: float, window_ms: int, *, is_even: bool = False) -> None:
        super().__init__(limit, window_ms)
        self._last_second = _Log(SECOND_MS) if is_even else None
        self._sent = _Log(window_ms)
        self._answered = _Log(window_ms)

    @property
    def used(self) -> float:
        """The use of the last window."""
        return self._sent.total

    def wait_ms(self, cost: float, now_ms: int, kept_free: float = 0.0) -> int:
        """Return how long until `cost` fits into both counts; calls in flight are taken to be answered now."""
        self._forget(now_ms)
        whole = cost + kept_free
        by_pace = self._sent.wait_ms(self.used + whole - self.usable, now_ms)
        by_limit = self._answered.wait_ms(self._answered.total + self._in_flight + whole - self.limit, now_ms)
        return max(by_pace, by_limit, self._wait_for_second_ms(cost, now_ms))

    def _wait_for_second_ms(self, cost: float, now_ms: int) -> int:
        if self._last_second is None:
            return 0
        most = max(cost, self.usable * SECOND_MS / self.window_ms + 1)
        return self._last_second.wait_ms(self._last_second.total + cost - most, now_ms)

    def available(self, now_ms: int, horizon_ms: int) -> float:
        """Return the mean rate over the horizon, or less where a long window is used up further than that."""
        self._forget(now_ms)
        share = self.usable * horizon_ms / self.window_ms
        if horizon_ms >= self.window_ms:
            return share
        return min(share, max(0.0, self.usable - self.used))

    def done(self, cost: float, now_ms: int) -> None:
        """Count a call as answered: from here on the venue has seen it for certain."""
        super().done(cost, now_ms)
        self._answered.add(cost, now_ms)

    def _count(self, cost: float, now_ms: int) -> None:
        self._sent.add(cost, now_ms)
        if self._last_second is not None:
            self._last_second.add(cost, now_ms)

    def _forget(self, now_ms: int) -> None:
        if self._last_second is not None:
            self._last_second.forget(now_ms)
        self._sent.forget(now_ms)
        self._answered.forget(now_ms)


class Widening(Sliding):
    """An unpublished limit (LBank): start low, widen by a quarter per clean minute, halve when refused."""

    CLEAN_MS = 60_000

    def __init__(self, limit: float, most: float, window_ms: int) -> None:
        super().__init__(limit, window_ms, is_even=True)
        self._least, self._most = limit, most
        self._clean_since_ms: int | None = None

    def hold(self, until_ms: int) -> None:
        """Send nothing before `until_ms`, and be more careful after it."""
        super().hold(until_ms)
        self.limit = max(self._least, self.limit / 2)
        self._clean_since_ms = until_ms

    def _count(self, cost: float, now_ms: int) -> None:
        super()._count(cost, now_ms)
        if self._clean_since_ms is None:
            self._clean_since_ms = now_ms
        elif now_ms - self._clean_since_ms >= self.CLEAN_MS:
            self.limit = min(self._most, self.limit * 1.25)
            self._clean_since_ms = now_ms


class ClockMinute(Pool):
    """A limit per minute of the venue's clock: Binance's request weight."""

    UNSURE_MS = 2_000  #: how far a measured clock may be off, and more

    def __init__(self, limit: float) -> None:
        super().__init__(limit, 60_000)
        self.clock_offset_ms = 0.0  #: the venue's clock less ours: its minutes begin that much earlier
        self._minute = 0
        self._used = 0.0

    @property
    def used(self) -> float:
        """The use of this minute, with calls that were on their way when it began."""
        return self._used

    def wait_ms(self, cost: float, now_ms: int, kept_free: float = 0.0) -> int:
        """Return 0, or how long until the next minute."""
        self._turn(now_ms)
        return 0 if self._used + cost + kept_free <= self.usable + ROUNDING else self._left_ms(now_ms)

    def available(self, now_ms: int, horizon_ms: int) -> float:
        """Return the minute's rest spread over its remaining time, and the next minute's part of the horizon."""
        self._turn(now_ms)
        left_ms = self._left_ms(now_ms)
        this = max(0.0, self.usable - self._used) * min(1.0, horizon_ms / left_ms)
        return this + self.usable * max(0, horizon_ms - left_ms) / self.window_ms

    def done(self, cost: float, now_ms: int) -> None:
        """Count a call as answered, in the minute in which it was."""
        self._turn(now_ms)
        super().done(cost, now_ms)

    def correct(self, used: float, sent_ms: int, now_ms: int) -> None:
        """Raise the count to what the venue says, unless its reply may be about the minute before."""
        self._turn(now_ms)
        if self._minute_of(sent_ms - self.UNSURE_MS) == self._minute:
            self._used = max(self._used, used)

    def _count(self, cost: float, now_ms: int) -> None:
        self._turn(now_ms)
        self._used += cost

    def _turn(self, now_ms: int) -> None:
        minute = self._minute_of(now_ms)
        if minute > self._minute:
            self._used = self._in_flight  # what is on its way at the turn may be counted on either side of it
        self._minute = minute  # earlier only where the clock was set back, and then what was used stays used

    def _minute_of(self, at_ms: int) -> int:
        return int(at_ms + self.clock_offset_ms) // self.window_ms

    def _left_ms(self, now_ms: int) -> int:
        return (self._minute + 1) * self.window_ms - int(now_ms + self.clock_offset_ms)
