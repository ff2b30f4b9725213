"""The daily report: silence is ambiguous, so once a day the bot says that it is alive and what it has done."""

from collections.abc import Iterable

from bot.chat.texts.funnels import funnel_lines
from bot.chat.texts.markup import Markup, html
from bot.chat.texts.phrases import comparison_text, duration_text, fit, local_time, record_text, venue_name
from bot.core.activity import DayLog
from scoring.signals import Outcome, Signal
from scoring.statistics import Record


def render_report(
    log: DayLog,
    signals: Iterable[tuple[Signal, Outcome | None]],
    ended: Record | None,
    now_ms: int,
    timezone: str,
) -> Markup:
    """Return the report on the time since the log began; `signals` were given in it.

    `ended` is the record of those that ended in it, None where there are none.
    """
    given = list(signals)
    uptime = ", ".join(f"{venue_name(venue)} {100 * seen / log.ticks:.1f} %" for venue, seen in log.seen.items())
    scans = log.ticks * log.pairs / max(1.0, (now_ms - log.since_ms) / 60_000)
    return fit(
        html("<b>Alive</b>: {:,} looks at {:,} pairs, {:,.0f} scans a minute", log.ticks, log.pairs, scans),
        f"Since {local_time(log.since_ms, timezone):%d %b %H:%M %Z}, {duration_text((now_ms - log.since_ms) / 1000)}",
        f"Best score: {log.best_score:.1f} {log.best_pair}" if log.best_pair else "Nothing was scored",
        f"Alerts: {len(given)}, of them {sum(outcome is None for _, outcome in given)} still open",
        "Ended: none" if ended is None else f"Ended: {record_text(ended)}",
        comparison_text(ended) if ended is not None else None,
        *(line for strategy, one in log.funnels.items() for line in funnel_lines(strategy, one.means())),
        f"Venues seen: {uptime}" if uptime else None,
    )
