"""What the soak makes of its looks: a leak is seen, and noise is none."""

import argparse
from dataclasses import replace

import numpy as np
import pytest

from tests.soak.__main__ import report
from tests.soak.looks import Look, growth_an_hour, p95_s

OPTIONS = argparse.Namespace(hours=1.0, coins=10, settings="demo", virtual=False)
BOUNDS = (0.1, 0.2, 0.5, float("inf"))


def look(minute: int, rss_mib: float = 100.0) -> Look:
    """Return a look at a bot that is well."""
    ticks = 30 * minute
    counts = (0, round(0.9 * ticks), ticks, ticks)
    return Look(
        at_s=60.0 * minute,
        rss_mib=rss_mib,
        cpu_s=3.0 * minute,
        tasks=20 + minute % 3,
        files=50,
        sockets=40,
        windows_mib=0.5,
        wal_mib=4.0,
        database_mib=1.0,
        written_mib=2.0 * minute,
        has_reader=False,
        ticks=ticks,
        ticks_by_seconds=dict(zip(BOUNDS, counts, strict=True)),
        alerts=minute,
        clients=2,
    )


def test_growth_is_the_slope_of_the_many() -> None:
    """Noise and a single leap are no growth, half a MiB more each half hour is 1 MiB an hour."""
    noise = np.random.default_rng(1).normal(0, 0.05, 61)
    flat = [look(minute, 100 + noise[minute] + (20 if minute == 30 else 0)) for minute in range(61)]
    assert growth_an_hour(flat) == pytest.approx(0, abs=0.1)
    assert growth_an_hour([look(m, 100 + m / 60 + noise[m]) for m in range(61)]) == pytest.approx(1, abs=0.1)


def test_p95_is_what_prometheus_estimates() -> None:
    """Nine tenths took at most 0.2 s, the others at most 0.5 s: 0.35 s."""
    assert p95_s(look(0), look(10)) == pytest.approx(0.35)
    assert np.isnan(p95_s(look(5), look(5)))


def test_a_leak_is_not_held() -> None:
    """A bot that is well holds every bound; one that grows by 2 MiB an hour, or leaves tasks behind, does not."""
    well = [look(minute) for minute in range(61)]
    lines, is_good = report(well, OPTIONS)
    assert is_good
    assert "- written: 2.8 GiB a day at this rate" in lines
    grows = [look(minute, 100 + minute / 30) for minute in range(61)]
    assert "- **not held**: memory after warm-up: +2.00 MiB an hour (at most 1)" in report(grows, OPTIONS)[0]
    assert not report([replace(one, tasks=20 + i) for i, one in enumerate(well)], OPTIONS)[1]
    assert not report([replace(one, files=50 + i) for i, one in enumerate(well)], OPTIONS)[1]
    assert not report([replace(one, sockets=40 + i) for i, one in enumerate(well)], OPTIONS)[1]
    reader = [replace(one, wal_mib=i * 1.0) for i, one in enumerate(well)]
    assert not report(reader, OPTIONS)[1]
