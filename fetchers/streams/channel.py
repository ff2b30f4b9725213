"""The life of one connection: when to open it, when to give it up, and how late its data is. Pure.

    DOWN         lost; to be opened after a back-off
    CONNECTING   the handshake is under way
    FILLING      open, no data yet
    LIVE         data comes in time
    LAGGING      data comes, later than LAG_MS

It is the silence of data that ends a connection, not that of pongs alone: the worst faults go on answering pings.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from features.backoff import backoff
from features.facts.market import FloatArray
from fetchers.streams.wire import StreamWire

FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS = 500, 60_000
GOOD_MS = 60_000  #: data for so long, and the next loss counts as the first
PONG_MS = 10_000  #: a ping is answered within
FIRST_DATA_MS = 60_000  #: where it is not known yet how often data comes
GAPS = 20  #: usual times between two readings with data that are a silence
LONGEST_SILENCE_MS = 120_000
LAG_MS = 1_000
LATE_MS = 60_000  #: older data says nothing of the market as it is
JUDGED_APART_MS = 500
LAG_READINGS = 50  #: of the last 5 s at a reading each 100 ms
LIFE_MS, LIFE_JITTER_MS = 82_800_000, 1_800_000  #: 23 h and up to half an hour more
RATE_MS = 10_000  #: messages are counted over so long


class State(StrEnum):
    """What a connection is good for."""

    DOWN = "down"
    CONNECTING = "connecting"
    FILLING = "filling"
    LIVE = "live"
    LAGGING = "lagging"


class Channel:
    """One connection's life; `draw` returns random numbers in [0, 1)."""

    def __init__(self, wire: StreamWire, now_ms: int, draw: Callable[[], float]) -> None:
        self._wire = wire
        self._draw = draw
        self._state = State.DOWN
        self._due_ms = now_ms
        self._connected_ms = 0
        self._ends_ms = 0
        self._first_data_ms: int | None = None
        self._last_data_ms = 0
        self._ping_ms = 0  # the last one sent
        self._is_pong_due = False
        self._failures = 0
        self._lags: deque[FloatArray] = deque(maxlen=LAG_READINGS)
        self._rates: deque[tuple[int, int]] = deque()
        self._judged_ms = 0
        self._late_ms = 0.0
        self._gap_ms: float | None = None  # usual time between two readings with data
        self.losses = 0
        self.close_code: int | None = None  #: of the last loss
        self.error = ""  #: of the last loss

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return State.LAGGING if self._state is State.LIVE and self._late_ms > LAG_MS else self._state

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state in (State.FILLING, State.LIVE)

    @property
    def brings_data(self) -> bool:
        """Whether data comes that says something of the market."""
        return self._state is State.LIVE and self._late_ms <= LATE_MS

    def is_due(self, now_ms: int) -> bool:
        """Return whether it is to be opened now."""
        return self._state is State.DOWN and now_ms >= self._due_ms

    def connecting(self) -> None:
        """Note that the handshake begins."""
        self._state = State.CONNECTING

    def connected(self, now_ms: int) -> None:
        """Note that it is open."""
        self._state = State.FILLING
        self._connected_ms = self._ping_ms = now_ms
        self._first_data_ms, self._is_pong_due = None, False
        self._lags.clear()
        self._late_ms = 0.0
        self._ends_ms = now_ms + LIFE_MS + round(LIFE_JITTER_MS * self._draw())

    def lost(self, now_ms: int, error: str, *, close_code: int | None = None, hold_ms: int = 0) -> None:
        """Note that it ended, or could not be opened; it is not opened again before `hold_ms`."""
        was_good = self._first_data_ms is not None and self._last_data_ms - self._first_data_ms >= GOOD_MS
        self._failures = 0 if was_good else self._failures + 1
        wait_ms = backoff(max(0, self._failures - 1), first=FIRST_BACKOFF_MS, longest=LONGEST_BACKOFF_MS)
        self._due_ms = now_ms + max(hold_ms, round(wait_ms * self._draw()))
        self._state, self._first_data_ms = State.DOWN, None
        self._rates.clear()
        self.error, self.close_code = error, close_code
        self.losses += 1

    def received(self, now_ms: int, messages: int, lag_ms: FloatArray, *, has_pong: bool = False) -> None:
        """Note a reading: its data frames, and by how much each was older than the reading."""
        self._is_pong_due &= not has_pong
        if not messages:
            return
        if self._first_data_ms is None:
            self._first_data_ms, self._state = now_ms, State.LIVE
        else:
            gap_ms = float(now_ms - self._last_data_ms)
            self._gap_ms = gap_ms if self._gap_ms is None else self._gap_ms + 0.1 * (gap_ms - self._gap_ms)
        self._last_data_ms = now_ms
        self._lags.append(lag_ms)
        if now_ms - self._judged_ms >= JUDGED_APART_MS:
            self._judged_ms = now_ms
            self._late_ms = float(np.percentile(np.abs(np.concatenate(self._lags)), 95))
        self._rates.append((now_ms, messages))

    def ping_is_due(self, now_ms: int) -> bool:
        """Return whether the venue wants a ping now."""
        every_ms = self._wire.ping_every_ms
        return self.is_open and every_ms is not None and now_ms - self._ping_ms >= every_ms

    def pinged(self, now_ms: int) -> None:
        """Note a ping."""
        self._ping_ms, self._is_pong_due = now_ms, True

    def fault(self, now_ms: int) -> str:
        """Return why it must be given up, "" where it need not."""
        if not self.is_open:
            return ""
        if self._is_pong_due and now_ms - self._ping_ms >= PONG_MS:
            return f"no pong for {PONG_MS / 1000:g} s"
        since_ms = self._connected_ms if self._first_data_ms is None else self._last_data_ms
        limit_ms = self._silence_ms()
        return f"no data for {limit_ms / 1000:.3g} s" if now_ms - since_ms >= limit_ms else ""

    def _silence_ms(self) -> float:
        if self._gap_ms is None or self._first_data_ms is None:
            return FIRST_DATA_MS
        return min(max(self._wire.silent_ms, GAPS * self._gap_ms), LONGEST_SILENCE_MS)

    def is_old(self, now_ms: int) -> bool:
        """Return whether the venue will soon end it, so that another one must take its place first."""
        return self.is_open and now_ms >= self._ends_ms

    def retire(self, now_ms: int) -> None:
        """Make it old now."""
        self._ends_ms = now_ms

    def live_ms(self, now_ms: int) -> int:
        """Return for how long data has come."""
        return 0 if self._first_data_ms is None else now_ms - self._first_data_ms

    def lags_ms(self) -> tuple[float, float]:
        """Return median and 95th percentile of the lag over the last readings, 0 where there is none."""
        lags = np.concatenate(self._lags) if self._lags else np.empty(0)
        p50, p95 = np.percentile(lags, (50, 95)).tolist() if len(lags) else (0.0, 0.0)
        return p50, p95

    def messages_per_s(self, now_ms: int) -> float:
        """Return the rate of data frames of the last seconds."""
        while self._rates and now_ms - self._rates[0][0] > RATE_MS:
            self._rates.popleft()
        passed_ms = min(RATE_MS, self.live_ms(now_ms))
        return 1000 * sum(count for _, count in self._rates) / max(1000, passed_ms)
