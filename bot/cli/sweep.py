"""`bot sweep`: tapes replayed over a grid of settings, in processes of this machine (docs/evaluate.md)."""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import orjson

from bot.cli.evaluate import LEDGER, hash_of, note_trial
from bot.cli.evidence_tables import NO_ADVICE, Page, Table, as_plain, as_text, estimate_text, number_text
from bot.cli.shared import DONE, FAILED, USAGE, Subparsers, read_config, say
from bot.config.load import load_config
from bot.core.evidence import table_of
from bot.lifecycle import Interrupt
from bot.logs import set_up_logs
from bot.replay import Replay
from scoring.evidence.judge import trial
from scoring.evidence.rows import DAY_MS, Rows
from scoring.evidence.sweep import Sweep, judge_sweep
from scoring.strategies import STRATEGIES

MOST = 500  #: combinations
TRIES = 3  #: of a combination whose process dies
Combination: TypeAlias = Mapping[str, str]


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("sweep", help="tapes over a grid of settings, and what having tried so many means")
    command.add_argument("tapes", type=Path, nargs="+", metavar="TAPE", help="such as data/tape/*")
    command.add_argument("--grid", type=_axis, action="append", required=True, metavar="NAME=A,B,C", help="repeatable")
    command.add_argument("--strategy", choices=sorted(STRATEGIES), default="ups", help="whose alerts (default: ups)")
    command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Replay every combination and print the table."""
    config = read_config()
    names = [name for name, _ in options.grid]
    combinations = [
        dict(zip(names, values, strict=True)) for values in itertools.product(*(values for _, values in options.grid))
    ]
    if len(set(names)) < len(names) or len(combinations) > MOST:
        say(
            f"--grid: {len(combinations)} combinations of {', '.join(names)}: at most {MOST}, each name once",
            to=sys.stderr,
        )
        return USAGE
    for one in combinations:
        load_config(one)  # what cannot be used is said before hours of work
    made = await asyncio.to_thread(_play_all, options.tapes, combinations, options.strategy, max(1, options.jobs))
    if not any(len(rows) for rows, _ in made):
        say("nothing has ended with any of them: there is nothing to compare")
        return FAILED
    data_hash = await asyncio.to_thread(hash_of, options.tapes)
    for values, (rows, config_hash) in zip(combinations, made, strict=True):
        trials = note_trial(
            config.data_dir / LEDGER, trial(rows, config_hash=f"{config_hash} {values}", data_hash=data_hash)
        )
    timeout_ms = round(1000 * config.scoring.signal_timeout_s)
    tables = [(values, rows) for values, (rows, _) in zip(combinations, made, strict=True)]
    sweep = await asyncio.to_thread(judge_sweep, tables, purge_ms=DAY_MS + timeout_ms)
    tried = len({one.config_hash for one in trials})
    plain = {"combinations": len(combinations), "tried": tried, "word": sweep.word, **as_plain(sweep)}
    say(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode() if options.json else as_text(_page(sweep, tried)))
    return DONE


def play(tapes: Sequence[Path], values: Combination, strategy: str) -> tuple[Rows, str]:
    """Replay one combination, in a process of its own; return its alerts that have ended and its settings' hash."""
    set_up_logs("ERROR", secrets=())

    async def replay() -> tuple[Rows, str]:
        async with Replay(changed=values) as playing:
            done = await playing.play(tapes)
        ended = [(one, outcome) for one, outcome in done.rows if outcome is not None and one.strategy == strategy]
        return table_of(ended), done.config_hash

    return asyncio.run(replay())


def _play_all(
    tapes: Sequence[Path], combinations: Sequence[Combination], strategy: str, jobs: int
) -> list[tuple[Rows, str]]:
    """Return what each combination made; what a dying process loses is played again."""
    made: dict[int, tuple[Rows, str]] = {}
    for attempt in range(TRIES):
        waiting = [number for number in range(len(combinations)) if number not in made]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(jobs, max(1, len(waiting))), mp_context=context) as pool:
            futures = {number: pool.submit(play, tapes, combinations[number], strategy) for number in waiting}
            for number, future in futures.items():
                try:
                    made[number] = future.result()
                except BrokenProcessPool:
                    if attempt == TRIES - 1:
                        raise
                    continue
                say(f"{len(made)} of {len(combinations)}", to=sys.stderr)
        if len(made) == len(combinations):
            break
        say("a process died; what it lost is played again", to=sys.stderr)
    return [made[number] for number in range(len(combinations))]


def _page(sweep: Sweep, tried: int) -> Page:
    begins = datetime.fromtimestamp(sweep.splits_ms / 1000, UTC)
    rows = tuple(
        (
            ", ".join(f"{name}={value}" for name, value in one.values.items()),
            f"{one.earlier.n:,}",
            estimate_text(one.earlier),
            f"{one.later.n:,}",
            estimate_text(one.later),
            f"{one.drawdown_r:.2f}",
        )
        for one in sweep.settings
    )
    lines = (
        f"{len(sweep.settings)} combinations here, {tried} ever tried on these tapes",
        f"The best of the earlier days, in the days from {begins:%Y-%m-%d} on, kept back from the choice: {sweep.word}",
        f"Probability of overfitting {number_text(sweep.overfitting)}, wants below 0.200",
        f"Deflated Sharpe ratio of the best {number_text(sweep.deflated)}, wants 0.950",
        NO_ADVICE,
    )
    columns = ("settings", "n", "R each, earlier", "n", "R each, later", "drawdown R")
    return Page(
        "Settings compared", lines, (Table("combinations, the best of the earlier days first", "", columns, rows),)
    )


def _axis(text: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    if not equals or not name or not all(values.split(",")):
        raise argparse.ArgumentTypeError(f"was {text}, expected NAME=A,B,C")
    return name, list(dict.fromkeys(values.split(",")))
