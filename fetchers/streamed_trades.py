"""A venue's prints by stream: who is covered by it, and how its prints and those of replies join."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from loguru import logger

from features.facts.market import Observation, Prints, Quotes, Trades, read_only
from fetchers.candidate_polls import Spawn
from fetchers.errors import FetchError
from fetchers.streams.stream_report import StreamReport
from fetchers.venue_calls import VenueCalls

PUMP_S = 0.1  #: between two readings of the sockets
STALLED_MS = 2_000  #: without a reading for so long, nobody is covered
AFTER_FAULT_S = 5.0
HELD_MS = 3_000  #: prints of an instrument wait so long for the reply that joins them with those before
QUIET_MS = 15_000  #: covered for so long without a print: it is quiet


class TradeStream(Protocol):
    """The trade streams of one venue; `fetchers.streams.venue_stream.VenueStream` is one."""

    clock_offset_ms: float

    async def start(self) -> None:
        """Create the session."""

    async def close(self) -> None:
        """Close all sockets and the session."""

    def want(self, contract_sizes: Mapping[str, float], now_ms: int, /) -> None:
        """Want the prints of these symbols, and of no others."""

    async def pump(self, now_ms: int, /) -> tuple[Prints, ...]:
        """Read what the sockets have, and return the prints."""

    def covered(self, now_ms: int, /) -> frozenset[str]:
        """Return the symbols whose prints surely come."""

    def covered_from_ms(self, symbol: str, /) -> int | None:
        """Return since when a symbol's prints are whole, None where they are not."""

    def is_lagging(self, now_ms: int, /) -> bool:
        """Return whether what is known of the market is late."""

    def volume_seen(self, symbol: str, volume_24h: float, now_ms: int, /) -> None:
        """Take a 24 h volume of the quotes, which shows who trades without a sound."""

    def report(self, now_ms: int, /) -> StreamReport:
        """Return how all is doing."""


class StreamedTrades:
    """Reads a stream, and hands on what it brings; whoever matters is joined with what was printed before.

    An instrument that begins to be covered, at the start or after a loss, and is among the `preferred` is held for the
    moment that one reply with its last prints takes, so that its windows are not lost.
    """

    def __init__(
        self,
        stream: TradeStream,
        calls: VenueCalls,
        *,
        start: Spawn,
        sleep: Callable[[float], Awaitable[None]],
        deliver: Callable[[Observation], None],
    ) -> None:
        self._stream = stream
        self._calls = calls
        self._start = start
        self._sleep = sleep
        self._deliver = deliver
        self._preferred: Collection[str] = ()
        self._covered: frozenset[str] = frozenset()
        self._from_ms: dict[str, int] = {}  # since when the stream covers an instrument, as handed on
        self._is_new: set[str] = set()  # covered, and nothing handed on since
        self._held: dict[str, list[Trades]] = {}
        self._last_ms: dict[str, float] = {}  # the last print handed on, where no reply came since
        self._pumped_ms = 0
        self.bridged = 0  #: instruments whose prints were joined

    async def run(self) -> None:
        """Read the sockets until cancelled."""
        await self._stream.start()
        try:
            while True:
                await self._try_pump()
                await self._sleep(PUMP_S)
        finally:
            await self._stream.close()

    async def _try_pump(self) -> None:
        try:
            await self.pump()
        except Exception:  # noqa: BLE001 - the stream's guard: without it replies bring the prints
            logger.exception("{}: reading its streams failed unexpectedly", self._calls.venue.name)
            self._covered = frozenset()
            await self._sleep(AFTER_FAULT_S)

    async def pump(self) -> None:
        """Read the sockets once."""
        now_ms = self._pumped_ms = self._calls.now_ms()
        records = await self._stream.pump(now_ms)
        self._note_covered(now_ms)
        for prints in records:
            self._hand_on(prints)

    def want(self, contract_sizes: Mapping[str, float]) -> None:
        """Take over the instruments of the universe, with the size of their contracts [base]."""
        self._stream.want(contract_sizes, self._calls.now_ms())
        for known in (self._from_ms, self._last_ms):
            for symbol in known.keys() - contract_sizes.keys():
                del known[symbol]

    def prefer(self, symbols: Collection[str]) -> None:
        """Join the prints of these with earlier ones as soon as they are covered."""
        self._preferred = frozenset(symbols)

    def set_clock_offset(self, offset_ms: float) -> None:
        """Take over by how much the venue's clock is ahead."""
        self._stream.clock_offset_ms = offset_ms

    def note_volumes(self, replies: Sequence[Quotes]) -> None:
        """Take the 24 h volumes of bulk replies."""
        now_ms = self._calls.now_ms()
        for reply in replies:
            if reply.volume_base_24h is None:
                continue
            for symbol, volume in zip(reply.ids, reply.volume_base_24h.tolist(), strict=True):
                if symbol in self._covered:
                    self._stream.volume_seen(symbol, volume, now_ms)

    def covers(self, symbol: str) -> bool:
        """Return whether a reply with its prints is not needed."""
        return symbol in self._covered and self._is_read()

    def covered_share(self, wanted: int) -> float:
        """Return how many of so many instruments are covered [0…1]."""
        return len(self._covered) / max(wanted, 1) if self._is_read() else 0.0

    def _is_read(self) -> bool:
        return self._calls.now_ms() - self._pumped_ms < STALLED_MS

    @property
    def is_lagging(self) -> bool:
        """Whether what is known of the market is late: no time for decisions between ticks."""
        return bool(self._covered) and self._stream.is_lagging(self._calls.now_ms())

    def report(self) -> StreamReport:
        """Return how the stream is doing."""
        return self._stream.report(self._calls.now_ms())

    def quiet(self, venue: str) -> Prints | None:
        """Return that nothing else was printed until now by those that are covered; None where nobody is."""
        now_ms = self._calls.now_ms()
        late = {one for one in self._is_new if now_ms - self._from_ms.get(one, now_ms) >= QUIET_MS}
        self._is_new -= late
        symbols = tuple(sorted(one for one in self._covered - self._is_new if one not in self._held))
        if not symbols or not self._is_read():
            return None
        return Prints(
            venue=venue,
            symbols=symbols,
            starts=read_only(np.zeros(len(symbols) + 1), np.int64),
            block=read_only(np.empty((4, 0)), np.float64),
            continues=read_only([one not in late for one in symbols], np.bool_),
            read_ms=self._pumped_ms,
            lag_ms=0.0,
        )

    def join(self, reply: Trades) -> Trades:
        """Return a reply without what the stream had brought already."""
        # from here on replies follow each other by themselves
        return join_prints(reply, (), self._last_ms.pop(reply.id, 0.0))

    def _note_covered(self, now_ms: int) -> None:
        self._covered = self._stream.covered(now_ms)
        for symbol in self._covered:
            from_ms = self._stream.covered_from_ms(symbol)
            if from_ms is None or self._from_ms.get(symbol) == from_ms:
                continue
            self._from_ms[symbol] = from_ms
            self._is_new.add(symbol)
            if symbol in self._preferred and symbol not in self._held:
                self._held[symbol] = []
                self._start(self._bridge(symbol, now_ms), f"prints before those of the stream: {symbol}")

    def _hand_on(self, prints: Prints) -> None:
        held = [one for one in prints.symbols if one in self._held]
        for symbol in held:
            if (trades := prints.of(symbol)) is not None:
                self._held[symbol].append(trades)
        if held:
            prints = _without(prints, held)
        self._is_new.difference_update(prints.symbols)
        filled = prints.starts[1:] > prints.starts[:-1]
        last_ms = prints.block[0, prints.starts[1:][filled] - 1].tolist()
        self._last_ms.update(zip([s for s, f in zip(prints.symbols, filled, strict=True) if f], last_ms, strict=True))
        if prints.symbols:
            self._deliver(prints)

    async def _bridge(self, symbol: str, since_ms: int) -> None:
        """Join an instrument's prints with those before by one reply."""
        calls, reply = self._calls, None
        try:
            await calls.wait_for_room(calls.venue.trades_cost)
            if calls.now_ms() - since_ms < HELD_MS:
                async with calls.counted("trades"):
                    reply = await calls.venue.fetch_trades(symbol)
        except FetchError:
            pass  # counted and logged
        finally:
            held, last_ms = self._held.pop(symbol), self._last_ms.get(symbol, 0.0)
        if reply is not None:
            self.bridged += 1
            joined = join_prints(reply, held, last_ms)
            self._is_new.discard(symbol)
            self._note_last(joined)
            self._deliver(joined)
            return
        for trades in held:
            self._is_new.discard(symbol)
            self._note_last(trades)
            self._deliver(trades)

    def _note_last(self, trades: Trades) -> None:
        if len(trades.time_ms):
            self._last_ms[trades.id] = float(trades.time_ms[-1])


def join_prints(reply: Trades, held: Sequence[Trades], last_ms: float) -> Trades:
    """Return what a reply adds after `last_ms`, the last print that is known, and what a stream `held` adds to that.

    Prints carry no number here, so they are told apart by their time: of a millisecond that is known in part the rest
    is left out. `last_ms` is 0 where nothing is known.
    """
    time_ms = reply.time_ms
    is_later = time_ms > last_ms
    blocks = [reply.prints[:, is_later]]
    end_ms = float(time_ms[-1]) if len(time_ms) else last_ms
    blocks += [one.prints[:, one.time_ms > end_ms] for one in held]
    overlaps = last_ms > 0 and not is_later.all()
    chained = last_ms > 0 and bool(held) and held[0].continues
    return replace(
        reply,
        prints=read_only(np.concatenate(blocks, axis=1), np.float64),
        exchange_ms=max([reply.exchange_ms, *(one.exchange_ms for one in held)]),
        received_ms=max([reply.received_ms, *(one.received_ms for one in held)]),
        continues=reply.continues or overlaps or chained,
    )


def _without(prints: Prints, symbols: Collection[str]) -> Prints:
    kept = np.array([one not in symbols for one in prints.symbols], dtype=bool)
    count = np.diff(prints.starts)
    return replace(
        prints,
        symbols=tuple(one for one in prints.symbols if one not in symbols),
        starts=read_only(np.append(0, np.cumsum(count[kept])), np.int64),
        block=read_only(prints.block[:, np.repeat(kept, count)], np.float64),
        continues=read_only(prints.continues[kept], np.bool_),
    )
