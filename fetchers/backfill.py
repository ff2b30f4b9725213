"""Which instruments still lack their history, and which of them is next; pure, under the caller's clock.

Candles and open interest are asked for once; open interest again every five minutes where no bulk reply has it, for
then its history is all that most instruments get. Who could signal soonest comes first, at a pace that leaves budget to
the polls, which in turn reserve that pace for it.
"""

from collections.abc import Collection, Mapping

PAUSE_S = 0.05  #: between two instruments: a thousand within a minute
EVERY_MS, RETRY_MS = 300_000, 60_000
NEVER_MS = 2**62
WARM_SHARE = 2 / 3  #: of a window that only fills as time goes: it is full enough then


class Backfill:
    """The instruments of one venue that are due for their history; `is_whole` says that it fills every window."""

    def __init__(self, cost: Mapping[str, float], *, is_whole: bool, window_s: float) -> None:
        self._cost = cost
        self._is_whole = is_whole
        self._window_ms = round(1000 * window_s)
        self._first_watched_ms: int | None = None
        self._due_ms: dict[str, int] = {}
        self._cold: set[str] = set()  # of those, the ones that lack it
        self._began_ms, self._warmed = 0, 0  # since when some are cold, and how many no longer are
        self._rank: Mapping[str, int] = {}
        self.first_whole_ms: int | None = None  #: when for the first time none lacked it

    @property
    def warming(self) -> int:
        """How many instruments lack theirs."""
        return len(self._cold)

    def watch(self, ids: Collection[str], now_ms: int) -> None:
        """Take over the venue's part of the universe: who is new lacks all, who left is forgotten."""
        if self._first_watched_ms is None:
            self._first_watched_ms = now_ms
        if self._cost:
            self._mark_cold(set(ids) - self._due_ms.keys(), now_ms)
            self._due_ms = {key: self._due_ms.get(key, 0) for key in ids}
            self._cold.intersection_update(ids)

    def renew(self, now_ms: int) -> None:
        """Ask for everything again: nothing was seen for a while."""
        self._mark_cold(self._due_ms.keys(), now_ms)
        self._due_ms = dict.fromkeys(self._due_ms, 0)

    def prefer(self, ids: Collection[str]) -> None:
        """Serve these first, in this order."""
        self._rank = {key: rank for rank, key in enumerate(ids)}

    def lacks(self, instrument_id: str) -> bool:
        """Return whether this one's is still to come, not only to be renewed."""
        return instrument_id in self._cold

    def next(self, now_ms: int) -> str | None:
        """Return who is due now, the preferred and then those that lack it first; it is due again in a minute."""
        due = [key for key, due_ms in self._due_ms.items() if due_ms <= now_ms]
        if not due:
            return None
        first = min(due, key=lambda key: (key not in self._cold, self._rank.get(key, len(self._rank))))
        self._due_ms[first] = now_ms + RETRY_MS
        return first

    def came(self, instrument_id: str, now_ms: int, *, is_renewed: bool) -> None:
        """Note that one's history came; `is_renewed` says that its open interest is needed again."""
        if instrument_id in self._due_ms:
            self._due_ms[instrument_id] = now_ms + EVERY_MS if is_renewed else NEVER_MS
        if instrument_id in self._cold:
            self._cold.discard(instrument_id)
            self._warmed += 1
            if not self._cold and self.first_whole_ms is None:
                self.first_whole_ms = now_ms

    def reserved(self, horizon_ms: int) -> dict[str, float]:
        """Return by pool what the polls of the next `horizon_ms` should leave over."""
        calls = min(len(self._cold), horizon_ms / (1000 * PAUSE_S))
        return {pool: calls * cost for pool, cost in self._cost.items()}

    def full_by_ms(self, now_ms: int) -> int | None:
        """Return when all windows will be full, None where they are; a guess while there is history to come."""
        each_ms = (now_ms - self._began_ms) / self._warmed if self._warmed else 1000 * PAUSE_S
        by_ms = now_ms + round(len(self._cold) * each_ms)
        if not self._is_whole and self._first_watched_ms is not None:
            by_ms = max(by_ms, self._first_watched_ms + round(WARM_SHARE * self._window_ms))
        return by_ms if by_ms > now_ms else None

    def _mark_cold(self, ids: Collection[str], now_ms: int) -> None:
        if not self._cold:
            self._began_ms, self._warmed = now_ms, 0
        self._cold.update(ids)
