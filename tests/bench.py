"""`make bench`: what the bot costs, part by part; `python -m tests.bench market frame` measures only those parts.

market    ticks, memory and limits on a market of full size, which has a process of its own, as the demo's has
tape      how large a tape is, and how fast it is played
candles   closed candles: storing and reading them, their memory, and how soon all are there after a start
sockets   the trade streams alone, at the usual rate and at five times it
frame     append, features, scores and gates beside the scalar reference
streams   how soon a sweep is an alert, with streams and by polls, side by side
telegram  from the tick's last reply to Telegram's door
records   what a long history of signals and controls costs an alert
mysql     how fast a long history is copied; only where MariaDB is installed
web       what readers of the page, a flood and half-open connections cost a tick; one redraw of 2,500 rows
chart     one picture

Each part has a process of its own. Figures are printed, never asserted; the yardstick beside them says how fast the
machine was at that moment.
"""

import asyncio
import io
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from bot.chat.charts import draw_price
from bot.cli.demo import addresses, simulated_market
from bot.cli.run import run_bot
from bot.cli.summary import Run
from bot.config.load import load_config
from bot.lifecycle import Interrupt
from tests.bench_wire import compare
from tests.yardstick import yardstick_ms

COINS = 600
SECONDS = 90.0
BEAT_S = 0.002
PICTURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of the bot."""

    run: Run
    beats_ms: list[float]  #: by how much each beat of the loop came late: so long something held it
    cpu_s: float
    wall_s: float
    rss_mib: float  #: at most
    wire: dict[str, tuple[float, float]]  #: CPU of one call by kind, ours and plain [ms]


def main(names: Sequence[str]) -> int:
    """Measure and print the parts named, or all, and return the exit code."""
    if unknown := set(names) - PARTS.keys():
        sys.stderr.write(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}\n")
        return 2
    if len(names) == 1:
        before_ms, words = yardstick_ms(), PARTS[names[0]]().rstrip()
        yardsticks = f"yardstick {before_ms:.2f} ms before, {yardstick_ms():.2f} ms after"
        sys.stdout.write(f"== {names[0]}, {yardsticks}\n{words}\n\n")
        return 0
    runs = [subprocess.run([sys.executable, "-m", "tests.bench", name], check=False) for name in names or PARTS]
    return int(any(run.returncode for run in runs))


async def measure(seconds: float = SECONDS, coins: int = COINS) -> Measured:
    """Run the bot for so long, then compare its calls with plain ones."""
    task = asyncio.current_task()
    assert task is not None
    beats_ms: list[float] = []
    with TemporaryDirectory() as folder:
        async with simulated_market(seconds, coins) as market, asyncio.TaskGroup() as group:
            urls = addresses(market.urls)
            config = load_config({**urls, "HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "DATA_DIR": str(Path(folder))})
            beating = group.create_task(_beat(beats_ms))
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            with redirect_stdout(io.StringIO()):  # without Telegram its messages go there
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


def report(measured: Measured, coins: int = COINS) -> str:
    """Return the figures beside their goals."""
    run, beats_ms = measured.run, measured.beats_ms
    lines = [
        f"four venues, {coins} coins each, {run.instruments} instruments scored, {run.ticks} ticks of 5 s",
        f"tick: p50 {run.tick_p50_ms:.0f} ms, p95 {run.tick_p95_ms:.0f} ms (goal: under 2,000)",
        f"loop blocked: at most {max(beats_ms):.0f} ms (goal: under 100), p99.9 {np.percentile(beats_ms, 99.9):.0f} ms",
        f"CPU: {measured.cpu_s / measured.wall_s:.0%} of one core, start included (goal: under 35 %)",
        f"resident at most {measured.rss_mib:.0f} MiB (goal: under 300)",
    ]
    for name, venue in run.venues.items():
        shares = ", ".join(f"{pool} {share:.0%}" for pool, share in venue.used_share.items())
        counts = venue.polls
        warmed = f"{venue.warmed_after_s:.0f} s after the start" if venue.warmed_after_s is not None else "not yet"
        lines += [
            f"{name}: {venue.requests} requests, {venue.errors} failed; most of each limit: {shares}",
            f"  {counts.eligible} eligible, {counts.pruned} pruned, {counts.polled} polled, {counts.starved} starved",
            f"  every instrument's history: {warmed} (goal on binance and bybit: 60 s)",
        ]
    for kind, (ours_ms, plain_ms) in measured.wire.items():
        lines.append(
            f"{kind}: {ours_ms:.2f} ms of CPU a call, plain aiohttp + orjson {plain_ms:.2f} ms: "
            f"{ours_ms / plain_ms:.2f} times (goal: 1.4)"
        )
    return "\n".join(lines)


def _market() -> str:
    return report(asyncio.run(measure()))


# The other parts are imported when their turn comes: what is resident in the first is to be the bot's, not theirs.


def _frame() -> str:
    from tests import bench_frame

    return bench_frame.measure()


def _candles() -> str:
    from tests import bench_candles

    return bench_candles.measure()


def _streams() -> str:
    from tests import bench_streams

    return bench_streams.report()


def _telegram() -> str:
    from tests import bench_telegram

    return bench_telegram.report(asyncio.run(bench_telegram.measure()))


def _records() -> str:
    from tests import bench_records

    return bench_records.measure()


def _mysql() -> str:
    from tests import bench_mysql

    if shutil.which("mariadbd") is None:
        return "MariaDB is not installed here: not measured"
    with TemporaryDirectory() as folder:
        return asyncio.run(bench_mysql.measure(Path(folder), bench_mysql.SIGNALS))


def _web() -> str:
    from tests import bench_web

    return f"{asyncio.run(bench_web.measure())}\n{bench_web.redraw()}"


def _chart() -> str:
    from tests.bot.chat.test_charts import chart

    spent_ms = []
    for _ in range(PICTURES):
        began_s = time.perf_counter()
        draw_price(chart())
        spent_ms.append(1000 * (time.perf_counter() - began_s))
    first_ms = f"{spent_ms[0]:.0f} ms for the first, which loads matplotlib"
    return f"one picture: {median(spent_ms):.0f} ms (goal: under a second), {first_ms}"


def _sockets() -> str:
    from tests import bench_sockets

    return bench_sockets.measure()


def _tape() -> str:
    from tests import bench_tape

    return asyncio.run(bench_tape.measure())


PARTS: Mapping[str, Callable[[], str]] = {
    "market": _market,
    "frame": _frame,
    "candles": _candles,
    "sockets": _sockets,
    "tape": _tape,
    "streams": _streams,
    "telegram": _telegram,
    "records": _records,
    "mysql": _mysql,
    "web": _web,
    "chart": _chart,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
