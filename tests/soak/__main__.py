"""`make soak HOURS=1`: does a bot that runs for long grow? `--virtual` runs the same hours on a virtual clock.

The bot watches a simulated market of COINS coins a venue, which has a process of its own, by the demo's settings (a
tick every two seconds, short windows), so that an hour holds many signals and exits. Two readers of /ws come and go;
in the middle of the run another program holds a read transaction on the database.

`--settings default` takes the settings of a bot as it is installed, to see how much it writes.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bot.cli.demo import OVERRIDES
from bot.config.load import load_config
from tests.soak import virtually
from tests.soak.looks import Look, Observer, growth_an_hour, p95_s, table
from tests.soak.observing import LOOK_S, ROW_S, observe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "soak.md"
MARK = "## "
SETTINGS = {
    "demo": OVERRIDES | {"MAX_DAILY_TRADES": "10000", "STOPLOSS_GUARD_COUNT": "100"},
    "default": {"HTTP_PORT": "0", "LOG_LEVEL": "WARNING"},
}
WARM_UP_SHARE, LONGEST_WARM_UP_S = 1 / 3, 1800.0
START_S = 120.0
MOST_GROWTH_MIB = 1.0  #: an hour
DAY_S = 86_400


def main(arguments: Sequence[str]) -> int:
    """Run, print the table, write it where asked, and return the exit code: whether all bounds held."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--coins", type=int, default=200, help="a venue (default %(default)s)")
    parser.add_argument("--settings", choices=SETTINGS, default="demo")
    parser.add_argument("--virtual", action="store_true", help="on a virtual clock, in one process with the market")
    parser.add_argument("--write", metavar="TITLE", help="put the result into docs/soak.md under this title")
    options = parser.parse_args(arguments)
    settings, seconds = SETTINGS[options.settings], 3600 * options.hours
    watch = virtually.watch if options.virtual else _watch
    looks = watch(settings, seconds, options.coins)
    lines, is_good = report(looks, options)
    sys.stdout.write("\n".join(lines) + "\n")
    if options.write:
        _write(options.write, lines)
    return int(not is_good)


def _watch(settings: dict[str, str], seconds: float, coins: int) -> list[Look]:
    return asyncio.run(_watch_process(settings, seconds, coins))


async def _watch_process(settings: dict[str, str], seconds: float, coins: int) -> list[Look]:
    with TemporaryDirectory(prefix="sgnl-soak-") as name:
        async with _market(seconds, coins) as urls, _bot(settings | urls, Path(name)) as (pid, url):
            observer = Observer(pid, url, load_config(settings | {"DATA_DIR": name}).database)
            return await observe(observer, seconds)


def report(looks: Sequence[Look], options: argparse.Namespace) -> tuple[list[str], bool]:
    """Return the table and the bounds with what came of each, as Markdown, and whether all held."""
    seconds = looks[-1].at_s
    warm = [one for one in looks if one.at_s >= min(LONGEST_WARM_UP_S, WARM_UP_SHARE * seconds)]
    rows = looks[:: round(ROW_S / LOOK_S)]
    growth, half = growth_an_hour(warm), warm[len(warm) // 2]
    p95_before, p95_after = 1000 * p95_s(warm[0], half), 1000 * p95_s(half, warm[-1])
    written = (warm[-1].written_mib - warm[0].written_mib) / (warm[-1].at_s - warm[0].at_s) * DAY_S / 1024
    quiet = [one for one in warm if not one.has_reader]
    held = {
        f"memory after warm-up: {growth:+.2f} MiB an hour (at most {MOST_GROWTH_MIB:g})": growth < MOST_GROWTH_MIB,
        **{
            f"{what}: {min(counts)} to {max(counts)} after warm-up": max(counts[-5:]) <= max(counts[: len(counts) // 2])
            for what, counts in (
                ("tasks", [one.tasks for one in warm]),
                ("files", [one.files for one in warm]),
                ("sockets", [one.sockets for one in warm]),
            )
        },
        f"tick p95: {p95_before:.0f} ms in the first half after warm-up, {p95_after:.0f} ms in the second": (
            options.virtual or p95_after < 1.25 * p95_before + 50
        ),
        f"windows file: at most {max(one.windows_mib for one in warm):.2f} MiB": (
            warm[-1].windows_mib < 1.1 * max(one.windows_mib for one in warm[: len(warm) // 2]) + 0.1
        ),
        f"write-ahead log: at most {max(one.wal_mib for one in looks):.2f} MiB while another program reads on, "
        f"{quiet[-1].wal_mib:.2f} MiB at the end": quiet[-1].wal_mib <= 16.5,
    }
    clock = "on a virtual clock, in one process with the market" if options.virtual else "of real time"
    what = (
        f"`python -m tests.soak --hours {options.hours:g} --coins {options.coins} --settings {options.settings}"
        f"{' --virtual' if options.virtual else ''}`: {seconds / 3600:.2f} hours {clock}, "
        f"{looks[-1].ticks} ticks, {looks[-1].alerts} alerts, on {os.cpu_count()} cores, {platform.python_version()}."
    )
    lines = [
        what,
        "",
        *table(rows if rows[-1] is looks[-1] else [*rows, looks[-1]]),
        "",
        *(f"- {'held' if is_good else '**not held**'}: {text}" for text, is_good in held.items()),
        f"- written: {written:.1f} GiB a day at this rate",
    ]
    return lines, all(held.values())


def _write(title: str, lines: Sequence[str]) -> None:
    text = DOCS.read_text(encoding="utf-8") if DOCS.exists() else "# Soak\n"
    head, *parts = text.split(f"\n{MARK}")
    kept = [part for part in parts if part.partition("\n")[0] != title]
    parts = [*kept, "\n".join([title, "", *lines, ""])]
    DOCS.write_text(f"\n{MARK}".join([head, *parts]), encoding="utf-8")


@asynccontextmanager
async def _market(seconds: float, coins: int) -> AsyncIterator[dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak.market", str(seconds), str(coins)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        urls = orjson.loads(await asyncio.wait_for(process.stdout.readline(), START_S))
        yield {f"{venue.upper()}_URL": url for venue, url in urls.items()}
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _bot(settings: dict[str, str], folder: Path) -> AsyncIterator[tuple[int, str]]:
    """Start `python -m bot run` as a user would; give its process id and its page's address."""
    said = folder / "terminal"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder), **settings}
    with said.open("wb") as terminal:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"), cwd=folder, env=environment, stdout=terminal, stderr=terminal
        )
    try:
        async with asyncio.timeout(START_S):
            while not (found := [one for one in said.read_text().splitlines() if one.startswith("The page: ")]):
                assert process.returncode is None, said.read_text()
                await asyncio.sleep(0.2)
        yield process.pid, found[0].removeprefix("The page: ")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        for line in said.read_text().splitlines():
            if " | WARNING" in line or " | ERROR" in line or "Traceback" in line:
                sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
