"""What the page's readers, and those who mean it harm, cost a tick: side by side in one run, in turns.

The bot has this process, the market and the clients one each. `python -m tests.bench_web clients URL KIND` is such a
client: it prints what it got when its standard input ends.
"""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import numpy as np
import orjson
from loguru import logger

from bot.chat.delivery.sender import TerminalSender
from bot.cli.demo import simulated_market
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.core.events import Event, TickEnded
from bot.lifecycle import run_beside, started
from bot.services import services, watch
from bot.wiring import Bot, build_feed
from storage.store import Store

COINS = 600
START_S, TURN_S, TURNS, TICK_S = 60.0, 20.0, 3, 2
READERS, DEAF, HALF_OPEN, FLOOD = 90, 10, 60, 30
KINDS = {
    "alone": (),
    f"{READERS + DEAF} readers of /ws, {DEAF} of which read nothing": ("readers",),
    f"a flood of requests and {HALF_OPEN} half-open connections": ("flood",),
    "both": ("readers", "flood"),
}


async def measure(coins: int = COINS, turns: int = TURNS) -> str:
    """Run the bot, let clients come and go, then stop it under the load of all of them; return the figures."""
    logger.remove()
    seconds = START_S + turns * len(KINDS) * (TURN_S + 3) + 30
    with TemporaryDirectory() as folder:
        async with simulated_market(seconds, coins) as market:
            urls = {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}
            config = load_config(
                urls | {"HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "DATA_DIR": folder, "REFRESH_INTERVAL": str(TICK_S)}
            )
            took_ms: list[int] = []

            def note(event: Event) -> None:
                if isinstance(event, TickEnded):
                    took_ms.append(event.tick.ended_ms - event.tick.started_ms)

            clock, tasks = SystemClock(), set[asyncio.Task[None]]()
            async with await Store.open(Path(config.database)) as store:
                feed = build_feed(config, clock, tasks)
                bot = Bot(
                    config,
                    clock=clock,
                    feed=feed,
                    store=store,
                    sender=TerminalSender(io.StringIO()),
                    show=lambda _: None,
                    subscribers=(note,),
                )
                living, stop = services(bot, feed), asyncio.Event()
                lines: list[str] = []

                async def work() -> None:
                    async with asyncio.TaskGroup() as group:
                        ticking = group.create_task(watch(bot, stop))
                        await asyncio.sleep(START_S)
                        lines.extend(await _in_turns(bot, took_ms, turns))
                        async with _clients(bot.access.url, "readers"), _clients(bot.access.url, "flood"):
                            await asyncio.sleep(5)
                            stop.set()
                            await ticking

                loop = asyncio.get_running_loop()
                async with started(living):
                    await run_beside(living, work())
                    began_s = loop.time()
                lines.append(f"the services ended {loop.time() - began_s:.1f} s after the last tick (goal: under 10)")
    return "\n".join(lines)


async def _in_turns(bot: Bot, took_ms: list[int], turns: int) -> list[str]:
    by_kind: dict[str, list[int]] = {name: [] for name in KINDS}
    got: dict[str, list[str]] = {name: [] for name in KINDS}
    for _ in range(turns):
        for name, kinds in KINDS.items():
            await asyncio.sleep(3)  # what the last ones left behind is over
            async with _all(bot.access.url, kinds) as said:
                await asyncio.sleep(2)
                before = len(took_ms)
                await asyncio.sleep(TURN_S - 2)
                by_kind[name] += took_ms[before:]
            got[name] += said
    lines = [f"a tick every {TICK_S} s of {len(bot.activity.last_tick.features.instruments)} instruments"]  # type: ignore[union-attr]
    for name, ticks in by_kind.items():
        p50, p95 = np.percentile(ticks or [0], (50, 95))
        lines.append(f"{name}: {len(ticks)} ticks, p50 {p50:.0f} ms, p95 {p95:.0f} ms; {', '.join(got[name]) or '-'}")
    lines.append(f"readers dropped as they read too slowly: {bot.live.dropped}")
    return lines


@asynccontextmanager
async def _all(url: str, kinds: tuple[str, ...]) -> AsyncIterator[list[str]]:
    said: list[str] = []
    if not kinds:
        yield said
        return
    async with _clients(url, kinds[0]) as first, _all(url, kinds[1:]) as others:
        yield said
    said += [*first, *others]


@asynccontextmanager
async def _clients(url: str, kind: str) -> AsyncIterator[list[str]]:
    said: list[str] = []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench_web", "clients", url, kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield said
    finally:
        assert process.stdin is not None
        process.stdin.close()  # communicate() does so from Python 3.12 on only
        out, _ = await process.communicate()
        said.append(out.decode().strip())


async def clients(url: str, kind: str) -> None:
    """Be a crowd of clients until standard input ends."""
    counted = {"messages": 0, "answers": 0, "refused": 0, "cut": 0}

    async def read_ws(session: aiohttp.ClientSession, is_deaf: bool) -> None:
        while True:
            with suppress(aiohttp.ClientError, OSError):
                async with session.ws_connect(f"{url}/ws") as socket:
                    await socket.send_json({"refresh_s": 1})
                    if is_deaf:
                        socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
                        await asyncio.Event().wait()
                    async for _ in socket:
                        counted["messages"] += 1
            await asyncio.sleep(0.5)

    async def ask(session: aiohttp.ClientSession, path: str) -> None:
        while True:
            try:
                async with session.get(f"{url}{path}") as reply:
                    await reply.read()
                    counted["answers" if reply.status < 400 else "refused"] += 1
            except (aiohttp.ClientError, OSError):
                counted["cut"] += 1
                await asyncio.sleep(0.05)

    async def hold_open() -> None:
        port = int(url.rpartition(":")[2])
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
                await reader.read()
                writer.close()
                counted["cut"] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        if kind == "readers":
            works = [read_ws(session, i < DEAF) for i in range(READERS + DEAF)]
        else:
            paths = ("/api/markets?limit=2500", "/api/status", "/metrics", "/health", "/api/signals?limit=1000")
            works = [ask(session, paths[i % len(paths)]) for i in range(FLOOD)]
            works += [hold_open() for _ in range(HALF_OPEN)]
        _ = [asyncio.create_task(work) for work in works]  # noqa: TID251 - they end with the process
        await asyncio.to_thread(sys.stdin.read)
        sys.stdout.write(", ".join(f"{n:,} {what}" for what, n in counted.items() if n) + "\n")
        sys.stdout.flush()
        os._exit(0)  # as a crowd leaves: without a goodbye, for which the deaf would wait


def redraw(rows: int = 2_500) -> str:
    """Return how long the page takes to draw a leaderboard of so many pairs anew, in headless Chromium."""
    from tests.bot.web.browser import chromium
    from tests.bot.web.site import whole_universe

    static = Path(__file__).parents[1] / "bot" / "web" / "static"

    async def run() -> tuple[float, float, float]:
        async with chromium() as browser:
            page = await browser.new_page(viewport={"width": 1440, "height": 1000})
            await page.route("http://page.test/**", lambda route: route.fulfill(path=_file(static, route.request.url)))
            await page.goto("http://page.test/bench.html")
            found: tuple[float, float, float] = await page.evaluate(_DRAW, orjson.dumps(whole_universe(rows)).decode())
            return found

    p50, p95, all_ms = asyncio.run(run())
    return (
        f"{rows} pairs sorted, and what is in view drawn and laid out: p50 {p50:.0f} ms, p95 {p95:.0f} ms "
        f"(goal: under 50); all of them drawn: {all_ms:.0f} ms"
    )


def _file(static: Path, url: str) -> str:
    name = url.rpartition("/")[2]
    return str(static / ("login.html" if name == "bench.html" else name))


_DRAW = """async (text) => {
    const { leaders } = await import("/static/panels.js");
    const rows = JSON.parse(text), body = document.createElement("div"), took = [];
    document.body.replaceChildren(body);
    const draw = (height, sort) => {
        const before = performance.now();
        const nothing = () => {}, how = { find: "", only: "", sort, choose: nothing, onsort: nothing, top: 0, height };
        body.replaceChildren(leaders(rows, how));
        body.getBoundingClientRect();
        return performance.now() - before;
    };
    for (let i = 0; i < 40; i++) took.push(draw(1000, i % 2 ? "part:flow" : "score"));
    took.sort((a, b) => a - b);
    return [took[20], took[38], draw(1e6, "score")];
}"""

if __name__ == "__main__":
    if sys.argv[1:2] == ["clients"]:
        asyncio.run(clients(*sys.argv[2:4]))
    else:
        sys.stdout.write(asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2]))) + "\n" + redraw() + "\n")
