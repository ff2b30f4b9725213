"""The trade streams alone: what reading frames costs beside plain orjson, and sockets at the usual rate and at five.

A server in a process of its own sends what three venues would, TLS and deflate included; only this process's CPU
counts. Nothing is made of the prints here: tests/bench_streams.py has the bot's part.
"""

import asyncio
import resource
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import orjson
from aiohttp import WSMsgType, web

from bot.clock import SystemClock
from features.facts.venues import VENUES
from features.settings import FeatureSettings
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.scenario import Scenario
from fetchers.simulated.streams.stream_server import STREAMS
from fetchers.simulated.streams.stream_wire import Client, Print
from fetchers.streams.build import WIRES, build_streams
from fetchers.streams.venue_stream import PUMP_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COINS, SECONDS, FILL_S = 400, 20.0, 15.0
USUAL = {"binance": 500, "bybit": 500, "mexc": 400}  #: messages a second, as docs/streams.md estimates them
BUNCH_S = 0.01
FRAMES, ROUNDS = 1_000, 15
BEAT_S = 0.02


def small_market() -> SimulatedMarket:
    """Return a market whose rows are subscribed."""
    return SimulatedMarket(
        seed=7, coins_per_venue=COINS, scenario=Scenario(settings=FeatureSettings()), start_ms=1_700_000_000_000
    )


def rows_of(market: SimulatedMarket, venue: str) -> dict[str, float]:
    """Return a venue's symbols and the sizes of their contracts."""
    return {row.id: row.contract_size for row in market.rows[venue] if row.kind is ListingKind.PERPETUAL}


def parsing(market: SimulatedMarket) -> list[str]:
    """Return a line a venue: the cost of a frame beside orjson of the same frames joined."""
    lines = []
    for venue, wire in WIRES.items():
        sizes = rows_of(market, venue)
        stream = STREAMS[venue](market)
        symbols = cycle(sizes)
        prints = [Print(next(symbols), i, 1_700_000_000_000 + i, 1.25, 4e7, i % 2 == 0) for i in range(FRAMES)]
        frames = [frame for one in prints for frame in stream.frames(one.symbol, [one], one.time_ms)]
        ours_us, plain_us = [], []
        for _ in range(ROUNDS):
            for start in range(0, FRAMES, 50):
                part = frames[start : start + 50]
                began = time.process_time_ns()
                wire.read(part, sizes)
                ours_us.append((time.process_time_ns() - began) / 1e3 / len(part))
                began = time.process_time_ns()
                orjson.loads(b"[%b]" % b",".join(part))
                plain_us.append((time.process_time_ns() - began) / 1e3 / len(part))
        ours, plain = median(ours_us), median(plain_us)
        lines.append(
            f"{venue}: {ours:.1f} us a frame of one print in readings of 50, orjson alone {plain:.1f} us: "
            f"{ours / plain:.1f} times (goal: 2)"
        )
    return lines


async def serve(folder: Path, factor: float) -> None:
    """Send what was subscribed at the usual rates times a factor, until standard input ends."""
    market, clock = small_market(), SystemClock()
    app = web.Application()
    numbers: dict[tuple[str, str], int] = {}

    def handler(venue: str) -> web.Application:
        stream = STREAMS[venue](market)
        symbol_of = {stream.topic(symbol): symbol for symbol in rows_of(market, venue)}
        share_per_s = USUAL[venue] * factor / len(symbol_of)

        async def handle(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(compress=stream.is_compressed)
            await socket.prepare(request)
            client = Client(route=request.path, opened_ms=clock.now_ms())

            async def send() -> None:
                place, owed, sent_s = 0, 0.0, time.perf_counter()
                while request.transport is not None and not request.transport.is_closing():
                    await asyncio.sleep(BUNCH_S)
                    topics = [symbol_of[topic] for topic in client.topics]
                    passed_s, sent_s = time.perf_counter() - sent_s, time.perf_counter()
                    owed += share_per_s * passed_s * len(topics)
                    now_ms = clock.now_ms()
                    for _ in range(int(owed)):
                        owed -= 1
                        place += 1
                        symbol = topics[place % len(topics)]
                        number = numbers[venue, symbol] = numbers.get((venue, symbol), 0) + 1
                        one = Print(symbol, number, now_ms, 1.25, 4e7, number % 2 == 0)
                        for frame in stream.frames(symbol, [one], now_ms):
                            with suppress(ConnectionError):
                                await socket.send_str(frame.decode())

            sending = asyncio.get_running_loop().create_task(send())
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    for reply in stream.message(client, message.data, clock.now_ms()):
                        with suppress(ConnectionError):
                            await socket.send_str(reply.decode())
            sending.cancel()
            return socket

        part = web.Application()
        part.router.add_get("/{path:.*}", handle)
        return part

    for venue in USUAL:
        app.add_subapp(f"/{venue}", handler(venue))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@asynccontextmanager
async def served(folder: Path, factor: float) -> "AsyncIterator[int]":
    """Run the server in a process of its own and return its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench_sockets", str(folder), str(factor)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def listen(folder: Path, factor: float) -> str:
    """Return the figures of all sockets at the usual rate times a factor."""
    clock, market = SystemClock(), small_market()
    trusting = ssl.create_default_context(cafile=folder / "certificate.pem")
    async with served(folder, factor) as port:
        with patch("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting):
            urls = {venue: f"wss://127.0.0.1:{port}/{venue}" for venue in USUAL}
            streams = build_streams(tuple(VENUES), urls, lambda: 0.5, {})
            for venue, stream in streams.items():
                await stream.start()
                stream.want(rows_of(market, venue), clock.now_ms())
            waits_ms: list[float] = []

            async def pump(seconds: float) -> int:
                until_ms, count = clock.now_ms() + 1000 * seconds, 0
                while (now_ms := clock.now_ms()) < until_ms:
                    for records in await asyncio.gather(*(stream.pump(now_ms) for stream in streams.values())):
                        for record in records:
                            count += record.block.shape[1]
                            waits_ms.extend((clock.now_ms() - record.block[0]).tolist())
                    await asyncio.sleep(max(0, now_ms + PUMP_MS - clock.now_ms()) / 1000)
                return count

            await pump(FILL_S)
            waits_ms.clear()
            beats_ms: list[float] = []
            beating = asyncio.get_running_loop().create_task(_beat(beats_ms))
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            count = await pump(SECONDS)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            beating.cancel()
            reports = [stream.report(clock.now_ms()) for stream in streams.values()]
            for stream in streams.values():
                await stream.close()
    channels = [one for report in reports for one in report.channels]
    gaps, repeated = sum(report.gaps for report in reports), sum(report.repeated for report in reports)
    wanted, covered = sum(one.wanted for one in channels), sum(one.covered for one in channels)
    return (
        f"{factor:g} times the usual rate, {count / wall_s:,.0f} prints a second over {len(channels)} sockets, TLS, "
        f"deflate: {cpu_s / wall_s:.1%} of a core (goal of streams and looks: {10 if factor == 1 else 40} %); sent to "
        f"given p50 {np.percentile(waits_ms, 50):.0f} ms, p95 {np.percentile(waits_ms, 95):.0f} ms; loop blocked at "
        f"most {max(beats_ms):.0f} ms; {covered} of {wanted} covered, {gaps} gaps, {repeated} repeated"
    )


async def _beat(beats_ms: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        beats_ms.append(1000 * (time.perf_counter() - before - BEAT_S))


def measure() -> str:
    """Return the figures."""
    lines = parsing(small_market())
    openssl = shutil.which("openssl")
    if openssl is None:
        return "\n".join([*lines, "openssl is not installed here: the sockets are not measured"])
    with TemporaryDirectory() as name:
        folder = Path(name)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
        files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"))
        subprocess.run([openssl, "req", "-x509", *key, *names, *files], check=True, capture_output=True)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for factor in (1.0, 5.0):
            lines.append(asyncio.run(listen(folder, factor)))
        more_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
        lines.append(f"resident memory grew by {more_mib:.0f} MiB at most (goal: 25)")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Serve, as the process beside a measurement."""
    folder, factor = arguments
    asyncio.run(serve(Path(folder), float(factor)))


if __name__ == "__main__":
    main(sys.argv[1:])
