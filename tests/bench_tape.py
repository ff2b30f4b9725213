"""What a tape of a market of full size takes: MB an hour, and how fast it is played, with the share of each step.

`python -m tests.bench tape` prints it; `make bench` includes it. Of the simulated market's levels a half is as it was
after 5 s, and its quantities have five random digits, more than people's orders have. Ticks in which histories come,
over two minutes after a start, are left out.
"""

import asyncio
import io
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import bot.core.market
import bot.core.orchestrator
import bot.replay
from bot.cli.demo import addresses, simulated_market
from bot.cli.run import run_bot
from bot.config.load import load_config
from bot.lifecycle import Interrupt
from bot.replay import Replay
from features.facts.market import Candles
from features.state.market_state import MarketState
from fetchers.tape.files import TapeWriter, read_tape
from fetchers.tape.records import Header, TapeTick

SECONDS, COINS = 180.0, 600
HOUR_MS, GOAL = 3_600_000, 300


async def measure(seconds: float = SECONDS, coins: int = COINS) -> str:
    """Record for so long, play it, and return the figures."""
    task = asyncio.current_task()
    assert task is not None
    with TemporaryDirectory() as folder:
        async with simulated_market(seconds, coins) as market:
            urls = addresses(market.urls)
            own = {"HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "DATA_DIR": folder, "TAPE": "on"}
            with redirect_stdout(io.StringIO()):
                await run_bot(load_config({**urls, **own}), Interrupt(task), seconds=seconds)
        (path,) = (Path(folder) / "tape").iterdir()
        return "\n".join([_size(path), *await play(path)])


def _size(path: Path) -> str:
    """Return how large an hour of ticks like the later ones would be."""
    ticks = [record for record in read_tape(path) if isinstance(record, TapeTick)]
    writer, sizes = TapeWriter(io.BytesIO(), Header(started_ms=0)), []
    for tick in ticks:
        before = writer.written
        writer.write(tick)
        sizes.append(writer.written - before)
    steady = [place for place, tick in enumerate(ticks) if place and _is_steady(tick)]
    tick_ms = median(later.started_ms - one.started_ms for one, later in pairwise(ticks))
    megabytes = mean(sizes[place] for place in steady) / 1e6 * HOUR_MS / tick_ms
    replies = median(sum(map(len, (ticks[place].quotes, *ticks[place].portions))) for place in steady)
    return f"{megabytes:.0f} MB an hour (goal: 40), {replies:.0f} replies a tick, of {len(steady)} steady ticks"


def _is_steady(tick: TapeTick) -> bool:
    return not any(isinstance(one, Candles) for group in (tick.quotes, *tick.portions) for one in group)


async def play(path: Path) -> list[str]:
    """Play a file, and return the lines of what each step took of this process's CPU."""
    spent: defaultdict[str, float] = defaultdict(float)
    rows: list[dict[str, float]] = []
    steps: tuple[tuple[Any, str, str], ...] = (
        (MarketState, "advance", "append"),
        (MarketState, "append", "append"),
        (bot.core.market, "compute_features", "features"),
        (bot.core.orchestrator, "decide", "decide"),
        (bot.replay, "tick_digest", "digest"),
    )

    steady = [_is_steady(record) for record in read_tape(path) if isinstance(record, TapeTick)]

    def note(_ticks: int, _now_ms: int) -> None:
        rows.append({**spent, "all": time.process_time()})

    def timed_read(*arguments: Any) -> Iterator[Any]:
        records = read_tape(*arguments)
        take = _timed(lambda: next(records, None), "read", spent)
        while (record := take()) is not None:
            yield record

    with ExitStack() as patches:
        patches.enter_context(patch.object(bot.replay, "read_tape", timed_read))
        for owner, name, step in steps:
            patches.enter_context(patch.object(owner, name, _timed(getattr(owner, name), step, spent)))
        async with Replay(progress=note) as replay:
            done = await replay.play([path])
    places = [place for place, is_steady in enumerate(steady) if place and is_steady]
    shares = {step: mean(rows[at][step] - rows[at - 1].get(step, 0.0) for at in places) for step in rows[-1]}
    whole_s = shares.pop("all")
    shares["rest"] = whole_s - sum(shares.values())
    speed = 1 / whole_s
    tick_s = (done.last_ms - done.first_ms) / 1000 / max(done.ticks - 1, 1)
    agrees = "the same bits" if done.differs_ms is None else "OTHER BITS"
    return [
        f"{speed:.0f} ticks a second of CPU, {speed * tick_s:.0f} times real time (goal: {GOAL}); {agrees}",
        ", ".join(f"{step} {1000 * one:.1f} ms ({one / whole_s:.0%})" for step, one in shares.items()),
    ]


def _timed(function: Any, step: str, spent: defaultdict[str, float]) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        began_s = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[step] += time.process_time() - began_s

    return call


if __name__ == "__main__":
    sys.stdout.write("\n".join(asyncio.run(play(Path(sys.argv[1])))) + "\n")
