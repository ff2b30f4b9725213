"""`python -m tests.torture.mysql`: a running bot and everything that can befall its MySQL server.

The bot runs twice on the same simulated market, each time with a history of 5,000 signals: once without MySQL, then
with a server that is killed while the history is being copied, frozen for a minute, restarted, locked, filled up and
robbed of a table. Told are the ticks of both runs and whether each row is there, once; the exit code is 1 where one is
not.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pymysql

from bot.__main__ import DATABASE, Interrupt, Run, run_bot
from bot.config import load_config
from bot.demo import simulated_market
from storage.mysql import Mirror
from tests.bench_mysql import fill
from tests.storage.mariadb import PASSWORD, USER, MariaDb
from tests.storage.mirrored import of_mysql, of_sqlite
from tests.storage.test_mysql import FULL, count

SIGNALS = 5_000
COINS = 100
NAME = "torture"
SETTINGS = {"HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "REFRESH_INTERVAL": "2", "RETENTION_DAYS": "36500"}


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def on_server(server: MariaDb, *statements: str, database: str | None = None) -> None:
    """Run statements as the server's owner, off the loop."""
    await asyncio.to_thread(server.root, *statements, database=database)


async def chaos(server: MariaDb, frozen_s: float) -> None:
    """Do to the server what can befall one; it is well in the end."""
    while await asyncio.to_thread(count, server, NAME, "signals") < SIGNALS // 10:  # noqa: ASYNC110 - a server
        await asyncio.sleep(0.2)
    say("kill -9")
    server.send(signal.SIGKILL)
    await asyncio.sleep(10)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(10)
    say(f"SIGSTOP for {frozen_s:.0f} s")
    server.send(signal.SIGSTOP)
    await asyncio.sleep(frozen_s)
    server.send(signal.SIGCONT)
    await asyncio.sleep(10)
    say("restart")
    with suppress(pymysql.OperationalError):  # it may hang up first
        await on_server(server, "SHUTDOWN")
    await asyncio.sleep(3)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(10)
    say("wrong password, then right")
    await on_server(server, f"ALTER USER '{USER}'@'%' IDENTIFIED BY 'another'", f"KILL USER {USER}")
    await asyncio.sleep(10)
    await on_server(server, f"ALTER USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
    await asyncio.sleep(10)
    say("read-only")
    await on_server(server, "SET GLOBAL read_only = 1")
    await asyncio.sleep(10)
    await on_server(server, "SET GLOBAL read_only = 0")
    say("a full disk, as far as the bot can tell")
    await on_server(server, FULL, database=NAME)
    await asyncio.sleep(10)
    await on_server(server, "DROP TRIGGER full", database=NAME)
    await asyncio.sleep(10)
    say("a table dropped")
    await on_server(server, "DROP TABLE verdicts", database=NAME)


@asynccontextmanager
async def database_server(folder: Path) -> AsyncIterator[MariaDb]:
    """Yield a private server with an empty database."""
    server = MariaDb(folder)
    server.start()
    server.make_database(NAME)
    try:
        yield server
    finally:
        server.send(signal.SIGKILL)


async def run_for(seconds: float, folder: Path, mysql: dict[str, str]) -> Run:
    """Run the bot on a fresh market and a history of its own."""
    task = asyncio.current_task()
    assert task is not None
    await fill(folder / DATABASE, SIGNALS)
    async with simulated_market(seconds, COINS) as market:
        urls = {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}
        config = load_config({**urls, **SETTINGS, **mysql, "DATA_DIR": str(folder)})
        return await run_bot(config, Interrupt(task), seconds=seconds)


async def torture(folder: Path, seconds: float, frozen_s: float) -> bool:
    """Return whether all is well in the end."""
    calm = await run_for(seconds, folder / "calm", {})
    say(f"without MySQL: {calm.ticks} ticks, p50 {calm.tick_p50_ms:.0f} ms, p95 {calm.tick_p95_ms:.0f} ms")
    async with database_server(folder / "mariadb") as server, asyncio.TaskGroup() as group:
        mysql = {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": str(server.port), "MYSQL_USER": USER}
        mysql |= {"MYSQL_PASSWORD": PASSWORD, "MYSQL_DATABASE": NAME}
        troubled = group.create_task(chaos(server, frozen_s))
        shaken = await run_for(seconds, folder / "shaken", mysql)
        say(f"during chaos: {shaken.ticks} ticks, p50 {shaken.tick_p50_ms:.0f} ms, p95 {shaken.tick_p95_ms:.0f} ms")
        await troubled
        await catch_up(server, folder / "shaken" / DATABASE)
        expected, found = of_sqlite(folder / "shaken" / DATABASE), of_mysql(server, NAME)
    rows = sum(map(len, expected.values()))
    wrong = [table for table in expected if expected[table] != found[table]]
    say(f"{rows:,} rows in SQLite; tables that differ in MySQL: {', '.join(wrong) or 'none'}")
    return not wrong


async def catch_up(server: MariaDb, path: Path) -> None:
    """Let the next start of a bot copy what the last one could not."""
    mirror = Mirror(path, host="127.0.0.1", port=server.port, user=USER, password=PASSWORD, database=NAME)
    mirror.start()
    while not mirror.status().copied or mirror.status().behind or mirror.status().trouble:  # noqa: ASYNC110 - a thread's
        await asyncio.sleep(0.5)
    await mirror.close()


def main() -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of each run (default %(default).0f)")
    parser.add_argument("--frozen", type=float, default=60.0, help="length of the SIGSTOP (default %(default).0f)")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return 0 if asyncio.run(torture(Path(folder), options.seconds, options.frozen)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
