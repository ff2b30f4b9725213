"""`make bench`: what a tick costs, and for how long it holds the loop up, on a market of full size.

The market runs in a process of its own, the bot in this one, as the demo has them. Figures are printed, never asserted.
"""

import asyncio
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bot.__main__ import Interrupt, Run, run_bot
from bot.config import load_config
from bot.demo import simulated_market

COINS = 600
SECONDS = 60.0
BEAT_S = 0.002


async def _blocked_ms(beats_ms: list[float]) -> None:
    """Record by how much each beat of the loop came late: as long something held the loop."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        beats_ms.append(1000 * (time.perf_counter() - before - BEAT_S))


async def _measure() -> tuple[Run, list[float], float, float]:
    task = asyncio.current_task()
    assert task is not None
    beats_ms: list[float] = []
    with TemporaryDirectory() as folder:
        async with simulated_market(SECONDS, COINS) as market, asyncio.TaskGroup() as group:
            urls = {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}
            config = load_config({**urls, "HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "DATA_DIR": str(Path(folder))})
            beating = group.create_task(_blocked_ms(beats_ms))
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run = await run_bot(config, Interrupt(task), seconds=SECONDS)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            beating.cancel()
    return run, beats_ms, cpu_s, wall_s


def main() -> None:
    """Measure and print."""
    run, beats_ms, cpu_s, wall_s = asyncio.run(_measure())
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * (1024 if sys.platform == "darwin" else 1))
    write = sys.stdout.write
    write(f"four venues, {COINS} coins each, {run.instruments} instruments scored, {run.ticks} ticks of 5 s\n")
    write(f"tick: p50 {run.tick_p50_ms:.0f} ms, p95 {run.tick_p95_ms:.0f} ms (goal: under 2,000 ms)\n")
    write(f"longest time the loop was blocked: {max(beats_ms):.0f} ms, p99.9 {np.percentile(beats_ms, 99.9):.0f} ms")
    write(" (goal: under 100 ms)\n")
    write(f"CPU: {cpu_s / wall_s:.0%} of one core, start included; resident at most {rss_mib:.0f} MiB\n")
    for name, report in run.venues.items():
        shares = ", ".join(f"{pool} {share:.0%}" for pool, share in report.used_share.items())
        write(
            f"{name}: {report.requests} requests, {report.errors} failed; at most this share of each limit: {shares}\n"
        )


if __name__ == "__main__":
    main()
