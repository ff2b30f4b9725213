"""Valid records, of which a test overrides the one thing it is about."""

from typing import Any

from scoring.signals import (
    Arm,
    Control,
    DataTimes,
    ExitReason,
    Levels,
    Limits,
    NearMiss,
    Outcome,
    Result,
    Side,
    Signal,
    Verdict,
)
from storage.messages import Kind, NewMessage

DECIDED_MS = 1_700_000_000_000


def make_levels(**changes: Any) -> Levels:
    """A short from 0.000012345."""
    targets = changes.get("take_profits", (0.000012136,))
    return Levels(
        **{
            "side": Side.SHORT,
            "entry": 0.000012345,
            "take_profits": (0.000012136,),
            "stop": 0.000012444,
            "take_profit_percent": 1.693,
            "stop_percent": 0.802,
            "cost_percent": 0.1,
            "net_take_profit_percent": 1.593,
            "net_stop_percent": 0.902,
            "break_even_win_rate": 0.3615,
            "shares": (1 / len(targets),) * len(targets),
            **changes,
        }
    )


def make_signal(signal_id: int = 1, **changes: Any) -> Signal:
    """A short of XLM on Bybit, decided `signal_id` seconds after DECIDED_MS."""
    return Signal(
        **{
            "id": signal_id,
            "side": Side.SHORT,
            "venue": "bybit",
            "instrument_id": "XLMUSDT",
            "coin": "XLM",
            "pair": "XLM/USDT:USDT",
            "tick_size": 1e-9,
            "decided_ms": DECIDED_MS + 1000 * signal_id,
            "levels": make_levels(),
            "score": 76.4,
            "sub_scores": {"sweep": 80.0, "funding": 0.1 + 0.2},
            "contributions": {"sweep": 12.0, "funding": 0.03},
            "features": {"spread_bps": 4.2, "btc_return": float("nan")},
            "verdicts": (Verdict(name="score", passed=True, value=76.4, limit=72.0, reason="score 76.4 >= 72"),),
            "reasons": ("sweep of 12 times the median",),
            "missing": {"funding": "stale"},
            "borrowed": "",
            "sellable_usdt": 1234.5,
            "data_times": DataTimes(
                price_ms=DECIDED_MS, book_ms=DECIDED_MS, trades_ms=None, open_interest_ms=None, funding_ms=None
            ),
            "code_hash": "c0de",
            "config_hash": "c0nf",
            **changes,
        }
    )


def make_outcome(signal_id: int = 1, **changes: Any) -> Outcome:
    """A take-profit ten minutes after the decision, the same from both entries."""
    made = Result(entry=0.000012345, gross_percent=1.693, net_percent=1.593, r=1.766)
    return Outcome(
        **{
            "signal_id": signal_id,
            "reason": ExitReason.TAKE_PROFIT,
            "exit_ms": DECIDED_MS + 1000 * signal_id + 600_000,
            "fill": 0.000012136,
            "ideal": made,
            "reachable": None if "unreachable" in changes else changes.get("ideal", made),
            "mae_percent": 0.2,
            "mfe_percent": 1.8,
            "held_s": 600.0,
            "is_ambiguous": False,
            "note": "",
            **changes,
        }
    )


def make_control(signal_id: int = 1, arm: Arm = Arm.OTHER_INSTRUMENT, **changes: Any) -> Control:
    """PEPE on Bybit, drawn with signal `signal_id` at its time."""
    return Control(
        **{
            "id": 10 * signal_id + 1 + list(Arm).index(arm),
            "signal_id": signal_id,
            "arm": arm,
            "decided_ms": DECIDED_MS + 1000 * signal_id,
            "venue": "bybit",
            "instrument_id": "PEPEUSDT",
            "coin": "PEPE",
            "pair": "PEPE/USDT:USDT",
            "tick_size": 1e-9,
            "levels": make_levels(),
            **changes,
        }
    )


def make_near_miss(**changes: Any) -> NearMiss:
    """XLM at 70.5 points."""
    return NearMiss(
        **{
            "decided_ms": DECIDED_MS,
            "venue": "bybit",
            "instrument_id": "XLMUSDT",
            "coin": "XLM",
            "score": 70.5,
            "entry": 0.000012345,
            "failed": ("score",),
            **changes,
        }
    )


def make_message(**changes: Any) -> NewMessage:
    """A notice to chat 100."""
    return NewMessage(**{"chat_id": "100", "kind": Kind.NOTICE, "html": "started", "created_ms": DECIDED_MS, **changes})


def make_limits(**changes: Any) -> Limits:
    """The limits of a fresh bot."""
    return Limits(**{"last_signal_ms": {}, "last_exit_ms": {}, "muted_coins": {}, "muted_venues": {}, **changes})


def entry_message(signal_id: int = 1, chat_id: str = "100") -> NewMessage:
    """The alert of a signal."""
    return make_message(
        kind=Kind.ENTRY, signal_id=signal_id, chat_id=chat_id, html=f"SHORT {signal_id}", entry_price=0.000012345
    )


def exit_message(signal_id: int = 1, chat_id: str = "100") -> NewMessage:
    """The reply to the alert of a signal."""
    return make_message(kind=Kind.EXIT, signal_id=signal_id, chat_id=chat_id, html=f"EXIT {signal_id}")
