"""Prints by stream and by reply, of one instrument after the other, whatever is lost in between."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.facts.market import Observation, Prints, Trades
from fetchers.errors import Unreachable
from fetchers.streamed_trades import HELD_MS, QUIET_MS, STALLED_MS, StreamedTrades, join_prints
from fetchers.streams.stream_report import StreamReport
from fetchers.venue_calls import VenueCalls
from tests.builders import ID, NOW_MS, VENUE, prints_of, quotes, trades
from tests.fetchers.memory_venue import MemoryVenue
from tests.hand_clock import HandClock

OTHER = "OTHERUSDT"


@dataclass(slots=True)
class FakeStream:
    """A stream that brings what a test puts into it."""

    clock_offset_ms: float = 0.0
    from_ms: dict[str, int] = field(default_factory=dict)
    records: list[Prints] = field(default_factory=list)
    wanted: Mapping[str, float] = field(default_factory=dict)
    volumes: list[tuple[str, float]] = field(default_factory=list)
    is_late: bool = False
    is_closed: bool = False
    fault: Exception | None = None

    async def start(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def want(self, contract_sizes: Mapping[str, float], _: int, /) -> None:
        """Note it."""
        self.wanted = contract_sizes

    async def pump(self, _: int, /) -> tuple[Prints, ...]:
        """Give what is there."""
        if self.fault is not None:
            raise self.fault
        records, self.records = tuple(self.records), []
        return records

    def covered(self, _: int, /) -> frozenset[str]:
        """Return who is."""
        return frozenset(self.from_ms)

    def covered_from_ms(self, symbol: str, /) -> int | None:
        """Return since when."""
        return self.from_ms.get(symbol)

    def is_lagging(self, _: int, /) -> bool:
        """Return what the test says."""
        return self.is_late

    def volume_seen(self, symbol: str, volume_24h: float, _: int, /) -> None:
        """Note it."""
        self.volumes.append((symbol, volume_24h))

    def report(self, _: int, /) -> StreamReport:
        """Have none."""
        raise NotImplementedError


class Bench:
    """Streamed trades of a venue that answers what the test says."""

    def __init__(self, *preferred: str) -> None:
        self.clock = HandClock(NOW_MS)
        self.venue = MemoryVenue(VENUE, (ID, OTHER), now_ms=self.clock.now_ms)
        self.reply: Callable[[], Trades] = lambda: trades(exchange_ms=self.clock.now_ms())
        self.venue.fetch_trades = self.fetch_trades  # type: ignore[method-assign, assignment]
        self.stream = FakeStream()
        self.delivered: list[Observation] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.calls = VenueCalls(self.venue, self.clock.now_ms, self.clock.sleep)
        self.streamed = StreamedTrades(
            self.stream, self.calls, start=self.start, sleep=self.clock.sleep, deliver=self.delivered.append
        )
        self.streamed.want({ID: 1.0, OTHER: 10.0})
        self.streamed.prefer(preferred)

    def start(self, work: Any, _: str) -> "asyncio.Task[None]":
        """Start a task."""
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def fetch_trades(self, _: str, /) -> Trades:
        """Answer."""
        return self.reply()

    async def pump(self, *records: Prints, covered: Mapping[str, int] | None = None) -> list[Observation]:
        """Let these come, and return what is handed on."""
        self.stream.records += records
        if covered is not None:
            self.stream.from_ms = dict(covered)
        await self.streamed.pump()
        await asyncio.gather(*self.tasks)
        found, self.delivered[:] = [*self.delivered], []
        return found


def at(*seconds: float, **changed: Any) -> Trades:
    """Return prints at these seconds after the start."""
    rows = [(NOW_MS + round(1000 * one), 100.0, 1.0, True) for one in seconds]
    return trades(rows, **({"exchange_ms": NOW_MS + 10_000} | changed))


def seconds_of(one: Observation) -> tuple[list[float], bool]:
    """Return when a record's prints were, after the start, and whether they continue."""
    record = cast("Trades", one)
    return [(time_ms - NOW_MS) / 1000 for time_ms in record.time_ms.tolist()], record.continues


async def test_who_is_not_preferred_is_handed_on_as_it_comes() -> None:
    """And is covered as soon as the stream says so."""
    bench = Bench()
    assert not bench.streamed.covers(ID)
    prints = prints_of(at(1, continues=False), at(id=OTHER))
    assert await bench.pump(prints, covered={ID: NOW_MS, OTHER: NOW_MS}) == [prints]
    assert bench.streamed.covers(ID)
    assert bench.streamed.covered_share(2) == 1.0


async def test_the_preferred_are_joined_with_what_was_printed_before() -> None:
    """One reply has it; what both brought comes once, and what others printed meanwhile is not held up."""
    bench = Bench(ID)
    bench.reply = lambda: at(-200, -100, 1, 2, continues=False)
    other = at(1, id=OTHER)
    found = await bench.pump(prints_of(at(1, continues=False), other), covered={ID: NOW_MS, OTHER: NOW_MS})
    assert isinstance(found[0], Prints)
    assert found[0].symbols == (OTHER,)
    assert seconds_of(found[1]) == ([-200, -100, 1, 2], False)
    assert bench.streamed.bridged == 1
    again = prints_of(at(3))
    assert await bench.pump(again) == [again]


async def test_a_loss_of_seconds_leaves_the_windows_whole() -> None:
    """The reply reaches back to what is known, so the windows go on."""
    bench = Bench(ID)
    bench.reply = lambda: at(-1, continues=False)
    await bench.pump(covered={ID: NOW_MS})
    await bench.pump(prints_of(at(1, 2)))
    await bench.pump(covered={})
    assert not bench.streamed.covers(ID)
    bench.reply = lambda: at(0, 1, 2, 3, 4, continues=False)
    found = await bench.pump(prints_of(at(4, 5, continues=False)), covered={ID: NOW_MS + 4000})
    assert [seconds_of(one) for one in found] == [([3, 4, 5], True)]


async def test_without_a_reply_there_is_a_gap() -> None:
    """What was held comes, and says that something may lack."""
    bench = Bench(ID)

    def fail() -> Trades:
        raise Unreachable("no route")

    bench.reply = fail
    found = await bench.pump(prints_of(at(4, continues=False)), covered={ID: NOW_MS})
    assert [seconds_of(one) for one in found] == [([4], False)]


async def test_replies_after_a_loss_bring_only_what_is_new() -> None:
    """The first says what the stream had not brought; the others follow it by themselves, equal times included."""
    bench = Bench()
    await bench.pump(prints_of(at(1, 2)), covered={ID: NOW_MS})
    await bench.pump(covered={})
    assert seconds_of(bench.streamed.join(at(0, 1, 2, 3, continues=False))) == ([3], True)
    assert seconds_of(bench.streamed.join(at(3, 3, 4))) == ([3, 3, 4], True)


async def test_quiet_is_said_of_those_that_are_covered() -> None:
    """Not while it is unknown whether something lacks, and not where nobody reads the sockets."""
    bench = Bench()
    assert bench.streamed.quiet(VENUE) is None
    await bench.pump(prints_of(at(1)), covered={ID: NOW_MS, OTHER: NOW_MS})
    quiet = bench.streamed.quiet(VENUE)
    assert quiet is not None
    assert (quiet.symbols, quiet.continues.tolist(), quiet.block.shape) == ((ID,), [True], (4, 0))
    await bench.clock.advance(QUIET_MS / 1000)
    assert bench.streamed.quiet(VENUE) is None
    assert not bench.streamed.covers(ID)
    await bench.pump()
    quiet = bench.streamed.quiet(VENUE)
    assert quiet is not None
    assert dict(zip(quiet.symbols, quiet.continues.tolist(), strict=True)) == {ID: True, OTHER: True}
    await bench.clock.advance(STALLED_MS / 1000)
    assert bench.streamed.quiet(VENUE) is None


async def test_who_comes_back_and_stays_quiet_has_a_gap() -> None:
    """Once, as soon as it is sure that it is quiet."""
    bench = Bench()
    await bench.pump(prints_of(at(1)), covered={ID: NOW_MS})
    await bench.pump(covered={})
    await bench.pump(covered={ID: NOW_MS + 5000})
    assert bench.streamed.quiet(VENUE) is None
    await bench.clock.advance((5000 + QUIET_MS) / 1000)
    await bench.pump()
    said = [bench.streamed.quiet(VENUE) for _ in range(2)]
    assert [one and one.continues.tolist() for one in said] == [[False], [True]]


async def test_a_fault_of_the_stream_covers_nobody() -> None:
    """Replies bring the prints then; the sockets are closed at the end."""
    bench = Bench()
    await bench.pump(covered={ID: NOW_MS})
    bench.stream.fault = ZeroDivisionError()
    running = bench.start(bench.streamed.run(), "run")
    await bench.clock.advance(0.2)
    assert bench.streamed.covered_share(1) == 0.0
    bench.stream.fault = None
    await bench.clock.advance(6)
    assert bench.streamed.covers(ID)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.stream.is_closed


async def test_volumes_and_lag() -> None:
    """Of those that are covered; nobody covered is no lag."""
    bench = Bench()
    bench.stream.is_late = True
    lags = [bench.streamed.is_lagging]
    await bench.pump(covered={ID: NOW_MS})
    assert [*lags, bench.streamed.is_lagging] == [False, True]
    bench.streamed.note_volumes([quotes(ids=(OTHER, ID), volume_base_24h=np.array([1.0, 2.0])), quotes()])
    assert bench.stream.volumes == [(ID, 2.0)]


TIMES = st.lists(st.integers(0, 40), max_size=12).map(sorted)


@given(true=TIMES, known=st.integers(0, 12), reply_from=st.integers(0, 12), reply_to=st.integers(0, 12), data=st.data())
def test_a_join_brings_each_print_once(true: list[int], known: int, reply_from: int, reply_to: int, data: Any) -> None:
    """Of prints at different times nothing comes twice, and nothing lacks where the join says that it continues."""
    true = sorted(set(true))
    known, reply_from = min(known, len(true)), min(reply_from, len(true))
    reply_to = max(min(reply_to, len(true)), reply_from)
    held_from = data.draw(st.integers(known, max(known, reply_to)))
    reply = at(*true[reply_from:reply_to], continues=False)
    held = [at(*true[held_from:], continues=False)] if held_from < len(true) else []
    last_ms = NOW_MS + 1000 * true[known - 1] if known else 0.0
    joined, continues = seconds_of(join_prints(reply, held, last_ms))
    assert joined == sorted(set(joined))
    assert set(joined) <= set(true[known:])
    if continues:
        assert joined == true[known:]


def test_held_prints_that_follow_by_number_continue() -> None:
    """Binance's numbers prove what a short reply cannot."""
    held = replace(at(5), continues=True)
    assert seconds_of(join_prints(at(4, 5, continues=False), [held], NOW_MS + 3000.0)) == ([4, 5], True)
    assert seconds_of(join_prints(at(4, 5, continues=False), [held], 0.0)) == ([4, 5], False)


def test_a_join_waits_no_longer_than_prices_live() -> None:
    """A hot instrument is not blind for longer than a few looks."""
    assert HELD_MS <= 5_000
