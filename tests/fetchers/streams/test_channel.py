"""When a connection is opened, believed and given up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchers.streams.build import WIRES
from fetchers.streams.channel import (
    FIRST_DATA_MS,
    GOOD_MS,
    LAG_READINGS,
    LIFE_JITTER_MS,
    LIFE_MS,
    LONGEST_BACKOFF_MS,
    LONGEST_SILENCE_MS,
    PONG_MS,
    Channel,
    State,
)

NO_LAG = np.array([20.0])


def opened(venue: str = "bybit", draw: float = 0.5) -> Channel:
    """Return a channel that is connected at 0."""
    channel = Channel(WIRES[venue], 0, lambda: draw)
    assert channel.is_due(0)
    channel.connecting()
    assert (channel.state, channel.is_due(0)) == (State.CONNECTING, False)
    channel.connected(0)
    return channel


def fed(channel: Channel, from_ms: int, to_ms: int, every_ms: int = 100) -> None:
    """Let data come."""
    for now_ms in range(from_ms, to_ms + 1, every_ms):
        channel.received(now_ms, 1, NO_LAG)


def test_it_is_live_with_its_first_data() -> None:
    """A pong is none."""
    channel = opened()
    channel.received(50, 0, np.empty(0), has_pong=True)
    assert str(channel.state) == "filling"
    fed(channel, 100, 100)
    assert str(channel.state) == "live"


@pytest.mark.parametrize(("venue", "limit_ms"), [("binance", 10_000), ("bybit", 10_000), ("mexc", 20_000)])
def test_silence(venue: str, limit_ms: int) -> None:
    """No data for so long ends it, however well it answers pings."""
    channel = opened(venue)
    fed(channel, 100, 5_000)
    for now_ms in range(5_000, 5_000 + limit_ms, 1_000):
        channel.received(now_ms, 0, np.empty(0), has_pong=True)
        assert channel.fault(now_ms) == ""
    assert channel.fault(5_000 + limit_ms).startswith("no data")


def test_few_symbols_are_quiet_for_longer() -> None:
    """By how often data came until now, but not for ever."""
    channel = opened()
    fed(channel, 1_000, 61_000, every_ms=2_000)
    assert channel.fault(61_000 + 35_000) == ""
    assert channel.fault(61_000 + 40_000)
    fed(channel, 100_000, 4_000_000, every_ms=100_000)
    assert channel.fault(4_000_000 + LONGEST_SILENCE_MS)


def test_no_first_data() -> None:
    """As on a wrong route, where everything is accepted."""
    channel = opened()
    assert channel.fault(FIRST_DATA_MS - 1) == ""
    assert channel.fault(FIRST_DATA_MS)


def test_a_pong_that_does_not_come() -> None:
    """Ends it though data comes."""
    channel = opened()
    assert not channel.ping_is_due(19_999)
    assert channel.ping_is_due(20_000)
    channel.pinged(20_000)
    fed(channel, 100, 20_000 + PONG_MS)
    assert channel.fault(20_000 + PONG_MS - 1) == ""
    assert channel.fault(20_000 + PONG_MS).startswith("no pong")
    channel.received(20_000 + PONG_MS, 0, np.empty(0), has_pong=True)
    assert channel.fault(20_000 + PONG_MS) == ""
    assert not opened("binance").ping_is_due(10**9)


def test_lag() -> None:
    """Late data, or a venue whose clock is far ahead; over the last 5 s."""
    for lag_ms in (1_500.0, -30_000.0):
        channel = opened()
        fed(channel, 100, 1_000)
        for now_ms in range(1_100, 3_000, 100):
            channel.received(now_ms, 1, np.array([lag_ms]))
        assert str(channel.state) == "lagging"
        fed(channel, 3_000, 3_000 + 100 * LAG_READINGS)
        assert str(channel.state) == "live"
    assert channel.lags_ms() == (20.0, 20.0)


@given(st.integers(1, 12), st.floats(0, 0.999))
def test_back_off(failures: int, draw: float) -> None:
    """Doubled with each loss, fully drawn by chance, never longer than a minute."""
    channel = Channel(WIRES["bybit"], 0, lambda: draw)
    for _ in range(failures):
        channel.connecting()
        channel.lost(0, "refused")
    longest_ms = min(LONGEST_BACKOFF_MS, 500 * 2 ** (failures - 1))
    due_ms = next(at_ms for at_ms in range(0, LONGEST_BACKOFF_MS + 1, 1) if channel.is_due(at_ms))
    assert due_ms == round(longest_ms * draw)


def test_only_a_minute_of_data_ends_the_back_off() -> None:
    """One message after each of many losses does not."""
    channel = Channel(WIRES["bybit"], 0, lambda: 0.999)
    now_ms = 0
    for _ in range(8):
        channel.connecting()
        channel.connected(now_ms)
        fed(channel, now_ms, now_ms + GOOD_MS - 1_000, every_ms=1_000)
        now_ms += GOOD_MS
        channel.lost(now_ms, "closed", close_code=1012)
    assert not channel.is_due(now_ms + 50_000)
    channel.connecting()
    channel.connected(now_ms)
    fed(channel, now_ms, now_ms + GOOD_MS, every_ms=1_000)
    channel.lost(now_ms + GOOD_MS, "closed", close_code=1012)
    assert channel.is_due(now_ms + GOOD_MS + 500)
    assert (channel.state, channel.losses, channel.close_code) == (State.DOWN, 9, 1012)


def test_a_hold() -> None:
    """Is longer than any back-off."""
    channel = opened()
    channel.lost(0, "too much", hold_ms=120_000)
    assert not channel.is_due(119_999)
    assert channel.is_due(120_000)


def test_age() -> None:
    """Before the venue's 24 hours, not all at once."""
    for draw in (0.0, 0.5):
        channel = opened(draw=draw)
        ends_ms = LIFE_MS + round(LIFE_JITTER_MS * draw)
        assert not channel.is_old(ends_ms - 1)
        assert channel.is_old(ends_ms)
        assert ends_ms < 86_400_000


def test_rate() -> None:
    """Frames of the last seconds."""
    channel = opened()
    fed(channel, 100, 20_000)
    assert channel.messages_per_s(20_000) == pytest.approx(10, rel=0.02)
