"""A storm: many coins pass at once, the burst limit lets the best through, and one list names the others."""

from collections.abc import Iterable, Sequence

from scoring.signals import NearMiss

REFUSED_BY = ("burst",)  #: every other gate passed


class Storm:
    """Collects the coins of a storm; it is over once no new one has joined for `window_s`."""

    def __init__(self, window_s: float) -> None:
        self._window_ms = 1000 * window_s
        self._refused: dict[str, NearMiss] = {}
        self._joined_ms = 0
        self.key = ""  #: what one storm's list is edited by

    def shift_clock(self, step_ms: int) -> None:
        """Move every time by as much as the clock was set."""
        self._joined_ms += step_ms

    def add(self, near_misses: Iterable[NearMiss]) -> Sequence[NearMiss]:
        """Return the storm's coins where new ones have joined, nothing where none has."""
        refused = {near_miss.coin: near_miss for near_miss in near_misses if near_miss.failed == REFUSED_BY}
        if not refused:
            return ()
        now_ms = next(iter(refused.values())).decided_ms
        if now_ms - self._joined_ms > self._window_ms:
            self._refused = {}
            self.key = f"storm {now_ms}"
        if refused.keys() <= self._refused.keys():
            return ()
        self._joined_ms = now_ms
        self._refused = refused | self._refused
        return tuple(self._refused.values())
