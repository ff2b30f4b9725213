"""`make bench`: what a tick costs, and for how long it holds the loop up, on a market of full size.

The market runs in a process of its own, the bot in this one, as the demo has them. Figures are printed, never asserted.
"""

import asyncio
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bot.__main__ import Interrupt, Run, run_bot
from bot.config import load_config
from bot.demo import simulated_market
from tests.bench_wire import compare

COINS = 600
SECONDS = 90.0
BEAT_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of the bot."""

    run: Run
    beats_ms: list[float]  #: by how much each beat of the loop came late: so long something held it
    cpu_s: float
    wall_s: float
    rss_mib: float  #: at most
    wire: dict[str, tuple[float, float]]  #: CPU of one call by kind, ours and plain [ms]


async def measure(seconds: float = SECONDS, coins: int = COINS) -> Measured:
    """Run the bot for so long, then compare its calls with plain ones."""
    task = asyncio.current_task()
    assert task is not None
    beats_ms: list[float] = []
    with TemporaryDirectory() as folder:
        async with simulated_market(seconds, coins) as market, asyncio.TaskGroup() as group:
            urls = {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}
            config = load_config({**urls, "HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "DATA_DIR": str(Path(folder))})
            beating = group.create_task(_beat(beats_ms))
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run = await run_bot(config, Interrupt(task), seconds=seconds)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            beating.cancel()
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform != "darwin" else 1024)
            wire = await compare(market.urls["bybit"])
    return Measured(run=run, beats_ms=beats_ms, cpu_s=cpu_s, wall_s=wall_s, rss_mib=rss / 1024, wire=wire)


async def _beat(beats_ms: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        beats_ms.append(1000 * (time.perf_counter() - before - BEAT_S))


def report(measured: Measured, coins: int = COINS) -> None:
    """Print what was measured."""
    run, beats_ms, write = measured.run, measured.beats_ms, sys.stdout.write
    write(f"four venues, {coins} coins each, {run.instruments} instruments scored, {run.ticks} ticks of 5 s\n")
    write(f"tick: p50 {run.tick_p50_ms:.0f} ms, p95 {run.tick_p95_ms:.0f} ms (goal: under 2,000 ms)\n")
    write(f"longest time the loop was blocked: {max(beats_ms):.0f} ms, p99.9 {np.percentile(beats_ms, 99.9):.0f} ms")
    write(" (goal: under 100 ms)\n")
    write(f"CPU: {measured.cpu_s / measured.wall_s:.0%} of one core, start included (goal: under 35 %); ")
    write(f"resident at most {measured.rss_mib:.0f} MiB (goal: under 300)\n")
    for name, venue in run.venues.items():
        shares = ", ".join(f"{pool} {share:.0%}" for pool, share in venue.used_share.items())
        write(f"{name}: {venue.requests} requests, {venue.errors} failed; most of each limit: {shares}\n")
        counts = venue.polls
        write(
            f"  {counts.eligible} eligible, {counts.pruned} pruned, {counts.polled} polled, {counts.starved} starved; "
        )
        warmed = f"{venue.warmed_after_s:.0f} s after the start" if venue.warmed_after_s is not None else "not yet"
        write(f"every instrument's history: {warmed} (goal on binance and bybit: 60 s)\n")
    for kind, (ours_ms, plain_ms) in measured.wire.items():
        ratio = f"{ours_ms / plain_ms:.2f} times"
        write(
            f"{kind}: {ours_ms:.2f} ms of CPU a call, plain aiohttp + orjson {plain_ms:.2f} ms: {ratio} (goal: 1.4)\n"
        )


def main() -> None:
    """Measure and print."""
    report(asyncio.run(measure()))


if __name__ == "__main__":
    main()
