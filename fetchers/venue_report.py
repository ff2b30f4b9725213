"""One venue as the feed reports it: its condition, its last error, and how much of it is watched."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fetchers.health import Condition
from fetchers.listing import ClockOffset
from fetchers.parsing.tallies import Tally
from fetchers.poll_plan import Counts
from fetchers.streams.stream_report import StreamReport
from fetchers.transport.budget import Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReport:
    """One venue, for /status and the record."""

    condition: Condition
    since_ms: int | None  #: when the trouble began, or a hold ends; None where all is well
    last_error: str
    last_quotes_ms: int | None  #: None before the first
    spent: Mapping[str, Spent]  #: by endpoint
    errors: int
    used_share: Mapping[str, float]  #: [0...1] by pool, the most of the published limit in any window so far
    kept: int  #: instruments in the universe
    dropped: Mapping[str, int]  #: by reason
    quarantined: int
    warming: int  #: instruments whose history has not come yet
    lacking_candles: int  #: instruments that lack a closed candle, where candles are kept
    full_by_ms: int | None  #: when all windows will be full, by estimate; None where they are
    warmed_after_s: float | None  #: from the start until every instrument had its history; None before that
    polls: Counts  #: of the last plan
    clock: ClockOffset | None  #: None before it was measured
    tallies: Mapping[str, Tally]  #: by endpoint
    streams: StreamReport | None = None  #: None: it has none, or they are off

    @property
    def requests(self) -> int:
        """How many were sent since the start."""
        return sum(spent.requests for spent in self.spent.values())

    def moved(self, by_ms: int) -> "VenueReport":
        """Return the report with its times on a clock that is `by_ms` ahead."""
        times = {name: getattr(self, name) for name in ("since_ms", "last_quotes_ms", "full_by_ms")}
        return replace(self, **{name: at_ms + by_ms for name, at_ms in times.items() if at_ms is not None})


def report_without_polls(condition: Condition) -> VenueReport:
    """Return the report of a venue of which nothing but its condition is known: nobody polls it."""
    return VenueReport(
        condition=condition,
        since_ms=None,
        last_error="",
        last_quotes_ms=None,
        spent={},
        errors=0,
        used_share={},
        kept=0,
        dropped={},
        quarantined=0,
        warming=0,
        lacking_candles=0,
        full_by_ms=None,
        warmed_after_s=None,
        polls=Counts(),
        clock=None,
        tallies={},
    )
