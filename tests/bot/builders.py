"""Valid records of the bot's own, of which a test overrides the one thing it is about."""

import io
from typing import Any

from bot.chat.delivery.sender import TerminalSender
from bot.clock import Clock
from bot.config.settings import Config
from bot.core.funnels import FunnelMeans
from bot.core.status import BotStatus, VenueStatus
from bot.wiring import Bot
from scoring.decide import Funnel
from scoring.signals import OpenSignal
from scoring.thresholds import Rate, ThresholdRates
from storage.store import Store
from tests.storage.builders import DECIDED_MS, make_signal


def silent_bot(config: Config, clock: Clock, feed: Any, store: Store) -> Bot:
    """A bot that writes to a terminal where nobody looks."""
    return Bot(config, clock=clock, feed=feed, store=store, sender=TerminalSender(io.StringIO()))


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


def make_funnel() -> Funnel:
    """The funnel of a tick in which one pair signalled."""
    return Funnel(
        not_seen={"book not seen": 1900, "exhaustion warming up": 88},
        refused={"score": 10, "sweep": 1, "muted": 0},
        passed=1,
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
            "funnels": {
                "ups": FunnelMeans(
                    eligible=2000.0,
                    not_seen={"book not seen": 1900.0, "exhaustion warming up": 88.0},
                    seen=12.0,
                    refused={"score": 11.0, "spread": 0.0, "sweep": 0.5},
                    passed=0.5,
                )
            },
            "thresholds": {
                "ups": ThresholdRates(
                    days=7.0, now=Rate(threshold=72.0, a_day=0.0), lower=Rate(threshold=66.0, a_day=3.1)
                )
            },
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
