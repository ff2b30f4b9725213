"""The summary of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.chat.delivery.record import Latency
from bot.wiring import Bot
from features.facts.venues import venue_title
from fetchers.venue_report import VenueReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The figures of a run."""

    ticks: int
    instruments: int
    signals: int
    exits: int
    coins: tuple[str, ...]  #: of the alerts, in their order
    venues: Mapping[str, VenueReport]
    latency: Latency | None
    tick_p50_ms: float
    tick_p95_ms: float
    first_alert_s: float | None


async def summarise(bot: Bot) -> Run:
    """Return what the bot has done."""
    signals = [signal for signal, _ in await bot.store.signals.find(limit=10_000)]
    status, activity = bot.live_status.status(), bot.orchestrator.activity
    started_ms = activity.started_ms
    return Run(
        ticks=activity.ticks,
        instruments=len(activity.last_tick.features.instruments) if activity.last_tick else 0,
        signals=activity.signals,
        exits=activity.exits,
        coins=tuple(signal.coin for signal in signals),
        venues=bot.feed.status(),
        latency=bot.delivery.record.latency(),
        tick_p50_ms=status.tick_p50_ms,
        tick_p95_ms=status.tick_p95_ms,
        first_alert_s=min(((signal.decided_ms - started_ms) / 1000 for signal in signals), default=None),
    )


def as_text(run: Run) -> str:
    """Return it for people."""
    lines = [
        f"{run.ticks} ticks (p50 {run.tick_p50_ms:.0f} ms, p95 {run.tick_p95_ms:.0f} ms)",
        f"{run.instruments} instruments scored, {run.signals} signals, {run.exits} exits",
        "first alert: " + ("none" if run.first_alert_s is None else f"{run.first_alert_s:.1f} s after the start"),
        "decision to delivery: "
        + (f"p50 {run.latency.p50_ms:.0f} ms, p95 {run.latency.p95_ms:.0f} ms" if run.latency else "nothing delivered"),
    ]
    for name, report in run.venues.items():
        shares = ", ".join(f"{pool} {share:.0%}" for pool, share in report.used_share.items())
        lines.append(f"{venue_title(name)}: {report.requests} requests, at most this share of each limit: {shares}")
    return "\n".join(lines)
