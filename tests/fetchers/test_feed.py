"""The feed over venues in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.tasks import spawn
from features.facts.market import Observation
from fetchers.errors import BadPayload, RateLimited, Unreachable
from fetchers.feed import Feed
from fetchers.health import Condition
from fetchers.poll_plan import Wanted
from fetchers.transport.pools import ClockMinute, Pool, Sliding
from fetchers.universe import UniverseSettings
from tests.fetchers.memory_venue import MemoryVenue
from tests.hand_clock import HandClock, settle

DEADLINE_S = 0.05
IDS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


@asynccontextmanager
async def feed_of(*venues: MemoryVenue, clock: HandClock) -> AsyncIterator[Feed]:
    """Yield a feed that is closed at the end, and whose background tasks must not have broken."""
    keep: set[asyncio.Task[None]] = set()
    broken: list[BaseException] = []

    def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        def note(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                broken.append(error)

        task = spawn(coroutine, name=name, keep=keep)
        task.add_done_callback(note)
        return task

    feed = Feed(venues, settings=UniverseSettings(), now_ms=clock.now_ms, sleep=clock.sleep, spawn=start)
    try:
        yield feed
    finally:
        await feed.close()
    assert not broken
    assert not keep


def candidates(venue: str, ids: Sequence[str] = IDS) -> list[Wanted]:
    """Return candidates of a venue, the first the best."""
    return [
        Wanted(key=(venue, instrument_id), kind="candidate", bound=90 - rank) for rank, instrument_id in enumerate(ids)
    ]


def kinds(observations: Sequence[Observation]) -> list[tuple[str, str]]:
    """Return (kind, venue) of each, sorted."""
    return sorted((type(one).__name__, one.venue) for one in observations)


async def polled(feed: Feed, wanted: Sequence[Wanted], deadline_s: float) -> list[Observation]:
    """Return all portions of a poll together."""
    return [one async for portion in feed.poll_candidates(lambda: wanted, deadline_s) for one in portion]


def venues_of(*names: str, clock: HandClock) -> list[MemoryVenue]:
    """Return venues that list the same three coins."""
    return [MemoryVenue(name, IDS, now_ms=clock.now_ms) for name in names]


async def test_start_loads_all_venues_and_a_tick_polls_them() -> None:
    """After start the universe is whole; quotes come of each venue, then books and prints of what is wanted."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        assert [one.key for one in feed.universe.instruments] == [(name, i) for name in ("mexc", "bybit") for i in IDS]
        assert {one.coin for one in feed.universe.instruments} == {"AAA", "BBB", "CCC"}
        await feed.poll_quotes(DEADLINE_S)
        assert kinds(await feed.poll_quotes(DEADLINE_S)) == [("Quotes", "bybit"), ("Quotes", "mexc")]
        came = await polled(feed, candidates("mexc"), DEADLINE_S)
        assert kinds(came) == sorted(
            [(kind, name) for kind in ("OrderBook", "Trades") for name in ("mexc", "bybit")] * 3
        )
        status = feed.status()["mexc"]
        assert (status.condition, status.kept, status.polls.polled) == (Condition.OK, 3, 3)
        assert status.clock is not None
        assert status.requests == 3
    assert not mexc.is_open


async def test_a_venue_that_fails_at_start_joins_later() -> None:
    """Start returns with the venues that answer; the other is tried again and enters a new universe."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    mexc.errors["markets"] = Unreachable("mexc /detail: refused")
    async with feed_of(mexc, bybit, clock=clock) as feed:
        async with asyncio.timeout(1):
            await feed.start()
        before = feed.universe
        assert {one.venue for one in before.instruments} == {"bybit"}
        assert feed.status()["mexc"].last_error == "mexc /detail: refused"
        await clock.advance(2)
        mexc.errors.clear()
        assert ("Quotes", "bybit") in kinds(await feed.poll_quotes(DEADLINE_S))
        await clock.advance(4)
        assert feed.universe is not before
        assert {one.venue for one in feed.universe.instruments} == {"mexc", "bybit"}


async def test_without_any_venue_start_says_why_of_each_and_closes() -> None:
    """The error names every venue with its reason."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    mexc.errors["markets"] = Unreachable("mexc /detail: refused")
    bybit.hangs["markets"] = asyncio.Event()
    async with feed_of(mexc, bybit, clock=clock) as feed:
        with pytest.raises(Unreachable, match=r"0\.05 s: mexc: mexc /detail: refused; bybit: no answer"):
            await feed.start(deadline_s=DEADLINE_S)
    assert not bybit.is_open


async def test_a_failed_venue_is_a_gap_and_a_late_one_comes_with_the_next_poll() -> None:
    """Neither an error nor a hang of one venue costs the others a quote, and nothing late is lost."""
    clock = HandClock()
    lbank, mexc, bybit = venues_of("lbank", "mexc", "bybit", clock=clock)
    async with feed_of(lbank, mexc, bybit, clock=clock) as feed:
        await feed.start()
        await feed.poll_quotes(DEADLINE_S)
        lbank.errors["quotes"] = BadPayload("lbank marketData: empty")
        mexc.hangs["quotes"] = asyncio.Event()
        assert kinds(await feed.poll_quotes(DEADLINE_S)) == [("Quotes", "bybit")]
        assert kinds(await feed.poll_quotes(DEADLINE_S)) == [("Quotes", "bybit")]
        mexc.hangs.pop("quotes").set()
        await settle()
        assert kinds(await feed.poll_quotes(DEADLINE_S)) == [
            ("Quotes", "bybit"),
            ("Quotes", "mexc"),
            ("Quotes", "mexc"),
        ]
        assert mexc.asked("quotes") == [""] * 4  # at start, well, hung through two polls, well again
        assert feed.status()["lbank"].condition == Condition.DEGRADED


async def test_a_failing_venue_is_asked_but_not_waited_for() -> None:
    """Once its quotes have failed, even a hang does not hold up the poll; when it answers it is back at once."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        mexc.errors["quotes"] = Unreachable("mexc /ticker: reset")
        await feed.poll_quotes(DEADLINE_S)
        mexc.errors.clear()
        hang = mexc.hangs["quotes"] = asyncio.Event()
        async with asyncio.timeout(1):
            await feed.poll_quotes(deadline_s=60)
        hang.set()
        mexc.hangs.clear()
        await settle()
        assert ("Quotes", "mexc") in kinds(await feed.poll_quotes(DEADLINE_S))


async def test_a_venue_on_hold_is_left_alone() -> None:
    """A venue that wants no calls gets none until its time, and the others go on."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        bybit.errors["quotes"] = RateLimited("bybit: 403", until_ms=clock.now_ms() + 600_000)
        await feed.poll_quotes(DEADLINE_S)
        bybit.calls.clear()
        bybit.errors.clear()
        await clock.advance(599)
        await feed.poll_quotes(DEADLINE_S)
        await polled(feed, candidates("bybit"), DEADLINE_S)
        assert bybit.calls == []
        assert feed.status()["bybit"].condition == Condition.HELD
        await clock.advance(1)
        await feed.poll_quotes(DEADLINE_S)
        await settle()
        assert bybit.asked("quotes") == [""]
        assert feed.status()["bybit"].condition == Condition.OK


async def test_what_the_budget_does_not_allow_at_once_is_paced_and_comes_later() -> None:
    """Two books fit at once; the poll does not wait for the third, which comes with the next one."""
    clock = HandClock()
    mexc = MemoryVenue("mexc", IDS, now_ms=clock.now_ms, pool=Sliding(2 / 0.7, 1_000))
    async with feed_of(mexc, clock=clock) as feed:
        await feed.start()
        await feed.poll_quotes(DEADLINE_S)
        async with asyncio.timeout(1):
            came = await polled(feed, candidates("mexc"), deadline_s=60)
        assert kinds(came) == [("OrderBook", "mexc")] * 2 + [("Trades", "mexc")] * 2
        assert mexc.asked("book") == ["AAAUSDT", "BBBUSDT"]
        await clock.advance(1.1)
        assert mexc.asked("book") == ["AAAUSDT", "BBBUSDT", "CCCUSDT"]
        assert ("OrderBook", "mexc") in kinds(await feed.poll_quotes(DEADLINE_S))


async def test_a_new_plan_replaces_what_was_not_sent() -> None:
    """What the last plan could not send is dropped; the new plan's best goes first."""
    clock = HandClock()
    mexc = MemoryVenue("mexc", IDS, now_ms=clock.now_ms, pool=Sliding(1 / 0.7, 2_000))
    async with feed_of(mexc, clock=clock) as feed:
        await feed.start()
        await polled(feed, candidates("mexc", ("AAAUSDT", "BBBUSDT")), DEADLINE_S)
        await polled(feed, candidates("mexc", ("CCCUSDT",)), DEADLINE_S)
        await clock.advance(2.1)
        assert mexc.asked("book") == ["AAAUSDT", "CCCUSDT"]


async def test_the_rotation_sees_every_book_in_turn() -> None:
    """With nothing wanted, the least recently polled goes first."""
    clock = HandClock()
    mexc = MemoryVenue("mexc", IDS, now_ms=clock.now_ms, pool=Sliding(1 / 0.7, 5_000))
    async with feed_of(mexc, clock=clock) as feed:
        await feed.start()
        for _ in range(6):
            await polled(feed, [], DEADLINE_S)
            await clock.advance(5.1)
        assert mexc.asked("book") == [*IDS, *IDS]


async def test_an_unknown_id_in_the_quotes_reloads_the_universe_off_the_tick() -> None:
    """A new listing enters, one that is gone leaves, not sooner than a minute after the last load, and only once."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        before = feed.universe
        mexc.listed = mexc.quoted = ["BBBUSDT", "CCCUSDT", "NEWUSDT"]
        mexc.quoted = [*mexc.listed, "ANOTHER_MARKET"]
        await feed.poll_quotes(DEADLINE_S)
        await clock.advance(59)
        await feed.poll_quotes(DEADLINE_S)
        assert feed.universe is before
        for _ in range(4):
            await clock.advance(61)
            await feed.poll_quotes(DEADLINE_S)
            await settle()
        assert [one.id for one in feed.universe.instruments if one.venue == "mexc"] == mexc.listed
        assert len(mexc.asked("markets")) == 2


async def test_the_universe_is_reloaded_every_quarter_of_an_hour_and_a_failure_keeps_the_old_list() -> None:
    """A venue whose list does not load keeps its instruments; the others get theirs anew."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        before = feed.universe
        mexc.errors["markets"] = Unreachable("mexc /detail: HTTP 500")
        bybit.listed = ["AAAUSDT"]
        await clock.advance(901)
        await feed.poll_quotes(DEADLINE_S)
        await settle()
        assert feed.universe is not before
        assert [one.key for one in feed.universe.instruments] == [*(("mexc", one) for one in IDS), ("bybit", "AAAUSDT")]


async def test_a_name_lasts_over_a_restart_and_while_it_is_in_use() -> None:
    """An instrument keeps the name of the last run until two reloads agree on another and nothing of it is in use."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start(coins={("mexc", "AAAUSDT"): "AAA@mexc"})

        def coin() -> str:
            return next(one.coin for one in feed.universe.instruments if one.key == ("mexc", "AAAUSDT"))

        async def reload(held: Collection[str]) -> None:
            async for _ in feed.poll_candidates(list, DEADLINE_S, held=held):
                pass
            await clock.advance(901)
            for _ in range(2):  # the second poll finds the universe that the first had loaded with its quotes
                await feed.poll_quotes(DEADLINE_S)
                await settle()

        assert coin() == "AAA@mexc"
        for held in ({"AAA@mexc"}, {"mexc:AAAUSDT"}, {"AAA"}):
            await reload(held)
            assert coin() == "AAA@mexc"
        await reload(())
        assert coin() == "AAA"


async def test_the_instrument_of_an_open_signal_stays_whatever_its_volume() -> None:
    """What start was told to keep, and what the last plan followed, survive the volume band."""
    clock = HandClock()
    (mexc,) = venues_of("mexc", clock=clock)
    keep: set[asyncio.Task[None]] = set()
    feed = Feed(
        [mexc],
        settings=UniverseSettings(min_quote_volume=6e6),
        now_ms=clock.now_ms,
        sleep=clock.sleep,
        spawn=lambda coroutine, name: spawn(coroutine, name=name, keep=keep),
    )
    await feed.start(keep=[("mexc", "BBBUSDT")])
    assert [(one.id, one.is_eligible) for one in feed.universe.instruments] == [("BBBUSDT", False)]
    await polled(feed, [Wanted(key=("mexc", "BBBUSDT"), kind="open")], DEADLINE_S)
    assert mexc.asked("book") == ["BBBUSDT"]
    await clock.advance(901)
    await feed.poll_quotes(DEADLINE_S)
    await settle()
    assert [one.id for one in feed.universe.instruments] == ["BBBUSDT"]
    await feed.close()


async def test_two_minutes_of_blindness_and_the_end_of_it_are_noticed_once() -> None:
    """One notice when a venue has been blind for two minutes, one when it is back."""
    clock = HandClock()
    mexc, bybit = venues_of("mexc", "bybit", clock=clock)
    said = []
    async with feed_of(mexc, bybit, clock=clock) as feed:
        await feed.start()
        mexc.errors["quotes"] = Unreachable("mexc /ticker: refused")
        for tick in range(60):
            if tick == 40:
                mexc.errors.clear()
            await clock.advance(5)
            await feed.poll_quotes(DEADLINE_S)
            await settle()
            said += [(notice.venue, notice.is_back, tick) for notice in feed.notices()]
    assert said == [("mexc", False, 23), ("mexc", True, 41)]


async def test_candles_are_none_where_the_venue_does_not_answer() -> None:
    """A failed request for candles is a gap, counted against the venue."""
    clock = HandClock()
    (mexc,) = venues_of("mexc", clock=clock)
    async with feed_of(mexc, clock=clock) as feed:
        mexc.errors["candles"] = Unreachable("mexc /kline: reset")
        assert await feed.fetch_candles(("mexc", "AAAUSDT"), 0) is None
        assert feed.status()["mexc"].last_error == "mexc /kline: reset"


@pytest.mark.parametrize("pool", [ClockMinute(600), Sliding(100, 5_000), Sliding(10, 2_000)])
async def test_nothing_wanted_is_deferred_while_a_tenth_of_the_budget_is_idle(pool: Pool) -> None:
    """With more wanted than fits, a minute's polls use up nine tenths of what is usable, and never more than all."""
    clock = HandClock()
    many = [f"C{number}USDT" for number in range(200)]
    mexc = MemoryVenue("mexc", many, now_ms=clock.now_ms, pool=pool)
    usable = 0.7 * pool.limit * 60_000 / pool.window_ms
    async with feed_of(mexc, clock=clock) as feed:
        await feed.start()
        books = []
        for _ in range(25):
            await feed.poll_quotes(DEADLINE_S)
            await polled(feed, candidates("mexc", many), DEADLINE_S)
            books.append(len(mexc.asked("book")))
            for _ in range(50):
                await clock.advance(0.1)
        assert 0.9 * usable <= books[24] - books[12] <= usable * (1 + 2 * pool.window_ms / 60_000)
        assert feed.status()["mexc"].polls.starved > 0


async def test_dull_instruments_cost_a_fifth() -> None:
    """With nothing wanted, polls take the rotation's share and no more."""
    clock = HandClock()
    many = [f"C{number}USDT" for number in range(200)]
    mexc = MemoryVenue("mexc", many, now_ms=clock.now_ms, pool=Sliding(100, 5_000))
    async with feed_of(mexc, clock=clock) as feed:
        await feed.start()
        for _ in range(10):
            await feed.poll_quotes(DEADLINE_S)
            await polled(feed, [], DEADLINE_S)
            await clock.advance(5)
        assert len(mexc.asked("book")) == 10 * 14
