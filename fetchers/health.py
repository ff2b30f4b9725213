"""One venue's health, derived from the results of its calls; pure, under the caller's clock.

A kind of call ("quotes", "book"...) fails from its first failure on, and has recovered with the first success CALM_MS
after its last one: one failing call in ten is one failure, not many. The venue is

    held       it asked us to stay away until a time
    blind      its bulk replies have failed for BLIND_MS, so that nothing of it is fresh
    degraded   some kind of call fails
    ok         none does

An instrument that fails alone, while others of its venue are well, is left out for a growing while.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from features.backoff import backoff

CALM_MS = 8_000
BLIND_MS = 15_000
NOTICE_MS = 120_000
QUARANTINE_MS = 30_000  #: the first time; doubled each time after
LONGEST_QUARANTINE_MS = 3_600_000
QUOTES = "quotes"


class Condition(StrEnum):
    """How usable a venue is at present."""

    OK = "ok"
    DEGRADED = "degraded"
    BLIND = "blind"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Worth a message: a venue has been blind for NOTICE_MS, or is back after that."""

    venue: str
    is_back: bool
    since_ms: int  #: its last good bulk reply before


@dataclass(slots=True)
class _Trouble:
    began_ms: int
    last_ms: int


class VenueHealth:
    """One venue's health."""

    def __init__(self, venue: str, now_ms: int) -> None:
        self._venue = venue
        self._troubles: dict[str, _Trouble] = {}  # by kind of call
        self._last_quotes_ms = now_ms
        self._noticed_since_ms: int | None = None
        self._held_until_ms = 0
        self.last_error = ""
        self.errors = 0

    def failure(self, kind: str, error: str, now_ms: int) -> bool:
        """Count a failed call; true where this kind was well until now."""
        self.errors += 1
        self.last_error = error
        if kind in self._troubles:
            self._troubles[kind].last_ms = now_ms
            return False
        self._troubles[kind] = _Trouble(began_ms=now_ms, last_ms=now_ms)
        return True

    def success(self, kind: str, now_ms: int) -> int | None:
        """Count a good call; returns how long [ms] this kind had failed if it has recovered with it."""
        if kind == QUOTES:
            self._last_quotes_ms = now_ms
        trouble = self._troubles.get(kind)
        if trouble is None or now_ms - trouble.last_ms < CALM_MS:
            return None
        del self._troubles[kind]
        return now_ms - trouble.began_ms

    def fails(self, kind: str) -> bool:
        """Return whether this kind of call is failing."""
        return kind in self._troubles

    def hold(self, until_ms: int) -> None:
        """Note that the venue wants none of our calls before `until_ms`."""
        self._held_until_ms = max(self._held_until_ms, until_ms)

    def condition(self, now_ms: int) -> Condition:
        """Return what the venue is good for."""
        if now_ms < self._held_until_ms:
            return Condition.HELD
        if QUOTES in self._troubles and now_ms - self._last_quotes_ms >= BLIND_MS:
            return Condition.BLIND
        return Condition.DEGRADED if self._troubles else Condition.OK

    def since_ms(self, now_ms: int) -> int | None:
        """Return when the present trouble began; for a hold, when it ends; None where all is well."""
        if now_ms < self._held_until_ms:
            return self._held_until_ms
        return min((trouble.began_ms for trouble in self._troubles.values()), default=None)

    def notice(self, now_ms: int) -> Notice | None:
        """Return what should be said now, once: blind for NOTICE_MS (for whatever reason), or back from it."""
        if self._noticed_since_ms is None and now_ms - self._last_quotes_ms >= NOTICE_MS:
            self._noticed_since_ms = self._last_quotes_ms
            return Notice(venue=self._venue, is_back=False, since_ms=self._last_quotes_ms)
        if (
            self._noticed_since_ms is not None
            and QUOTES not in self._troubles
            and now_ms - self._last_quotes_ms < BLIND_MS
        ):
            since_ms, self._noticed_since_ms = self._noticed_since_ms, None
            return Notice(venue=self._venue, is_back=True, since_ms=since_ms)
        return None


@dataclass(slots=True)
class _Strikes:
    last_ms: int
    times_out: int = 0
    out_until_ms: int = 0


class Quarantine:
    """The instruments of one venue that are not worth a call for now."""

    def __init__(self) -> None:
        self._strikes: dict[str, _Strikes] = {}
        self._last_good_ms = 0  #: of any instrument

    def watch(self, ids: Collection[str]) -> None:
        """Forget any other instrument."""
        self._strikes = {key: strikes for key, strikes in self._strikes.items() if key in ids}

    def success(self, instrument_id: str, now_ms: int) -> None:
        """Note that an instrument is well."""
        self._last_good_ms = now_ms
        self._strikes.pop(instrument_id, None)

    def failure(self, instrument_id: str, now_ms: int, *, is_certain: bool) -> float:
        """Note a bad answer; returns for how long [s] the instrument is left out.

        0 where it may be the venue's trouble: it is the instrument's own if the venue says so (`is_certain`), or if
        others have done well since it last failed.
        """
        is_repeated = instrument_id in self._strikes
        strikes = self._strikes.setdefault(instrument_id, _Strikes(last_ms=now_ms))
        is_alone = is_repeated and self._last_good_ms > strikes.last_ms
        strikes.last_ms = now_ms
        if not (is_certain or is_alone):
            return 0.0
        out_ms = round(backoff(strikes.times_out, first=QUARANTINE_MS, longest=LONGEST_QUARANTINE_MS))
        strikes.times_out += 1
        strikes.out_until_ms = now_ms + out_ms
        return out_ms / 1000

    def holds(self, instrument_id: str, now_ms: int) -> bool:
        """Return whether an instrument is to be left out."""
        strikes = self._strikes.get(instrument_id)
        return strikes is not None and now_ms < strikes.out_until_ms

    def count(self, now_ms: int) -> int:
        """Return how many are left out."""
        return sum(now_ms < strikes.out_until_ms for strikes in self._strikes.values())
