import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout

from fetchers.simulated.server import Fault, Servers, serve
from tests.fetchers.simulated.stage import LBANK, MEXC, START_MS, make_market

MARKET = make_market(coins_per_venue=60)
TIMES = {
    "binance": "/fapi/v1/time",
    "bybit": "/v5/market/time",
    "mexc": f"{MEXC}ping",
    "lbank": f"{LBANK}getTime",
}


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    """Four servers whose clock stands still."""
    running = await serve(MARKET, lambda: START_MS)
    yield running
    await running.close()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """A client that gives up after five seconds."""
    async with ClientSession(timeout=ClientTimeout(total=5)) as opened:
        yield opened


async def test_four_venues_answer_and_count(servers: Servers, session: ClientSession) -> None:
    """Each on its own port, each counting for itself."""
    assert len(set(servers.urls.values())) == 4
    for venue, path in TIMES.items():
        async with session.get(servers.urls[venue] + path) as reply:
            assert reply.status == 200
            assert str(START_MS // 1000) in await reply.text()
    assert {seen.count for seen in servers.requests.values()} == {1}
    assert servers.requests["lbank"].peak_shares == {"requests": 1 / 200}
    assert servers.requests["binance"].refused == 0


async def test_bulk_replies_are_compressed_for_who_accepts_it(servers: Servers, session: ClientSession) -> None:
    """Gzip on the wire, the same JSON after it; a client that does not ask gets it plain."""
    url = servers.urls["mexc"] + f"{MEXC}ticker"
    bodies = []
    for accepted, encoding in (("gzip, deflate", "gzip"), ("identity", None)):
        async with session.get(url, headers={"Accept-Encoding": accepted}) as reply:
            assert reply.headers.get("Content-Encoding") == encoding
            bodies.append(await reply.json())
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("fault", "status", "begins"),
    [
        ("server_error", 502, b"<html><"),
        ("html", 200, b"<html><"),
        ("empty", 200, b""),
        ("truncated", 200, b'{"serve'),
        ("too_many", 429, b'{"code":-1003'),
        ("banned", 418, b'{"code":-1003'),
    ],
)
async def test_a_fault_spoils_its_path_until_it_is_taken_away(
    servers: Servers, session: ClientSession, fault: Fault, status: int, begins: bytes
) -> None:
    """Other paths and venues go on as before (a ban apart, which is for the venue)."""
    path = TIMES["binance"]
    servers.faults["binance"][path] = fault
    async with session.get(servers.urls["binance"] + path) as reply:
        body = await reply.read()
        assert reply.status == status
        assert body[:7] == begins[:7]
    servers.faults["binance"].clear()
    async with session.get(servers.urls["binance"] + path) as reply:
        assert reply.status == (418 if fault == "banned" else 200)
    async with session.get(servers.urls["bybit"] + TIMES["bybit"]) as reply:
        assert reply.status == 200


async def test_a_reset_ends_the_connection(servers: Servers, session: ClientSession) -> None:
    """The client sees it as such, at once."""
    servers.faults["bybit"][TIMES["bybit"]] = "reset"
    with pytest.raises(ClientConnectionError):
        await session.get(servers.urls["bybit"] + TIMES["bybit"])


async def test_a_hang_never_answers_and_does_not_hold_up_the_end(session: ClientSession) -> None:
    """The client's deadline is what ends it, and closing drops it."""
    servers = await serve(MARKET, lambda: START_MS)
    servers.faults["lbank"][TIMES["lbank"]] = "hang"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await session.get(servers.urls["lbank"] + TIMES["lbank"])
    hanging = asyncio.gather(session.get(servers.urls["lbank"] + TIMES["lbank"]), return_exceptions=True)
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        await servers.close()
    assert isinstance((await hanging)[0], ClientConnectionError)
