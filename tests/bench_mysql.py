"""How fast a long history reaches MySQL, and what it takes: printed by `make bench`, never asserted."""

import asyncio
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from storage.mysql.mirror import Mirror
from storage.store import Store
from tests.storage.builders import entry_message, make_limits, make_outcome, make_signal
from tests.storage.mysql.mariadb import PASSWORD, USER, MariaDb

SIGNALS = 100_000
_PORTION = 500
_FEATURES = {f"feature_{number}": number / 7 for number in range(12)}
_TABLES = ("signals", "signal_features", "verdicts", "exits", "deliveries")


async def fill(path: Path, signals: int) -> None:
    """Make a history: signals, each with its alert, long sent, its exit and its rows of features and verdicts."""
    async with await Store.open(path) as store:
        await store.database._writer.execute("PRAGMA synchronous = OFF")  # the making is not what is measured
        for first in range(1, signals + 1, _PORTION):
            ids = range(first, min(first + _PORTION, signals + 1))
            made = [make_signal(number, features=_FEATURES) for number in ids]
            await store.remember(made, make_limits(next_id=ids[-1] + 1), [entry_message(number) for number in ids])
            for number in ids:
                await store.record_outcome(make_outcome(number), make_limits(next_id=ids[-1] + 1), [])
        await store.database._writer.execute(
            "UPDATE outbox SET state = 'sent', message_id = id, sent_ms = created_ms + 700"
        )


async def measure(folder: Path, signals: int) -> str:
    """Return what catching up with so many signals takes."""
    path = folder / "sgnl.db"
    await fill(path, signals)
    server = MariaDb(folder / "mariadb")
    server.start()
    try:
        server.make_database("bench")
        mirror = Mirror(path, host="127.0.0.1", port=server.port, user=USER, password=PASSWORD, database="bench")
        started_s, cpu_s, memory_mib = time.perf_counter(), time.process_time(), [_resident_mib()]
        mirror.start()
        while not mirror.status().copied or mirror.status().behind:
            await asyncio.sleep(0.5)
            memory_mib.append(_resident_mib())
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        await mirror.close()
        counts = [server.root(f"SELECT count(*) FROM {table}", database="bench")[0][0] for table in _TABLES]  # noqa: S608 - names of ours
    finally:
        server.close()
    half = len(memory_mib) // 2
    return (
        f"history in MySQL: {counts[0]:,} signals, {sum(counts):,} rows in {took_s:.0f} s,"
        f" {sum(counts) / took_s:,.0f} rows a second (goal: 5,000), {sum(counts) / cpu_s:,.0f} a second of CPU time,"
        f" at a load of {os.getloadavg()[0]:.1f} in all; resident {memory_mib[0]:.0f} MiB before, at most"
        f" {max(memory_mib[:half]):.0f} MiB in the first half, {max(memory_mib[half:]):.0f} MiB in the second"
    )


def main(signals: int = SIGNALS) -> None:
    """Measure and print."""
    with TemporaryDirectory() as folder:
        sys.stdout.write(asyncio.run(measure(Path(folder), signals)) + "\n")


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SIGNALS)
