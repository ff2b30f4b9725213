"""A venue's stream on loopback: the simulated market, its server, and the stream that reads it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.facts.market import Prints
from features.settings import FeatureSettings
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.server import Servers, serve
from fetchers.simulated.streams.stream_server import StreamsSeen
from fetchers.simulated.streams.stream_wire import row_of
from fetchers.streams.build import WIRES
from fetchers.streams.venue_stream import PUMP_MS, VenueStream
from tests.builders import NOW_MS
from tests.virtual_time import VirtualClock

SEED = 7
LONGEST_S = 600.0

#: (symbol, time, price, quantity, taker sold)
Print = tuple[str, float, float, float, bool]


@dataclass(slots=True, eq=False)
class Stage:
    """One stream, and everything that it gave."""

    venue: str
    servers: Servers
    clock: VirtualClock
    stream: VenueStream
    sizes: Mapping[str, float]
    records: list[Prints] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Pump for so long."""
        until_ms = self.clock.now_ms() + round(1000 * seconds)
        while self.clock.now_ms() < until_ms:
            await self.pump()

    async def pump(self) -> None:
        """Pump once and wait for the next time."""
        due_ms = self.clock.now_ms() + PUMP_MS
        self.records += await self.stream.pump(self.clock.now_ms())
        await self.clock.sleep(max(0, due_ms - self.clock.now_ms()) / 1000)

    async def until(self, share: float = 1.0, *, most_s: float = LONGEST_S) -> float:
        """Pump until this share of the symbols is covered, and return how long that took [s]."""
        from_ms = self.clock.now_ms()
        while len(self.stream.covered(self.clock.now_ms())) < share * len(self.sizes):
            assert self.clock.now_ms() - from_ms < 1000 * most_s, self.stream.report(self.clock.now_ms())
            await self.pump()
        return (self.clock.now_ms() - from_ms) / 1000

    def prints(self, from_ms: float = 0) -> list[Print]:
        """Return all prints that were given, from a time on, in order."""
        found: list[Print] = []
        for record in self.records:
            for i, symbol in enumerate(record.symbols):
                columns = record.block[:, record.starts[i] : record.starts[i + 1]].T.tolist()
                found += [(symbol, *one[:3], bool(one[3])) for one in columns if one[0] >= from_ms]
        return sorted(found)

    def true_prints(self, from_ms: int, to_ms: int) -> list[Print]:
        """Return the market's prints from a time on and before another, in order."""
        found = []
        for symbol in self.sizes:
            row = row_of(self.servers.market, self.venue, symbol)
            assert row is not None
            prints = self.servers.market.prints(self.venue, symbol, from_ms, to_ms - 1)
            price = np.round(prints.price_ticks * row.tick, row.price_decimals)
            rows = zip(
                prints.time_ms.tolist(), price.tolist(), prints.quantity.tolist(), prints.is_sell.tolist(), strict=True
            )
            found += [(symbol, *one) for one in rows]
        return sorted(found)

    def url(self) -> str:
        """Return where the stream is."""
        return self.servers.stream_urls[self.venue]


def rounded(prints: list[Print]) -> list[Print]:
    """Return prints as they compare: quantities went through text."""
    return [(symbol, at, float(f"{price:.9g}"), float(f"{size:.6g}"), side) for symbol, at, price, size, side in prints]


@asynccontextmanager
async def staged(venue: str, *, coins: int = 8, start: bool = True, **changed: Any) -> AsyncIterator[Stage]:
    """Serve a market of some coins and read one venue's stream, on the virtual clock of the running loop."""
    clock = VirtualClock()
    market = SimulatedMarket(
        seed=SEED, coins_per_venue=coins, scenario=Scenario(settings=FeatureSettings()), start_ms=NOW_MS - 600_000
    )
    servers = await serve(market, clock.now_ms)
    random = np.random.default_rng(SEED)
    rows = [row for row in market.rows[venue] if row.kind is ListingKind.PERPETUAL]
    sizes = {row.id: row.contract_size for row in rows}
    stream = VenueStream(WIRES[venue], draw=random.random, base_url=servers.stream_urls[venue], **changed)
    stage = Stage(venue, servers, clock, stream, sizes)
    await stream.start()
    try:
        if start:
            stream.want(sizes, clock.now_ms())
        yield stage
    finally:
        await stream.close()
        await servers.close()


async def lose(venue: str, losses: int) -> StreamsSeen:
    """End a venue's connections so often, each time once they are heard, and return what the venue saw."""
    async with staged(venue, coins=6) as stage:
        for i in range(losses):
            await stage.until(0.3)
            await stage.servers.streams[venue].end_all((1000, 1001, 1006, 1008, 1011, 1012)[i % 6])
            await stage.run(0.5)
        await stage.until(0.3)
        return stage.servers.streams_seen[venue]
