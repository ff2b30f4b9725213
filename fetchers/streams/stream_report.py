"""How a venue's streams are doing, for /status, the figures and `check --streams`."""

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
