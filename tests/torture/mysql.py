"""`python -m tests.torture.mysql`: a running bot and everything that can befall its MySQL server.

The bot runs three times on the same simulated market, each time with a history of 5,000 signals: without MySQL, then
with a server to which every trouble happens in turn, then without again, which shows how far two calm runs lie apart on
this machine. Written to docs/torture-mysql.md; the exit code is 1 where a row is missing, wrong or there twice.
"""

import argparse
import asyncio
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.cli.demo import addresses, simulated_market
from bot.cli.run import run_bot
from bot.cli.summary import Run
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.lifecycle import Interrupt
from tests.bench_mysql import fill
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb
from tests.storage.mysql.mirrored import of_mysql, of_sqlite
from tests.storage.mysql.troubles import TROUBLES

SIGNALS = 5_000
AGAIN = 1_000  #: of them are to be copied once more when a trouble begins, so that it finds the bot at work
COINS = 100
NAME = "torture"
TROUBLE_S, FROZEN_S, CALM_S = 10.0, 60.0, 150.0
RECOVERY_S = 180.0  #: at most: the longest back-off, and the copying
PLANTED_S = 1200.0  #: longer than the run
SETTINGS = {"HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "REFRESH_INTERVAL": "2", "RETENTION_DAYS": "36500"}
RESULT = Path(__file__).parents[2] / "docs" / "torture-mysql.md"


@dataclass(slots=True, kw_only=True)
class Victim:
    """A server, the database whose history it keeps, and how it has fared."""

    server: MariaDb
    path: Path
    frozen_s: float
    recovered_s: dict[str, float] = field(default_factory=dict)  #: from a trouble's end until MySQL lacked nothing

    async def suffer(self) -> None:
        """Let every trouble happen while signals are being copied, and wait each time until nothing is lacking."""
        clock = SystemClock()
        await self._catch_up()
        for name, (_, trouble) in TROUBLES.items():
            self._change(AGAIN)
            with ExitStack() as lasting:
                await asyncio.to_thread(lasting.enter_context, trouble(self.server, NAME))
                await asyncio.sleep(self.frozen_s if name == "frozen" else TROUBLE_S)
                self._change(AGAIN)
                await asyncio.to_thread(lasting.close)
            began_ms = clock.now_ms()
            await self._catch_up()
            self.recovered_s[name] = (clock.now_ms() - began_ms) / 1000
            say(f"{name}: nothing was lacking {self.recovered_s[name]:.0f} s after its end")

    def _change(self, signals: int) -> None:
        """Have the first of the signals copied again."""
        again = "INSERT OR REPLACE INTO changes (source, row_id) SELECT 'signals', id FROM signals WHERE id <= ?"
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            connection.execute(again, (signals,))

    async def _catch_up(self) -> None:
        """Wait until the history has every change there was just now."""
        newest = await asyncio.to_thread(self._newest)
        async with asyncio.timeout(RECOVERY_S):
            while await asyncio.to_thread(self._watermark) < newest:  # noqa: ASYNC110 - a server's
                await asyncio.sleep(0.5)

    def _newest(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT max(seq) FROM changes").fetchone()[0])

    def _watermark(self) -> int:
        if not self.server.root(f"SHOW TABLES FROM {NAME} LIKE 'sync'"):
            return 0
        return int(self.server.root("SELECT coalesce(max(watermark), 0) FROM sync", database=NAME)[0][0])


async def run_while(work: Callable[[], Awaitable[None]], folder: Path, mysql: dict[str, str]) -> Run:
    """Run the bot on a fresh market and its own history until `work` is done."""
    task = asyncio.current_task()
    assert task is not None
    interrupt = Interrupt(task)

    async def run_out() -> None:
        await work()
        interrupt.asked.set()

    async with simulated_market(PLANTED_S, COINS) as market, asyncio.TaskGroup() as group:
        urls = addresses(market.urls)
        config = load_config({**urls, **SETTINGS, **mysql, "DATA_DIR": str(folder)})
        group.create_task(run_out())
        return await run_bot(config, interrupt)


async def torture(folder: Path, calm_s: float, frozen_s: float) -> bool:
    """Return whether all is well in the end."""

    async def calm(name: str) -> Run:
        await fill(folder / name / "sgnl.db", SIGNALS)
        run = await run_while(lambda: asyncio.sleep(calm_s), folder / name, {})
        say(f"{name}, without MySQL: p95 of {run.ticks} ticks {run.tick_p95_ms:.0f} ms")
        return run

    before = await calm("before")
    path = folder / "during" / "sgnl.db"
    await fill(path, SIGNALS)
    server = MariaDb(folder / "mariadb")
    server.start()
    try:
        server.make_database(NAME)
        mysql = {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": str(server.port), "MYSQL_USER": USER}
        mysql |= {"MYSQL_PASSWORD": PASSWORD, "MYSQL_DATABASE": NAME}
        victim = Victim(server=server, path=path, frozen_s=frozen_s)
        during = await run_while(victim.suffer, path.parent, mysql)
        say(f"with a suffering MySQL: p95 of {during.ticks} ticks {during.tick_p95_ms:.0f} ms")
        expected, found = of_sqlite(path), of_mysql(server, NAME)
    finally:
        server.close()
    after = await calm("after")
    runs = {"before, without MySQL": before, "with MySQL in every trouble": during, "after, without MySQL": after}
    wrong = [table for table in expected if expected[table] != found[table]]
    counts = {table: len(rows) for table, rows in expected.items()}
    RESULT.write_text(render(runs, victim, counts, wrong))
    say(f"{sum(counts.values()):,} rows; tables that differ in MySQL: {', '.join(wrong) or 'none'}")
    return not wrong


def render(runs: dict[str, Run], victim: Victim, counts: dict[str, int], wrong: Iterable[str]) -> str:
    """Return the result as Markdown."""
    interval, load = SETTINGS["REFRESH_INTERVAL"], os.getloadavg()[2]
    return "\n".join(
        [
            "# The history, whatever befalls its server",
            "",
            "Written by `python -m tests.torture.mysql`: the whole bot on the simulated market, with a history of",
            f"{SIGNALS:,} signals and a MariaDB of its own. Every trouble happens to it in turn, for {TROUBLE_S:.0f} s",
            f"({victim.frozen_s:.0f} s when frozen), while {AGAIN:,} signals are to be copied, and as many as it ends.",
            "",
            "| trouble | nothing was lacking any more, seconds after its end |",
            "|---|---|",
            *(f"| {name} | {seconds:.0f} |" for name, seconds in victim.recovered_s.items()),
            "",
            f"A tick every {interval} s for {4 * COINS} instruments, on {os.cpu_count()} cores with a load",
            f"of {load:.1f} in all. That the first and the last run differ has nothing to do with MySQL.",
            "",
            "| the bot | ticks | p50 [ms] | p95 [ms] |",
            "|---|---|---|---|",
            *(
                f"| {name} | {run.ticks} | {run.tick_p50_ms:.0f} | {run.tick_p95_ms:.0f} |"
                for name, run in runs.items()
            ),
            "",
            "In the end each table of the history is what SQLite holds, row for row, each row once.",
            f"Those that are not: {', '.join(wrong) or 'none'}.",
            "",
            "| table | rows |",
            "|---|---|",
            *(f"| {table} | {rows:,} |" for table, rows in counts.items()),
            "",
        ]
    )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calm", type=float, default=CALM_S, help="length of a calm run [s] (default %(default).0f)")
    parser.add_argument(
        "--frozen", type=float, default=FROZEN_S, help="length of the SIGSTOP [s] (default %(default).0f)"
    )
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return 0 if asyncio.run(torture(Path(folder), options.calm, options.frozen)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
