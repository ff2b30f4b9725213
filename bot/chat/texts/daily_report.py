"""The daily report: silence is ambiguous, so once a day the bot says that it is alive and what it has done."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from bot.chat.texts.phrases import comparison_text, duration_text, fit, local_time, record_text, venue_name
from bot.clock import Clock
from bot.core.funnels import FunnelLog, funnel_lines
from fetchers.health import Condition
from scoring.decide import Funnel
from scoring.signals import Outcome, Signal
from scoring.statistics import Record

_STEP_S = 60.0
_TOO_LONG_S = 2 * 86_400.0  #: the clock was set back by days


@dataclass(slots=True, kw_only=True)
class DayLog:
    """What has been counted since `since_ms`."""

    since_ms: int
    ticks: int = 0
    pairs: int = 0  #: scored in the last tick
    best_score: float = 0.0
    best_pair: str = ""
    funnels: dict[str, FunnelLog] = field(default_factory=dict)  #: by strategy
    seen: Counter[str] = field(default_factory=Counter)  #: ticks in which a venue was not blind

    def note(
        self, pairs: int, best: tuple[float, str], funnels: Mapping[str, Funnel], conditions: Mapping[str, Condition]
    ) -> None:
        """Count a tick; `best` is its best score and whose it is."""
        self.ticks += 1
        self.pairs = pairs
        self.best_score, self.best_pair = max((self.best_score, self.best_pair), best)
        for strategy, funnel in funnels.items():
            self.funnels.setdefault(strategy, FunnelLog()).note(funnel)
        self.seen.update(venue for venue, condition in conditions.items() if condition is not Condition.BLIND)
        for venue in conditions:
            self.seen[venue] += 0


def render_report(
    log: DayLog,
    signals: Iterable[tuple[Signal, Outcome | None]],
    ended: Record | None,
    now_ms: int,
    timezone: str,
) -> str:
    """Return the report on the time since the log began; `signals` were given in it.

    `ended` is the record of those that ended in it, None where there are none.
    """
    given = list(signals)
    uptime = ", ".join(f"{venue_name(venue)} {100 * seen / log.ticks:.1f} %" for venue, seen in log.seen.items())
    scans = log.ticks * log.pairs / max(1.0, (now_ms - log.since_ms) / 60_000)
    return fit(
        f"<b>Alive</b>: {log.ticks:,} looks at {log.pairs:,} pairs, {scans:,.0f} scans a minute",
        f"Since {local_time(log.since_ms, timezone):%d %b %H:%M %Z}, {duration_text((now_ms - log.since_ms) / 1000)}",
        f"Best score: {log.best_score:.1f} {escape(log.best_pair)}" if log.best_pair else "Nothing was scored",
        f"Alerts: {len(given)}, of them {sum(outcome is None for _, outcome in given)} still open",
        "Ended: none" if ended is None else f"Ended: {record_text(ended)}",
        comparison_text(ended) if ended is not None else None,
        *(line for strategy, one in log.funnels.items() for line in funnel_lines(strategy, one.means())),
        f"Venues seen: {uptime}" if uptime else None,
    )


async def tell_daily(clock: Clock, hour: int, timezone: str, tell: Callable[[], Awaitable[None]]) -> None:
    """Call `tell` whenever the clock on the wall shows `hour`, until cancelled."""
    due_ms = next_report_ms(clock.now_ms(), hour, timezone)
    while True:
        # in short steps: a machine that slept wakes with its clock ahead
        left_s = (due_ms - clock.now_ms()) / 1000
        if left_s > _TOO_LONG_S:
            due_ms = next_report_ms(clock.now_ms(), hour, timezone)
            continue
        await clock.sleep(min(_STEP_S, left_s))
        if clock.now_ms() >= due_ms:
            await tell()
            due_ms = next_report_ms(clock.now_ms(), hour, timezone)


def next_report_ms(now_ms: int, hour: int, timezone: str) -> int:
    """Return when the clock on the wall next shows `hour` [epoch ms], today or tomorrow."""
    zone = ZoneInfo(timezone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    due = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if due.timestamp() * 1000 <= now_ms:
        due += timedelta(days=1)  # on the wall's clock: the day the clocks change is as long as it is
    return round(due.timestamp() * 1000)
