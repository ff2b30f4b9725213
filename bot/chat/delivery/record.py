"""How delivery fares: what Telegram has done to messages, how fast alerts were, and why messages do not get out now."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from loguru import logger

from bot.clock import Clock
from bot.core.status import Incident

_LATENCIES_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the decision to Telegram's word that it has the alert."""

    count: int
    p50_ms: float
    p95_ms: float


class DeliveryRecord:
    """Counts since the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._incidents: dict[str, Incident] = {}
        self._latencies_ms: deque[int] = deque(maxlen=_LATENCIES_KEPT)
        self.fault = ""  #: why messages do not get out now, for /health

    def incidents(self) -> tuple[Incident, ...]:
        """Return what Telegram has done to our messages since the start, the latest first."""
        return tuple(sorted(self._incidents.values(), key=lambda incident: -incident.last_ms))

    def latency(self) -> Latency | None:
        """Return the latency of the last thousand alerts, None before the first."""
        if not self._latencies_ms:
            return None
        p50_ms, p95_ms = np.percentile(self._latencies_ms, (50, 95))
        return Latency(count=len(self._latencies_ms), p50_ms=float(p50_ms), p95_ms=float(p95_ms))

    def latency_ms(self) -> tuple[float, float]:
        """Return p50 and p95 of it, NaN before the first alert."""
        latency = self.latency()
        return (math.nan, math.nan) if latency is None else (latency.p50_ms, latency.p95_ms)

    def note(self, what: str, chat_id: str, words: str) -> None:
        """Count what happened to a message."""
        count = self._incidents[what].count + 1 if what in self._incidents else 1
        self._incidents[what] = Incident(
            what=what, count=count, last_ms=self._clock.now_ms(), words=f"chat {chat_id}: {words}"
        )

    def note_latency(self, created_ms: int) -> None:
        """Count an alert that Telegram has; `created_ms` is on the monotonic clock."""
        self._latencies_ms.append(self._clock.monotonic_ms() - created_ms)

    def out_of_reach(self, error: str) -> None:
        """Note that messages do not get out."""
        if not self.fault:
            logger.warning("messages do not get out ({}); they are tried again until they do", error)
        self.fault = error

    def within_reach(self) -> None:
        """Note that Telegram answers."""
        if self.fault:
            logger.info("messages get out again")
        self.fault = ""
