"""What our client and parsers cost beside plain aiohttp and orjson, call by call, in the same run.

Plain means: one session, GET, orjson, and the numbers we keep as floats; no checks, no budget, no records. Both sides
take turns against the same market, and only this process's CPU counts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import aiohttp
import numpy as np
import orjson

from bot.clock import SystemClock
from fetchers.transport.client import SOCKETS
from fetchers.venues.bybit import DEPTH, TICKERS, TRADES, Bybit

CALLS = {"bulk": 8, "book": 40, "trades": 40}
ROUNDS = 6
PAUSE_S = 5.0  #: Bybit's window: neither side may be slowed down by the limit
BULK = (
    *("markPrice", "indexPrice", "bid1Price", "ask1Price", "fundingRate", "fundingIntervalHour"),
    *("openInterest", "volume24h", "turnover24h"),
)

Call = Callable[[], Awaitable[object]]


async def compare(url: str) -> dict[str, tuple[float, float]]:
    """Return by kind of call the CPU of one call, ours and plain [ms]: medians over the rounds."""
    clock = SystemClock()
    venue = Bybit(url, clock.now_ms)
    await venue.open()
    connector = aiohttp.TCPConnector(limit=SOCKETS)
    timeout = aiohttp.ClientTimeout(total=10)
    spent: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in CALLS}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        quotes = (await venue.fetch_quotes())[0]
        identity = "BTCUSDT" if "BTCUSDT" in quotes.ids else quotes.ids[0]
        ours: dict[str, Call] = {
            "bulk": venue.fetch_quotes,
            "book": lambda: venue.fetch_order_book(identity),
            "trades": lambda: venue.fetch_trades(identity),
        }
        plain: dict[str, Call] = {
            "bulk": lambda: _plain_bulk(session, url),
            "book": lambda: _plain_book(session, url, identity),
            "trades": lambda: _plain_trades(session, url, identity),
        }
        for number in range(ROUNDS):
            for kind, calls in CALLS.items():
                sides = [(ours[kind], spent[kind][0]), (plain[kind], spent[kind][1])]
                for call, times_ms in sides if number % 2 else sides[::-1]:
                    times_ms.append(await _cpu_ms(call, calls))
            await asyncio.sleep(PAUSE_S)
    await venue.close()
    return {kind: (median(mine), median(theirs)) for kind, (mine, theirs) in spent.items()}


async def _cpu_ms(call: Call, calls: int) -> float:
    before = time.process_time()
    for _ in range(calls):
        await call()
    return 1000 * (time.process_time() - before) / calls


async def _get(session: aiohttp.ClientSession, url: str, **params: str | int) -> Any:
    async with session.get(url, params={"category": "linear", **params}) as response:
        return orjson.loads(await response.read())


async def _plain_bulk(session: aiohttp.ClientSession, url: str) -> object:
    rows = (await _get(session, url + TICKERS))["result"]["list"]
    return [[float(row[field] or "nan") for field in BULK] for row in rows]


async def _plain_book(session: aiohttp.ClientSession, url: str, identity: str) -> object:
    result = (await _get(session, url + DEPTH, symbol=identity, limit=50))["result"]
    return np.array(result["b"], dtype=np.float64), np.array(result["a"], dtype=np.float64)


async def _plain_trades(session: aiohttp.ClientSession, url: str, identity: str) -> object:
    rows = (await _get(session, url + TRADES, symbol=identity, limit=200))["result"]["list"]
    return [(int(row["time"]), float(row["price"]), float(row["size"]), row["side"] == "Sell") for row in rows]
