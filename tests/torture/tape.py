"""The real bot recording while it is killed again and again, and the tape played in other processes.

`python -m tests.torture.tape [SEEDS] [KILLS]` writes docs/torture-tape.md.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from bot.clock import SystemClock
from fetchers.tape.files import read_tape
from fetchers.tape.records import Header, TapeTick
from scoring.signals import Outcome, Signal
from storage.store import StoreReader
from tests.torture.kill import ROOT, market
from tests.torture.market import SETTINGS

SEEDS, KILLS = 5, 3
LIFE_S = (12.0, 30.0)
LAST_S = 45.0
RESULT = ROOT / "docs" / "torture-tape.md"
ELSEWHERE = ({"PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata"}, {"PYTHONHASHSEED": "99", "TZ": "America/Los_Angeles"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one seed has shown."""

    kills: int
    ticks: int
    signals: int
    outcomes: int
    unrecorded: int  #: signals of a tick that the kill cut off before it was on the tape


async def campaign(seed: int, kills: int = KILLS) -> Played:
    """Record through so many kills, then hold what is played against the database.

    Raises
    ------
    AssertionError
        Anything came out otherwise.
    """
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with market(seed, LAST_S + kills * LIFE_S[1] + 30) as urls:
            environ = {
                **{one: os.environ[one] for one in ("PATH", "HOME") if one in os.environ},
                **SETTINGS,
                **urls,
                "DATA_DIR": name,
                "TAPE": "on",
                "UNIVERSE_RELOAD_SECONDS": "9",
            }
            for _ in range(kills):
                assert await _live(environ, random.uniform(*LIFE_S), signal.SIGKILL) == -signal.SIGKILL
            assert await _live(environ, LAST_S, signal.SIGTERM) == 0
        files = sorted((folder / "tape").iterdir())
        plays = [await _replay(files, environ | other) for other in ELSEWHERE]
        assert plays[0] == plays[1], "two processes gave two results"
        (shown, *_) = plays
        assert shown["digest"] == shown["recorded_digest"], f"the first difference is at {shown['differs_ms']}"
        return await _compare(folder, files, shown, kills)


async def _live(environ: dict[str, str], seconds: float, ending: signal.Signals) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"), cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    await asyncio.sleep(seconds)
    process.send_signal(ending)
    return await process.wait()


async def _replay(files: Sequence[Path], environ: dict[str, str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "replay", "--json", *map(str, files)),
        cwd=ROOT,
        env=environ | {"DATA_DIR": "/nowhere"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, "the replay failed"
    shown: dict[str, Any] = json.loads(out)
    for name in ("ticks_per_second", "times_real_time"):
        shown.pop(name)
    return shown


async def _compare(folder: Path, files: Sequence[Path], shown: dict[str, Any], kills: int) -> Played:
    recorded_ms = {one.decided_ms for file in files for one in read_tape(file, print) if isinstance(one, TapeTick)}
    sessions = {one.session for file in files for one in read_tape(file) if isinstance(one, Header)}
    assert len(sessions) == kills + 1
    async with await StoreReader.open(folder / "sgnl.db") as reader:
        rows = sorted(await reader.signals.find(limit=10_000), key=lambda row: row[0].id)
    on_tape = [row for row in rows if row[0].decided_ms in recorded_ms]
    played = {one["id"]: one for one in shown["signals"]}
    assert list(played) == [row[0].id for row in on_tape], "the same signals"
    for row in on_tape:
        _check_row(played[row[0].id], *row)
    with closing(sqlite3.connect(folder / "sgnl.db")) as database:
        (outcomes,) = database.execute("SELECT count(*) FROM outcomes").fetchone()
    return Played(
        kills=kills,
        ticks=shown["ticks"],
        signals=len(on_tape),
        outcomes=outcomes,
        unrecorded=len(rows) - len(on_tape),
    )


def _check_row(played: dict[str, Any], one: Signal, outcome: Outcome | None) -> None:
    made = (played["coin"], played["venue"], played["decided_ms"], played["entry"], played["score"])
    assert made == (one.coin, one.venue, one.decided_ms, one.levels.entry, one.score), f"#{one.id}"
    if outcome is None or played["outcome"] is None:
        return  # it ended in a tick that the kill cut off, or is open
    ended = played["outcome"]
    assert (ended["reason"], ended["exit_ms"], ended["fill"]) == (outcome.reason, outcome.exit_ms, outcome.fill)


async def _main(seeds: int, kills: int) -> int:
    began = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    done = [await campaign(seed, kills) for seed in range(1, seeds + 1)]
    names = ("kills", "ticks", "signals", "outcomes", "unrecorded")
    totals = {name: sum(getattr(one, name) for one in done) for name in names}
    text = (
        "# A tape across kills\n\nMade by `python -m tests.torture.tape`. The bot records a simulated market, is ended"
        " by SIGKILL at random, goes on, and is ended at last by SIGTERM. Its tape is played in two fresh processes"
        " with other hash seeds and time zones, and held against the database field by field.\n\n"
        f"{began:%Y-%m-%d}: {seeds} seeds, {totals['kills']} kills, {totals['ticks']} ticks on the tapes,"
        f" {totals['signals']} signals, {totals['outcomes']} outcomes. All digests equal, all signals equal."
        f" {totals['unrecorded']} signals of ticks that a kill cut off before they were on the tape.\n"
    )
    RESULT.write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    counts = [int(argument) for argument in sys.argv[1:]]
    raise SystemExit(asyncio.run(_main(*(*counts, *(SEEDS, KILLS)[len(counts) :]))))
