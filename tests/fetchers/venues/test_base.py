"""What the venues share beyond their wire formats: asking for more prints, books that step back, holds that double."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from fetchers.errors import BadPayload, RateLimited
from fetchers.venues.binance import Binance
from fetchers.venues.lbank import Lbank
from tests.builders import NOW_MS
from tests.hand_clock import HandClock


@dataclass
class Scripted:
    """A venue on loopback that answers what a test put under a path, whatever it is asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.query)
        answer = self.answers[request.path]
        return web.json_response(answer(request.query) if callable(answer) else answer)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """Start one."""
    server = Scripted()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


def prints(first: int, last: int, limit: int) -> list[dict[str, Any]]:
    """Return what Binance would of prints numbered so, one a millisecond."""
    numbers = range(max(first, last + 1 - limit), last + 1)
    return [
        {"id": number, "price": "1", "qty": "1", "time": NOW_MS - 10_000 + number, "isBuyerMaker": True}
        for number in numbers
    ]


async def test_few_prints_are_asked_for_and_more_where_they_do_not_reach_back(scripted: Scripted) -> None:
    """A first look takes the most there are, the next few, and a burst is caught up with at once."""
    clock = HandClock()
    last = 1200
    scripted.answers["/fapi/v1/trades"] = lambda query: prints(0, last, int(query["limit"]))
    venue = Binance(scripted.url, clock.now_ms)
    await venue.open()
    try:
        taken = []
        for printed in (0, 50, 600, 1500):
            last += printed
            trades = await venue.fetch_trades("AUSDT")
            taken.append((len(trades.price), trades.continues))
            await clock.advance(5)
        await clock.advance(120)
        await venue.fetch_trades("AUSDT")
    finally:
        await venue.close()
    assert taken == [(1000, False), (50, True), (600, True), (1000, False)]
    assert [query["limit"] for query in scripted.asked] == ["1000", "200", "200", "1000", "200", "1000", "1000"]


async def test_a_book_that_steps_back_is_refused_until_it_has_caught_up(scripted: Scripted) -> None:
    """Replicas lag: the highest number wins; a lower one with a later time is a venue that counts anew."""

    def book(sequence: int, made_ms: int) -> dict[str, Any]:
        return {"lastUpdateId": sequence, "E": made_ms, "bids": [["1", "1"]], "asks": [["2", "1"]]}

    venue = Binance(scripted.url, HandClock().now_ms)
    await venue.open()
    try:
        for sequence, made_ms in ((7, NOW_MS - 900), (7, NOW_MS - 900), (8, NOW_MS - 800)):
            scripted.answers["/fapi/v1/depth"] = book(sequence, made_ms)
            assert (await venue.fetch_order_book("AUSDT")).sequence == sequence
        scripted.answers["/fapi/v1/depth"] = book(7, NOW_MS - 900)
        with pytest.raises(BadPayload, match="stepped back from 8 to 7"):
            await venue.fetch_order_book("AUSDT")
        scripted.answers["/fapi/v1/depth"] = book(1, NOW_MS - 700)
        assert (await venue.fetch_order_book("AUSDT")).sequence == 1
    finally:
        await venue.close()


async def test_holds_of_lbank_double_until_a_reply_is_good(scripted: Scripted) -> None:
    """Ten seconds, twenty, and ten again after a good reply."""
    clock = HandClock()
    path = "/cfd/openApi/v1/pub/getTime"
    venue = Lbank(scripted.url, clock.now_ms)
    await venue.open()
    holds = []
    try:
        for is_good in (False, False, True, False):
            scripted.answers[path] = (
                {"data": clock.now_ms(), "error_code": 0, "success": True}
                if is_good
                else {"error_code": 183, "success": False}
            )
            if is_good:
                await venue.measure_clock()
                continue
            with pytest.raises(RateLimited) as caught:
                await venue.measure_clock()
            holds.append((caught.value.until_ms - clock.now_ms()) // 1000)
            await clock.advance(30)
    finally:
        await venue.close()
    assert holds == [10, 20, 10]


async def test_what_is_no_longer_watched_is_forgotten(scripted: Scripted) -> None:
    """Prints and book numbers of instruments that left do not stay for hours."""
    clock = HandClock()
    scripted.answers["/fapi/v1/trades"] = lambda query: prints(0, 5, int(query["limit"]))
    venue = Binance(scripted.url, clock.now_ms)
    await venue.open()
    for one in ("AUSDT", "BUSDT"):
        await venue.fetch_trades(one)
    venue.watch({"BUSDT"})
    assert (await venue.fetch_trades("BUSDT")).continues
    assert not (await venue.fetch_trades("AUSDT")).continues
    await venue.close()
