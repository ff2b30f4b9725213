"""How a venue's streams are doing, for /status, the figures and `check --streams`."""

import math
from dataclasses import dataclass

from fetchers.streams.channel import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """One connection."""

    name: str  #: e.g. trades 1
    state: State
    wanted: int  #: symbols
    heard: int  #: of them those of which a frame came
    unheard: tuple[str, ...]  #: accepted by the venue, nothing heard yet
    refused: int
    covered: int
    messages_per_s: float
    lag_p50_ms: float
    lag_p95_ms: float
    resyncs: int  #: symbols asked for again since they were silent
    losses: int  #: connections that ended or failed to open
    close_code: int | None  #: of the last loss
    error: str  #: of the last loss


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """All connections of a venue, and what was found in their prints."""

    venue: str
    channels: tuple[ChannelReport, ...]
    bytes_read: int  #: of frames, inflated
    prints: int
    gaps: int  #: in the numbers of prints, where the venue numbers them
    repeated: int  #: prints that came again and were left out
    late: int  #: prints too old to say anything, left out
    unreadable: int  #: frames and rows
    refused_messages: int
    held_until_ms: int  #: the venue wants no connection before then, 0 where it said nothing
    is_paused_between_readings: bool  #: whether sockets wake the loop only when they are read

    def summary(self) -> str:
        """Return how the connections are doing, for people."""
        covered, wanted = (sum(getattr(one, name) for one in self.channels) for name in ("covered", "wanted"))
        messages_per_s = sum(one.messages_per_s for one in self.channels)
        lags_ms = [one.lag_p95_ms for one in self.channels if math.isfinite(one.lag_p95_ms)]
        lag = f", lag p95 {max(lags_ms):.0f} ms" if lags_ms else ""
        down = [f"{one.name} is down: {one.error}" for one in self.channels if one.error and one.state is State.DOWN]
        return "; ".join([f"streams cover {covered} of {wanted}, {messages_per_s:.0f} messages a second{lag}", *down])
