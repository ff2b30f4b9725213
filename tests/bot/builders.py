"""Valid records of the bot's own, of which a test overrides the one thing it is about."""

from typing import Any

from bot.status import BotStatus, VenueStatus
from scoring.signals import OpenSignal
from tests.storage.builders import DECIDED_MS, make_signal


def make_venue(venue: str = "binance", **changes: Any) -> VenueStatus:
    """A venue that is well."""
    return VenueStatus(
        **{
            "venue": venue,
            "state": "ok",
            "note": "",
            "instruments": 412,
            "last_reply_ms": DECIDED_MS,
            "budget_used_percent": 38.0,
            **changes,
        }
    )


def make_status(**changes: Any) -> BotStatus:
    """A bot that is well and three hours old."""
    return BotStatus(
        **{
            "version": "0.1.0",
            "now_ms": DECIDED_MS,
            "started_ms": DECIDED_MS - 3 * 3_600_000 - 720_000,
            "refresh_interval_s": 5.0,
            "ticks": 2304,
            "last_tick_ms": DECIDED_MS - 3_000,
            "tick_p50_ms": 610.0,
            "tick_p95_ms": 1130.0,
            "venues": (make_venue(), make_venue("bybit", instruments=1300)),
            "best": "PEPE Binance 71.2",
            "open_signals": (),
            "signals_today": 3,
            "max_daily_signals": 8,
            "paused_until_ms": None,
            "guard_until_ms": 0,
            "refused": {"score": 1200, "spread": 0},
            "outbox": {"sent": 12, "pending": 0},
            "faults": (),
            **changes,
        }
    )


def make_open_signal(signal_id: int = 1, **changes: Any) -> OpenSignal:
    """A signal that has just been given."""
    signal = make_signal(signal_id)
    return OpenSignal(
        **{
            "signal": signal,
            "looked_ms": signal.decided_ms,
            "best_price": signal.levels.entry,
            "worst_price": signal.levels.entry,
            **changes,
        }
    )
