"""What a long history costs an alert: its record is read, and the record is brought up to date after each end."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from scoring.records import Closed, Kind, Records
from tests.scoring.frames import signal

SIGNALS, CONTROLS = 150_000, 2  #: each signal has so many controls
DAY_MS = 86_400_000
ENDS = 200  #: after the history, each with its controls
KIND = Kind("ups", "short", "1-a")


def measure() -> str:
    """Return the figures for histories of one year and of three."""
    return "\n".join(line for days in (365, 1095) for line in _of_days(days))


def _of_days(days: int) -> list[str]:
    random = np.random.default_rng(7)
    records, now_ms = Records(), days * DAY_MS

    def end(decided_ms: int) -> None:
        score, *made = (float(one) for one in (random.uniform(72, 100), *random.normal(0, 1, 1 + CONTROLS)))
        for number, r in enumerate(made):
            records.add(Closed(KIND, score, decided_ms, True, r, r, number > 0))

    began_s = time.perf_counter()
    for number in range(SIGNALS):
        end(number * now_ms // SIGNALS)
    read_s = time.perf_counter() - began_s
    first_ms = _spent_ms(records.prepare)
    prepared_ms, asked_ms = [], []
    for number in range(ENDS):
        end(now_ms + number * DAY_MS // 8)
        one = signal(version="1-a", score=float(random.uniform(72, 100)))
        asked_ms.append(_spent_ms(partial(records.like, one)))
        prepared_ms.append(_spent_ms(records.prepare))
    return [
        f"{SIGNALS:,} signals and {CONTROLS * SIGNALS:,} controls of {days:,} days, added up in {read_s:.1f} s",
        f"  brought up to date the first time in {first_ms:.0f} ms, after each alert in {_words(prepared_ms)}",
        f"  an alert's record right after an end in {_words(asked_ms)} (goal: under 1 ms)",
    ]


def _spent_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began_s)


def _words(spent_ms: list[float]) -> str:
    return f"p50 {median(spent_ms):.3f} ms, p95 {np.percentile(spent_ms, 95):.3f} ms"
