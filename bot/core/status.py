"""The bot's status: one record for /status, /health and /api/status."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bot.core.funnels import FunnelMeans
from fetchers.health import Condition
from fetchers.streams.stream_report import ChannelReport
from scoring.signals import OpenSignal
from scoring.thresholds import ThresholdRates


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """How readable one endpoint's replies have been since the start."""

    rows: int
    unreadable: int  #: rows left out, or without the value they are for
    impossible: int  #: values that came and cannot be
    new_fields: tuple[str, ...]  #: that the first reply did not have


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStatus:
    """One venue as the poll sees it."""

    venue: str
    state: str  #: a fetchers.health.Condition
    note: str  #: what else there is to say, e.g. why it is not ok; "" for nothing
    instruments: int  #: kept in the universe
    warming: int = 0  #: of these, whose windows are not full yet
    warm_by_ms: int | None = None  #: when they will be, None where that is not known
    last_reply_ms: int | None  #: None before the first
    budget_used_percent: float  #: [%] of the published limit, the fullest pool
    replies: Mapping[str, Replies] = field(default_factory=dict)  #: by endpoint
    streams: tuple[ChannelReport, ...] = ()  #: its connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something that Telegram did to our messages, and how often since the start."""

    what: str
    count: int
    last_ms: int
    words: str  #: Telegram's, of the last time


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """The whole bot at `now_ms`."""

    version: str
    now_ms: int
    started_ms: int
    refresh_interval_s: float
    ticks: int
    last_tick_ms: int | None  #: end of the last tick, None before the first
    tick_p50_ms: float  #: NaN before the first
    tick_p95_ms: float
    venues: tuple[VenueStatus, ...]
    best: str  #: the leader now, e.g. "PEPE Binance 71.2"; "" where nothing is scored
    open_signals: tuple[OpenSignal, ...]
    signals_today: int | None  #: None: the clock is behind the last one, so it is not known
    max_daily_signals: int
    paused_until_ms: int | None  #: as in Limits
    guard_until_ms: int
    funnels: dict[str, FunnelMeans]  #: by strategy, of a usual tick since the start
    thresholds: Mapping[str, ThresholdRates]  #: by strategy, of the last week; of those that anything can be said of
    outbox: Mapping[str, int]  #: messages by delivery state
    faults: tuple[str, ...]  #: what Telegram, the web app or the databases have to complain of; () is all well
    notes: tuple[str, ...] = ()  #: faults of the databases while alerts go on: no reason to be called unwell
    incidents: tuple[Incident, ...] = ()  #: what Telegram did to our messages, the latest first
    alert_p50_ms: float = math.nan  #: from a decision to Telegram's word, of the last alerts; NaN before the first
    alert_p95_ms: float = math.nan
    mysql_behind: int | None = None  #: changes still to be copied; None where there is no MySQL

    def problems(self) -> Iterator[str]:
        """Yield what makes the bot useless now; one blind venue of several does not."""
        overdue_s = max(3 * self.refresh_interval_s, 15.0)
        if self.last_tick_ms is None:
            yield "no tick has ended yet"
        elif (quiet_s := (self.now_ms - self.last_tick_ms) / 1000) > overdue_s:
            yield f"no tick has ended for {quiet_s:.0f} s"
        if all(venue.state == Condition.BLIND for venue in self.venues):
            yield "every venue is blind"
        yield from self.faults
