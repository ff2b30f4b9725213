"""`check --streams` on a virtual clock: what comes, and what is silent."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fetchers.simulated.streams.stream_faults import StreamFault
from fetchers.streams.build import build_streams
from fetchers.streams.stream_check import StreamCheck, StreamFinding
from fetchers.universe import UniverseSettings
from fetchers.venues import build_venues
from tests.fetchers.streams.stage import Stage, staged
from tests.virtual_time import virtually


@asynccontextmanager
async def checked(venue: str, fault: StreamFault | None = None) -> AsyncIterator[tuple[Stage, list[StreamFinding]]]:
    """Listen to a venue for a while."""
    async with staged(venue, coins=10, start=False) as stage:
        if fault is not None:
            stage.servers.stream_faults[venue][fault] = ""
        (rest,) = build_venues([venue], stage.servers.urls, stage.clock.now_ms)
        settings = UniverseSettings(min_quote_volume=0, max_quote_volume=1e15)
        stream = build_streams([venue], stage.servers.stream_urls, lambda: 0.5, {})[venue]
        check = StreamCheck(rest, stream, settings, now_ms=stage.clock.now_ms, sleep=stage.clock.sleep)
        yield stage, await check.run(20)


@pytest.mark.parametrize("venue", ["binance", "bybit", "mexc"])
@virtually
async def test_all_is_well(venue: str) -> None:
    """A line of the connection and one of the prints."""
    async with checked(venue) as (_, findings):
        channel, prints = findings
        assert channel.is_ok, channel
        words = r"trades 1: live, (\d+) of \1 covered, \d+ heard, 0 refused, [\d.]+ messages/s, lag"
        assert re.match(words, channel.text), channel.text
        assert prints.is_ok, prints
        assert re.match(r"[\d,]+ prints, \d+ a second, \d+ kB a second inflated; 0 gaps, 0 repeated", prints.text)


@virtually
async def test_silent_symbols_are_named() -> None:
    """Half of what Binance accepts never comes."""
    async with checked("binance", "half") as (_, (channel, _prints)):
        assert len(channel.text.partition("accepted and not heard: ")[2].split(", ")) >= 3, channel.text


@virtually
async def test_nothing_comes() -> None:
    """A venue that answers pings only."""
    async with checked("bybit", "stall") as (_, (channel, prints)):
        assert not channel.is_ok
        assert not prints.is_ok
        assert prints.text.startswith("0 prints")
