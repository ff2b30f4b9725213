"""What people are told of a venue's streams."""

from typing import Any

from fetchers.streams.channel import State
from fetchers.streams.stream_report import ChannelReport, StreamReport


def channel(**changed: Any) -> ChannelReport:
    """Return a connection that is well."""
    record: dict[str, Any] = {
        "name": "trades 1",
        "state": State.LIVE,
        "wanted": 300,
        "heard": 298,
        "unheard": (),
        "refused": 0,
        "covered": 299,
        "messages_per_s": 120.4,
        "lag_p50_ms": 40.0,
        "lag_p95_ms": 90.0,
        "resyncs": 0,
        "losses": 0,
        "close_code": None,
        "error": "",
    }
    return ChannelReport(**(record | changed))


def summary(*channels: ChannelReport) -> str:
    """Return the words for connections."""
    counts = dict.fromkeys(
        ("bytes_read", "prints", "gaps", "repeated", "late", "unreadable", "refused_messages", "held_until_ms"), 0
    )
    report = StreamReport(venue="bybit", channels=channels, is_paused_between_readings=True, **counts)
    return report.summary()


def test_the_words_add_up_the_connections() -> None:
    """The worst lag counts, and who is down says why; a loss that is over is not mentioned."""
    down = channel(
        name="trades 2",
        state=State.DOWN,
        covered=0,
        messages_per_s=0.0,
        lag_p95_ms=float("nan"),
        error="closed with 1006",
    )
    assert (
        summary(channel(error="closed with 1012")) == "streams cover 299 of 300, 120 messages a second, lag p95 90 ms"
    )
    assert summary(channel(), down).endswith("lag p95 90 ms; trades 2 is down: closed with 1006")
    assert summary(down) == "streams cover 0 of 300, 0 messages a second; trades 2 is down: closed with 1006"
    assert summary() == "streams cover 0 of 0, 0 messages a second"
