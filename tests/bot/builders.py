"""Valid records of the bot's own, of which a test overrides the one thing it is about."""

from collections.abc import Callable
from typing import Any

from bot.chat.announcer import ChatAnnouncer
from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.clock import Clock
from bot.config.settings import Config
from bot.core.activity import Activity
from bot.core.funnels import FunnelMeans
from bot.core.orchestrator import Orchestrator
from bot.core.status import BotStatus, VenueStatus
from scoring.decide import Funnel
from scoring.signals import OpenSignal
from scoring.strategies import chosen
from scoring.thresholds import Rate, ThresholdRates
from storage.store import Store
from tests.storage.builders import DECIDED_MS, make_signal


def make_core(
    config: Config, clock: Clock, feed: Any, store: Store, wake: Callable[[], None] = lambda: None
) -> tuple[Orchestrator, ChatAnnouncer]:
    """A bot without a way to the chats, and who writes its messages."""
    announcer = ChatAnnouncer(
        store=store,
        clock=clock,
        wake=wake,
        settings=config.scoring,
        modes=config.telegram.modes,
        chats=config.telegram.chat_ids if config.telegram.bot_token else (TERMINAL_CHAT,),
        operator=config.telegram.operator if config.telegram.bot_token else TERMINAL_CHAT,
    )
    activity = Activity(clock.now_ms(), [one.name for one in chosen(config.strategies)])
    orchestrator = Orchestrator(
        config=config, clock=clock, feed=feed, store=store, announcer=announcer, activity=activity
    )
    return orchestrator, announcer


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
            "thresholds": ThresholdRates(
                days=7.0, now=Rate(threshold=72.0, a_day=0.0), lower=Rate(threshold=66.0, a_day=3.1)
            ),
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
