"""How soon a sweep is an alert, and what was known of candidates, with streams and by polls alone.

Each way has the same planted setups in a market of its own: everything holds but the one sweep, which comes last. The
clock runs from the sweep's last print in the market to the alert at the sender (the terminal: Telegram's own part is
what the part `telegram` measures). The market has a process of its own.
"""

import asyncio
import io
import json
import re
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bot.cli.demo import OVERRIDES, addresses
from bot.cli.run import run_bot
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.lifecycle import Interrupt
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Planted, Scenario
from fetchers.simulated.server import serve

SETUPS, FIRST_S, APART_S, HOLD_S = 24, 30.0, 2.3, 9.0
VENUES = ("binance", "bybit", "mexc")
COINS = 60
SWEEP_ENDS_MS = 700  #: after the whole second in which it begins
WINDOWS = {"REFRESH_INTERVAL": "5", "SWEEP_TTL_SECONDS": "30", "BURST_LIMIT": "100", "STOPLOSS_GUARD_COUNT": "100"}
WAYS = {"by polls": {"STREAMS": "off"}, "with streams": {"STREAMS": "on", "QUOTES_INTERVAL": "2"}}


@dataclass(slots=True)
class Timed:
    """One way."""

    after_ms: list[float] = field(default_factory=list)  #: from the last print of a sweep to its alert
    cpu: float = 0.0
    ticks: int = 0
    others: int = 0  #: alerts of coins in which nothing is planted


class _Terminal(io.StringIO):
    def __init__(self, clock: SystemClock) -> None:
        super().__init__()
        self.alerted_ms: dict[str, int] = {}
        self._clock = clock

    def write(self, text: str) -> int:
        for coin in re.findall(r"SHORT (\w+)", text):
            self.alerted_ms.setdefault(coin, self._clock.now_ms())
        return super().write(text)


def _planted() -> tuple[Planted, ...]:
    return tuple(
        Planted(
            coin=f"SET{number}",
            venue=VENUES[number % len(VENUES)],
            start_s=FIRST_S + APART_S * number,
            hold_s=HOLD_S,
            fate="timeout",
        )
        for number in range(SETUPS)
    )


async def serve_market() -> None:
    """Serve the market, say where it is, and end with the input."""
    clock = SystemClock()
    scenario = Scenario(settings=load_config(OVERRIDES | WINDOWS).features, planted=_planted())
    start_ms = clock.now_ms()
    market = SimulatedMarket(seed=5, coins_per_venue=COINS, scenario=scenario, start_ms=start_ms)
    servers = await serve(market, clock.now_ms)
    sys.stdout.write(f"{start_ms} {json.dumps(dict(servers.urls))}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await servers.close()


async def measure(way: dict[str, str]) -> Timed:
    """Run the bot one way."""
    clock, task, planted = SystemClock(), asyncio.current_task(), _planted()
    assert task is not None
    terminal = _Terminal(clock)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench_streams"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        started, urls = (await process.stdout.readline()).decode().split(" ", 1)
        with TemporaryDirectory() as folder:
            settings = OVERRIDES | WINDOWS | way | {"LOG_LEVEL": "ERROR", "DATA_DIR": str(Path(folder))}
            config = load_config(settings | addresses(json.loads(urls)))
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            with redirect_stdout(terminal):
                run = await run_bot(config, Interrupt(task), seconds=planted[-1].end_s + 12)
            cpu = (time.process_time() - cpu_s) / (time.perf_counter() - wall_s)
    finally:
        process.stdin.close()
        await process.wait()
    ended_ms = {one.coin: int(started) + 1000 * int(np.ceil(one.start_s)) + SWEEP_ENDS_MS for one in planted}
    return Timed(
        after_ms=[at_ms - ended_ms[coin] for coin, at_ms in terminal.alerted_ms.items() if coin in ended_ms],
        cpu=cpu,
        ticks=run.ticks,
        others=sum(coin not in ended_ms for coin in terminal.alerted_ms),
    )


def report() -> str:
    """Measure each way and return the figures side by side."""
    lines = [
        f"{SETUPS} sweeps on {', '.join(VENUES)}, {COINS} coins a venue, a tick every {WINDOWS['REFRESH_INTERVAL']} s"
    ]
    for name, way in WAYS.items():
        timed = asyncio.run(measure(way))
        p50, p95 = np.percentile(timed.after_ms, [50, 95]) if timed.after_ms else (np.nan, np.nan)
        lines += [
            f"{name}: from the sweep's last print to the alert p50 {p50:.0f} ms, p95 {p95:.0f} ms (goal: 250, 450)",
            f"  {len(timed.after_ms)} of {SETUPS} alerted, {timed.others} others; bot's CPU {timed.cpu:.0%} of a core",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(serve_market())
