"""The HTTP client against a real server on loopback."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import orjson
import pytest
from aiohttp import web

from fetchers.errors import BadPayload, FetchError, RateLimited, UnknownSymbol, Unreachable
from fetchers.transport.budget import RateBudget
from fetchers.transport.client import SOCKETS, Reply, VenueClient, words
from fetchers.transport.pools import ClockMinute, Pool, Sliding

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COST = {"all": 1.0}


def now_ms() -> int:
    """Return milliseconds that go on, on any epoch."""
    return 1_700_000_000_000 + time.monotonic_ns() // 1_000_000


def accept_all(reply: Reply) -> None:
    """Judge nothing."""


@asynccontextmanager
async def client_of(
    handler: Handler,
    *,
    raise_for_reply: Callable[[Reply], None] = accept_all,
    pools: dict[str, Pool] | None = None,
    deadline_s: float = 2.0,
    kept_free: Mapping[str, float] = MappingProxyType({}),
) -> AsyncIterator[tuple[VenueClient, RateBudget]]:
    """Serve `handler` on a free port and yield a client of it."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    budget = RateBudget(pools or {"all": Sliding(1000, 1000)})
    client = VenueClient(
        venue="bybit",
        base_url=f"http://{host}:{port}/",
        budget=budget,
        now_ms=now_ms,
        raise_for_reply=raise_for_reply,
        kept_free=kept_free,
        deadline_s=deadline_s,
    )
    await client.open()
    try:
        yield client, budget
    finally:
        await client.close()
        await runner.cleanup()


def answer(body: bytes, status: int = 200, **headers: str) -> Handler:
    """Return a handler that always says the same."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return handler


async def test_a_good_reply_carries_everything() -> None:
    """Status, headers, JSON, both times, and the query arrives as asked."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path, "symbol": request.query["symbol"]}, headers={"X-Used": "7"})

    async with client_of(echo) as (client, budget):
        reply = await client.get("/v5/book", {"symbol": "PEPEUSDT"}, cost=COST)
    assert reply.json == {"path": "/v5/book", "symbol": "PEPEUSDT"}
    assert (reply.status, reply.headers["x-used"], reply.pools) == (200, "7", ("all",))
    assert reply.sent_ms <= reply.received_ms
    assert budget.requests == 1


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (answer(b""), BadPayload),
        (answer(b"<html>maintenance</html>"), BadPayload),
        (answer(b'{"bids": [["1", "2"'), BadPayload),
        (answer(b"{}", 400), BadPayload),
        (answer(b"<html>denied</html>", 403), BadPayload),
        (answer(b"{}", 302, Location="/elsewhere"), BadPayload),
        (answer(b"{}", 500), Unreachable),
        (answer(b"", 503), Unreachable),
        (answer(b"{}", 429), RateLimited),
    ],
)
async def test_what_is_no_answer_is_an_error_that_says_what_came(handler: Handler, error: type[FetchError]) -> None:
    """Empty, HTML, cut and refused replies each have their class, and name venue and path."""
    async with client_of(handler) as (client, _):
        with pytest.raises(error, match="bybit /book: HTTP"):
            await client.get("/book", cost=COST)


async def test_a_hanging_venue_is_left_at_the_deadline() -> None:
    """No answer within the deadline is Unreachable."""

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with client_of(hang, deadline_s=0.03) as (client, _):
        with pytest.raises(Unreachable, match=r"no answer within 0\.03 s"):
            await client.get("/book", cost=COST)


async def test_a_reset_and_a_cut_body_are_unreachable() -> None:
    """A connection that ends before its reply does is Unreachable."""

    async def reset(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a": 1}')
        assert request.transport is not None
        request.transport.close()
        return response

    for handler in (reset, cut):
        async with client_of(handler) as (client, _):
            with pytest.raises(Unreachable, match="bybit /book"):
                await client.get("/book", cost=COST)


async def test_a_refused_connection_and_a_closed_client_are_unreachable() -> None:
    """Nobody listening, or our own session gone, is Unreachable."""
    async with client_of(answer(b"{}")) as (client, _):
        pass
    with pytest.raises(Unreachable, match="closed"):
        await client.get("/book", cost=COST)
    await client.open()
    with pytest.raises(Unreachable, match="bybit /book: ClientConnector"):
        await client.get("/book", cost=COST)
    await client.close()


async def test_an_edge_that_refuses_again_is_left_alone_longer() -> None:
    """Each refusal after a hold doubles the next, to an hour; refusals on their way count once; an answer ends it."""
    hold_ms, refuses = 30, True

    def raise_for_reply(reply: Reply) -> None:
        if reply.status == 403:
            raise RateLimited("denied", until_ms=reply.received_ms + hold_ms)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=403) if refuses else web.json_response({})

    async def held_s(client: VenueClient, budget: RateBudget) -> float:
        began_ms = now_ms()
        with pytest.raises(RateLimited, match="denied"):
            await client.get("/book", cost=COST)
        return (budget.held_until_ms(COST) - began_ms) / hold_ms

    async with client_of(handler, raise_for_reply=raise_for_reply) as (client, budget):
        both = await asyncio.gather(*(client.get("/book", cost=COST) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(one, RateLimited) for one in both)
        for doubled in (2, 4, 8):
            assert doubled <= await held_s(client, budget) < 2 * doubled + 3
        refuses = False
        await client.get("/book", cost=COST)
        refuses = True
        assert 1 <= await held_s(client, budget) < 4
        hold_ms = 3_000_000
        assert await held_s(client, budget) <= 1.2 + 1


async def test_the_venue_judges_first() -> None:
    """A raise_for_reply sees every reply, JSON or not, and its errors win; a hold is kept for its pool."""

    def raise_for_reply(reply: Reply) -> None:
        if reply.status == 403:
            raise RateLimited("too frequent", until_ms=reply.received_ms + 600_000, pool=reply.pools[0])
        if reply.json == {"code": 1001}:
            raise UnknownSymbol("no such contract")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"denied", status=403) if request.path == "/ban" else web.json_response({"code": 1001})

    pools: dict[str, Pool] = {"all": Sliding(10, 1000), "other": Sliding(10, 1000)}
    async with client_of(handler, raise_for_reply=raise_for_reply, pools=pools) as (client, budget):
        with pytest.raises(UnknownSymbol):
            await client.get("/book", cost=COST)
        with pytest.raises(RateLimited, match="too frequent"):
            await client.get("/ban", cost=COST)
        with pytest.raises(RateLimited, match="not sent, on hold"):
            await client.get("/book", cost=COST)
        assert budget.requests == 2
        with pytest.raises(UnknownSymbol):
            await client.get("/book", cost={"other": 1})


async def test_callers_are_served_in_order_at_the_pace_of_the_budget() -> None:
    """Six calls where two fit in 20 ms: first come, first served, and never three in a window."""
    arrived: list[tuple[str, int]] = []

    async def note(request: web.Request) -> web.Response:
        arrived.append((request.path, now_ms()))
        return web.json_response({})

    async with client_of(note, pools={"all": Sliding(2 / 0.7, 20)}) as (client, _), asyncio.TaskGroup() as calls:
        for number in range(6):
            calls.create_task(client.get(f"/{number}", cost=COST))
    assert [path for path, _ in arrived] == ["/0", "/1", "/2", "/3", "/4", "/5"]
    for (_, first_ms), (_, third_ms) in zip(arrived, arrived[2:], strict=False):
        assert third_ms - first_ms >= 15  # 20 between the sendings, less the way there


async def test_a_full_pool_blocks_neither_another_pool_nor_those_behind_a_cancelled_caller() -> None:
    """A caller waiting for depth does not delay trades, and leaves nothing behind when it gives up."""
    pools: dict[str, Pool] = {"depth": Sliding(2 / 0.7, 60_000), "deals": Sliding(10, 1000)}
    async with client_of(answer(b"{}"), pools=pools) as (client, budget):
        await client.get("/depth", cost={"depth": 1})
        async with asyncio.TaskGroup() as calls:
            waiting = calls.create_task(client.get("/depth", cost={"depth": 2}))
            await asyncio.sleep(0.001)
            await client.get("/deals", cost={"deals": 1})
            waiting.cancel()
        await client.get("/depth", cost={"depth": 1})
        assert budget.requests == 3


async def test_a_call_that_is_cancelled_on_its_way_is_over() -> None:
    """The venue may have counted it, but one window later its place is free."""

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with client_of(hang, pools={"all": Sliding(1, 1000)}) as (client, budget):
        async with asyncio.TaskGroup() as calls:
            waiting = calls.create_task(client.get("/book", cost=COST))
            await asyncio.sleep(0.01)
            waiting.cancel()
        assert budget.requests == 1
        assert budget.wait_s(COST, now_ms() + 1001) == 0


async def test_bulk_calls_wait_for_nobody() -> None:
    """Others leave them their part of the pool, and one that waits for its place does not stand in their way."""
    pools: dict[str, Pool] = {"weight": ClockMinute(10)}  # seven of it usable
    async with client_of(answer(b"{}"), pools=pools, kept_free={"weight": 3}) as (client, budget):
        await client.get("/depth", cost={"weight": 4})
        async with asyncio.TaskGroup() as calls:
            waiting = calls.create_task(client.get("/depth", cost={"weight": 1}))
            await asyncio.sleep(0.001)
            async with asyncio.timeout(1):
                await client.get("/bulk", cost={"weight": 3}, is_bulk=True)
            waiting.cancel()
        assert budget.requests == 2


async def test_bulk_calls_wait_for_no_hold() -> None:
    """Where one part of a tick is on hold the others come without it; a single call waits for a hold that ends soon."""
    async with client_of(answer(b"{}"), deadline_s=5.0) as (client, budget):
        budget.hold("all", now_ms() + 40)
        with pytest.raises(RateLimited, match="on hold"):
            await client.get("/funding", cost=COST, is_bulk=True)
        await client.get("/book", cost=COST)


async def test_sockets_are_bounded() -> None:
    """Three times as many calls as sockets are open share them."""
    open_now, most = 0, 0

    async def count(_: web.Request) -> web.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.002)
        open_now -= 1
        return web.json_response({})

    async with client_of(count) as (client, _):
        await asyncio.gather(*(client.get("/book", cost=COST) for _ in range(3 * SOCKETS)))
    assert most == SOCKETS


async def test_a_connection_that_idled_after_a_large_compressed_reply_still_works() -> None:
    """The keep-alive poisoning of aiohttp 3.14 (a read timeout that fires on an idle connection) does not reach us."""
    body = gzip.compress(orjson.dumps(["TRADING"] * 150_000))  # small on the wire: read to its end while still paused

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/markets":
            return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
        return web.json_response({})

    async with client_of(handler, deadline_s=0.25) as (client, _):
        assert len((await client.get("/markets", cost=COST)).json) == 150_000
        await asyncio.sleep(0.3)
        await client.get("/book", cost=COST)


async def test_cookies_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Cookies with odd names cause no warning, and none is sent back."""
    sent: list[str | None] = []

    async def with_cookies(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Cookie"))
        reply = web.json_response({})
        for cookie in ("__cf,bm={x}; path=/", "{05DA-D3}-Cycle=1", "a b=c", "/=1; HttpOnly", "ok=1; Max-Age=100000"):
            reply.headers.add("Set-Cookie", cookie)
        return reply

    async with client_of(with_cookies) as (client, _):
        for _ in range(3):
            await client.get("/x", cost=COST)
    assert sent == [None] * 3
    assert not caplog.records


async def test_bulk_calls_have_sockets_of_their_own() -> None:
    """While every poll hangs, what comes in bulk is answered at once."""

    async def hang(request: web.Request) -> web.Response:
        if request.path != "/tickers":
            await asyncio.sleep(60)
        return web.json_response({})

    async with client_of(hang, deadline_s=5.0) as (client, _), asyncio.TaskGroup() as calls:
        polls = [calls.create_task(client.get(f"/book{number}", cost=COST)) for number in range(2 * SOCKETS)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            await client.get("/tickers", cost=COST, is_bulk=True)
            await client.get("/tickers", cost=COST, is_apart=True)
        for poll in polls:
            poll.cancel()


async def test_the_words_of_a_refusal_stay() -> None:
    """Calls that are not sent while a hold lasts say what began it, and of whom it is."""
    page = (
        b"<HTML><H1>403 ERROR</H1>The Amazon CloudFront distribution is configured to block access from your country."
    )

    def raise_for_reply(reply: Reply) -> None:
        if reply.status == 403:
            raise RateLimited(f"bybit {reply.path}: HTTP 403, {words(reply, 'retMsg')}", until_ms=now_ms() + 600_000)

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=403, body=page, content_type="text/html")

    async with client_of(refuse, raise_for_reply=raise_for_reply) as (client, _):
        with pytest.raises(RateLimited, match="it looks like a block of your country: BYBIT_URL names another"):
            await client.get("/tickers", cost=COST, is_bulk=True)
        for path in ("/book", "/trades"):
            with pytest.raises(RateLimited, match="not sent, on hold: bybit /tickers: HTTP 403, 403 ERROR The Amazon"):
                await client.get(path, cost=COST)


async def test_the_user_agent_is_ours() -> None:
    """Some edges refuse what HTTP libraries call themselves."""
    seen = []

    async def note(request: web.Request) -> web.Response:
        seen.append(request.headers["User-Agent"])
        return web.json_response({})

    async with client_of(note) as (client, _):
        await client.get("/time", cost=COST)
    assert seen == ["sgnl"]
