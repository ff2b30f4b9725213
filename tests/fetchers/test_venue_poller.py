"""One venue as the feed drives it."""

import asyncio
from collections.abc import Iterator

import pytest
from loguru import logger

from bot.tasks import spawn
from features.facts.market import OrderBook
from fetchers.candidate_polls import POLLS_IN_FLIGHT
from fetchers.errors import BadPayload, FetchError, UnknownSymbol, Unreachable
from fetchers.venue_poller import VenuePoller
from tests.builders import instrument, quotes
from tests.fetchers.memory_venue import MemoryVenue
from tests.hand_clock import HandClock, settle

MANY = tuple(f"C{number}USDT" for number in range(3 * POLLS_IN_FLIGHT))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Collect what is logged."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


def poller_of(venue: MemoryVenue, clock: HandClock) -> VenuePoller:
    """Return a poller that watches all the venue lists."""
    keep: set[asyncio.Task[None]] = set()
    poller = VenuePoller(
        venue,
        now_ms=clock.now_ms,
        sleep=clock.sleep,
        start=lambda coroutine, name: spawn(coroutine, name=name, keep=keep),
        window_s=900,
    )
    poller.watch([instrument(venue=venue.name, id=one) for one in venue.listed])
    return poller


async def test_a_trouble_is_logged_once_when_it_begins_and_once_when_it_ends(log: list[str]) -> None:
    """Ten failing ticks and the recovery make two lines."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY, now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["quotes"] = BadPayload("mexc /ticker: HTTP 200, an empty body where JSON was expected")
    for _ in range(10):
        await poller.quote()
        await clock.advance(5)
    venue.errors.clear()
    for _ in range(3):
        await poller.quote()
        await clock.advance(5)
    assert log == [
        "mexc quotes: failing: mexc /ticker: HTTP 200, an empty body where JSON was expected",
        "mexc quotes: recovered after 55 s",
    ]


async def test_polls_in_flight_are_bounded_and_leave_the_bulk_calls_free() -> None:
    """Hanging books occupy their slots and no more; quotes go through, and the rest follows when books come again."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY, now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    hang = venue.hangs["book"] = asyncio.Event()
    polls = poller.polls.start(MANY, MANY)
    await settle()
    await poller.quote()
    assert len(venue.asked("book")) == POLLS_IN_FLIGHT
    assert len(poller.arrived) == 1
    hang.set()
    await poller.polls.wait_for(polls)
    assert venue.asked("book") == list(MANY)


@pytest.mark.parametrize("error", [UnknownSymbol("mexc C1USDT: code 1001"), BadPayload("mexc C1USDT: NaN")])
async def test_an_instrument_that_fails_alone_is_left_out(error: FetchError, log: list[str]) -> None:
    """It leaves the rotation for a while, the venue stays in use, and the others are polled on."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:3], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["C1USDT"] = error
    for _ in range(3):
        await poller.polls.wait_for(poller.polls.start(poller.polls.rotation(), MANY))
        await settle()
        await clock.advance(5)
    assert poller.polls.rotation() == ["C0USDT", "C2USDT"]
    assert poller.can_be_polled
    assert poller.report({}).quarantined == 1
    assert any("left out for 30 s" in line for line in log)
    await clock.advance(30)
    assert "C1USDT" in poller.polls.rotation()


async def test_an_unknown_symbol_asks_for_the_market_list_once() -> None:
    """What is listed and the venue does not know is left out at once, and a reason to look again, but not each time."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:2], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    await poller.load()
    venue.errors["C1USDT"] = UnknownSymbol("mexc C1USDT: code 1001")
    await poller.polls.wait_for(poller.polls.start(["C1USDT"], ["C1USDT"]))
    assert poller.listed.wants_reload
    assert poller.report({}).quarantined == 1
    poller.listed.wants_reload = False
    await poller.polls.wait_for(poller.polls.start(["C1USDT"], ["C1USDT"]))
    assert not poller.listed.wants_reload


async def test_a_trouble_of_the_whole_venue_leaves_no_instrument_out() -> None:
    """After an hour of HTML in place of books everything is polled again at once."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:3], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["book"] = BadPayload("mexc /depth: HTML")
    for _ in range(5):
        await poller.polls.wait_for(poller.polls.start(poller.polls.rotation(), MANY))
        await settle()
        await clock.advance(5)
    assert sorted(poller.polls.rotation()) == ["C0USDT", "C1USDT", "C2USDT"]


async def test_a_poll_ends_with_its_first_failure() -> None:
    """No prints are asked for where the book did not come."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:1], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["book"] = Unreachable("mexc /depth: reset")
    await poller.polls.wait_for(poller.polls.start(MANY[:1], MANY[:1]))
    await settle()
    assert [what for what, _ in venue.calls] == ["book"]
    assert poller.report({}).errors == 1


async def test_nobody_waits_for_books_that_do_not_come() -> None:
    """After the first failure a hanging venue costs the tick no time, though it is polled on."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY, now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["book"] = Unreachable("mexc /depth: reset")
    await poller.polls.wait_for(poller.polls.start(MANY[:1], MANY[:1]))
    venue.hangs["book"] = asyncio.Event()
    async with asyncio.timeout(1):
        await poller.polls.wait_for(poller.polls.start(MANY, MANY))
    await settle()
    assert len(venue.asked("book")) == 1 + POLLS_IN_FLIGHT


@pytest.mark.parametrize(("has_bulk", "rounds"), [(True, 1), (False, 2)])
async def test_the_history_of_open_interest_is_fetched_once_or_every_five_minutes(has_bulk: bool, rounds: int) -> None:
    """At the start for all, later only for what is new, or again where no bulk reply has it; a failure is retried."""
    clock = HandClock()
    venue = MemoryVenue("mexc", ("AUSDT", "BUSDT"), now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    if has_bulk:
        poller.quotes[frozenset({"open_interest_base"})] = quotes(venue="mexc", open_interest_base=1.0)
    venue.errors["BUSDT"] = Unreachable("mexc: reset")
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(poller.loader.run())
        await settle()
        await clock.advance(10)
        assert (venue.asked("candles"), venue.asked("history")) == (["AUSDT", "BUSDT"], ["AUSDT"])
        assert poller.report({}).warming == 1
        venue.errors.clear()
        await clock.advance(60)
        assert poller.report({}).warming == 0
        poller.watch([instrument(venue="mexc", id=one) for one in ("AUSDT", "BUSDT", "NEWUSDT")])
        assert poller.report({}).warming == 1
        await clock.advance(320)
        assert sorted(venue.asked("history")) == sorted(["AUSDT", "BUSDT", "NEWUSDT"] * rounds)
        assert sorted(venue.asked("candles")) == ["AUSDT", "BUSDT", "BUSDT", "NEWUSDT"]
        assert len(poller.arrived) == 3 * rounds
        keeping.cancel()


async def test_a_failing_clock_does_not_keep_a_venue_out() -> None:
    """The market list counts; the clock is measured when it can be."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:1], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    venue.errors["clock"] = Unreachable("mexc /ping: reset")
    await poller.load()
    was_loaded = poller.is_loaded
    await poller.quote()
    assert (was_loaded, poller.is_loaded) == (False, True)
    assert poller.report({}).clock is None


async def test_nobody_waits_for_the_rotation() -> None:
    """What a decision needs is awaited; the rest of the plan goes on behind it."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:4], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    hang = venue.hangs["C3USDT"] = asyncio.Event()
    async with asyncio.timeout(1):
        await poller.polls.wait_for(poller.polls.start(MANY[:4], MANY[:2]))
    assert {one.id for one in poller.arrived if isinstance(one, OrderBook)} >= {"C0USDT", "C1USDT"}
    hang.set()
    await settle()
    assert {one.id for one in poller.arrived if isinstance(one, OrderBook)} == set(MANY[:4])


async def test_quotes_that_cannot_be_read_have_the_clock_measured_again() -> None:
    """One wrong word of a venue's clock puts all its rows into the future: the next tick already knows better."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:1], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    await poller.load()
    venue.errors["quotes"] = BadPayload("mexc /ticker: no row had a usable timestamp")
    await poller.quote()
    assert len(venue.asked("clock")) == 2
    venue.errors.clear()
    await poller.quote()
    assert len(venue.asked("clock")) == 2


async def test_quotes_that_come_old_have_the_clock_measured_again() -> None:
    """Ours or theirs was set: at once, not only when the market list is due."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:1], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    await poller.load()
    await poller.quote()
    assert len(venue.asked("clock")) == 1
    venue.quotes_age_ms = 30_000
    await poller.quote()
    assert len(venue.asked("clock")) == 2


async def test_a_minute_without_quotes_has_the_windows_filled_again() -> None:
    """After a hold or a blind time the history is asked for once more."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:2], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    for one in MANY[:2]:
        poller.backfill.came(one, clock.now_ms(), is_renewed=False)
    await poller.quote()
    assert poller.report({}).warming == 0
    await clock.advance(61)
    await poller.quote()
    assert poller.report({}).warming == 2


async def test_instruments_that_leave_are_forgotten() -> None:
    """Hundreds of listings come and go in hours, and nothing of them stays."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:2], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    for day in range(200):
        venue.listed = venue.quoted = ["C0USDT", f"N{day}USDT"]
        venue.errors = {f"N{day}USDT": UnknownSymbol("mexc: code 1001")} if day % 2 else {}
        await poller.load()
        await poller.quote()
        poller.watch([instrument(venue="mexc", id=one) for one in venue.listed])
        await poller.polls.wait_for(poller.polls.start(poller.polls.rotation(), venue.listed))
        poller.arrived = []
    parts = (poller, poller.backfill, poller.listed, poller.polls)
    sizes = [len(value) for part in parts for value in vars(part).values() if isinstance(value, dict | set | tuple)]
    assert max(sizes) <= 4
    assert len(poller.polls.quarantine._strikes) <= 1
    assert venue.watched == set(venue.listed)


async def test_two_readings_and_the_venues_word_make_a_delisting() -> None:
    """A list that lacks a pair once says nothing; twice it does, if the venue calls the pair closed or unknown."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:2], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)

    async def reading(*listed: str) -> set[str]:
        venue.listed = list(listed)
        await poller.load()
        return poller.listed.delisted()

    assert await reading("C1USDT") == set()
    assert await reading("C0USDT", "C1USDT") == set(), "one reading without it is nothing"
    await reading("C1USDT")
    assert await reading("C1USDT") == set(), "the venue itself has said nothing of it"
    venue.errors["C0USDT"] = UnknownSymbol("mexc C0USDT: code 1001")
    assert await poller.fetch_candles("C0USDT", 0) is None
    assert poller.listed.delisted() == {"C0USDT"}
    assert poller.listed.wants_reload
    venue.errors["C1USDT"] = UnknownSymbol("mexc C1USDT: code 1001")
    await poller.fetch_candles("C1USDT", 0)
    assert poller.listed.delisted() == {"C0USDT"}, "its word alone, while the list has the pair"
    assert await reading("C0USDT", "C1USDT") == set()


async def test_a_list_that_calls_a_pair_closed_is_the_venues_word() -> None:
    """Such a row twice in a row is a delisting; once, and traded again, is a halt."""
    clock = HandClock()
    venue = MemoryVenue("mexc", MANY[:2], now_ms=clock.now_ms)
    poller = poller_of(venue, clock)
    for closed, delisted in ((True, False), (False, False), (True, False), (True, True)):
        venue.closed = {"C0USDT"} if closed else set()
        await poller.load()
        assert poller.listed.delisted() == ({"C0USDT"} if delisted else set())
