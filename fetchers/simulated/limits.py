"""The venues' own counting of the documented limits: strict, and apart from fetchers/transport/budget.py on purpose."""

from collections import deque

SECOND_MS = 1_000


class Quota:
    """At most `limit` within `window_ms`: the last so many milliseconds, or the clock's own period of that length."""

    def __init__(self, limit: float, window_ms: int, *, by_clock: bool = False) -> None:
        self.limit = limit
        self.window_ms = window_ms
        self.refused = 0
        self.peak_share = 0.0  #: the fullest the window ever was
        self.peak_second = 0.0  #: the most that came within a second
        self._by_clock = by_clock
        self._spent: deque[tuple[int, float]] = deque()

    def used(self, now_ms: int) -> float:
        """Return what counts against the limit now."""
        oldest = now_ms - now_ms % self.window_ms if self._by_clock else now_ms - self.window_ms + 1
        while self._spent and self._spent[0][0] < oldest:
            self._spent.popleft()
        return sum(cost for _, cost in self._spent)

    def spend(self, cost: float, now_ms: int) -> bool:
        """Take `cost` if it fits; otherwise count a refusal and return False."""
        used = self.used(now_ms)
        if used + cost > self.limit:
            self.refused += 1
            return False
        self._spent.append((now_ms, cost))
        self.peak_share = max(self.peak_share, (used + cost) / self.limit)
        self.peak_second = max(self.peak_second, sum(one for at_ms, one in self._spent if at_ms > now_ms - SECOND_MS))
        return True

    def wait_ms(self, now_ms: int) -> int:
        """Return the time until the window certainly has room again."""
        return self.window_ms - now_ms % self.window_ms if self._by_clock else self.window_ms
