"""One look at a running bot from outside: what the system says of its process, what /metrics says, what files hold."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from storage.files import WAL, WINDOWS

MIB = 1024 * 1024
_COLUMNS = (
    *("minute", "memory MiB", "CPU ms a tick", "tasks", "files", "sockets", "ticks", "tick p95 ms", "windows MiB"),
    *("log (WAL) MiB", "database MiB", "written MiB", "another reader", "alerts"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The bot at one moment; counters are since its start."""

    at_s: float
    rss_mib: float
    cpu_s: float
    tasks: int
    files: int  #: all that is open, sockets too
    sockets: int
    windows_mib: float
    wal_mib: float
    database_mib: float
    written_mib: float
    has_reader: bool  #: another program holds a read transaction
    ticks: int
    ticks_by_seconds: Mapping[float, int] = field(repr=False)  #: how many took at most so long
    alerts: int
    clients: int


class Observer:
    """Looks at a bot by its process, its page and its folder; Linux only."""

    def __init__(self, pid: int, url: str, database: Path) -> None:
        self._process = Path("/proc") / str(pid)
        self.url = url
        self._database = database
        self._reader: sqlite3.Connection | None = None

    async def look(self, at_s: float) -> Look:
        """Return what there is to see now."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as reply:
            families = list(text_string_to_metric_families(await reply.text()))
        samples = [sample for family in families for sample in family.samples]

        def total(name: str) -> float:
            return sum(sample.value for sample in samples if sample.name == name)

        links = list(_links(self._process / "fd"))
        io = dict(line.split(": ") for line in (self._process / "io").read_text().splitlines())
        return Look(
            at_s=at_s,
            rss_mib=total("process_resident_memory_bytes") / MIB,
            cpu_s=total("process_cpu_seconds_total"),
            tasks=round(total("sgnl_tasks")),
            files=len(links),
            sockets=sum(link.startswith("socket:") for link in links),
            windows_mib=_size_mib(Path(f"{self._database}{WINDOWS}")),
            wal_mib=_size_mib(Path(f"{self._database}{WAL}")),
            database_mib=_size_mib(self._database),
            written_mib=int(io["write_bytes"]) / MIB,
            has_reader=self._reader is not None,
            ticks=round(total("sgnl_tick_seconds_count")),
            ticks_by_seconds={
                float(sample.labels["le"]): round(sample.value)
                for sample in samples
                if sample.name == "sgnl_tick_seconds_bucket"
            },
            alerts=round(total("sgnl_signals_total")),
            clients=round(total("sgnl_web_clients")),
        )

    def begin_reading(self) -> None:
        """Hold a read transaction open, as a program that has forgotten the database does."""
        if self._reader is None:
            self._reader = sqlite3.connect(f"{self._database.absolute().as_uri()}?mode=ro", uri=True)
            self._reader.execute("BEGIN")
            self._reader.execute("SELECT count(*) FROM signals").fetchall()

    def end_reading(self) -> None:
        """Let go of it."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def p95_s(before: Look, after: Look) -> float:
    """Return the 95th percentile of the ticks between two looks [s], as Prometheus estimates it; NaN without a tick."""
    bounds = sorted(after.ticks_by_seconds)
    counts = [after.ticks_by_seconds[bound] - before.ticks_by_seconds[bound] for bound in bounds]
    if not counts or counts[-1] == 0:
        return float("nan")
    rank, low_s, below = 0.95 * counts[-1], 0.0, 0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= rank:
            return low_s if np.isinf(bound) else low_s + (bound - low_s) * (rank - below) / (count - below)
        low_s, below = bound, count
    raise AssertionError("the last bound is infinite")


def growth_an_hour(looks: Sequence[Look]) -> float:
    """Return how fast memory grows [MiB/h]: the median of the slopes of all pairs of looks (Theil and Sen)."""
    at_h, rss_mib = np.array([(one.at_s / 3600, one.rss_mib) for one in looks]).T
    first, last = np.triu_indices(len(looks), 1)
    return float(np.median((rss_mib[last] - rss_mib[first]) / (at_h[last] - at_h[first])))


def table(looks: Sequence[Look]) -> list[str]:
    """Return the looks as Markdown, each beside the one before it."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    for before, now in pairwise(looks):
        ticks = now.ticks - before.ticks
        lines.append(
            f"| {now.at_s / 60:.0f} | {now.rss_mib:.1f} | {1000 * (now.cpu_s - before.cpu_s) / max(1, ticks):.0f} "
            f"| {now.tasks} | {now.files} | {now.sockets} | {ticks} | {1000 * p95_s(before, now):.0f} "
            f"| {now.windows_mib:.2f} | {now.wal_mib:.2f} | {now.database_mib:.2f} "
            f"| {now.written_mib - before.written_mib:.1f} | {'yes' if now.has_reader else 'no'} "
            f"| {now.alerts - before.alerts} |"
        )
    return lines


def _links(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        with suppress(FileNotFoundError):  # closed in between
            yield os.readlink(link)  # noqa: PTH115 - Path.readlink would make "socket:[1]" a path


def _size_mib(file: Path) -> float:
    return file.stat().st_size / MIB if file.exists() else 0.0
