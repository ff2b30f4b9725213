"""What closed candles cost: storing and reading them, their memory, and how soon all are there after a start.

`python -m tests.bench_candles` prints it; `make bench` includes it.
"""

import gc
import math
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from statistics import median

import numpy as np
from loguru import logger

from features.candle_settings import CandleSettings
from features.state.candle_store import CandleStore
from fetchers.base import Venue
from fetchers.simulated.server import Servers
from fetchers.venues.binance import Binance
from fetchers.venues.bybit import Bybit
from fetchers.venues.mexc import Mexc
from tests.features.phenomena.candle_series import random_series
from tests.features.state.test_candle_store import candles_of
from tests.fetchers.test_hours import feed_of, tick
from tests.virtual_time import VirtualClock, run_virtually
from tests.yardstick import at_quiet_moments, yardstick_ms

INSTRUMENTS, AT_ONCE, FIRST = 2500, 250, 60
FIRST_ROWS, ROWS = 400, 24
COINS = 600  #: a venue, of the simulated market
LONGEST_S = 600


def measure() -> str:
    """Return the figures as text."""
    return "\n".join([*_store(), *run_virtually(_backfill())])


def _store() -> list[str]:
    series = random_series(1, FIRST_ROWS + 2 * ROWS, INSTRUMENTS)
    store = CandleStore(np.full(INSTRUMENTS, 1e-4), CandleSettings())
    first_ms, yards_ms = [], [yardstick_ms()]
    for begin in range(0, INSTRUMENTS, FIRST):
        columns = range(begin, min(begin + FIRST, INSTRUMENTS))
        replies = [candles_of(series, column, last=FIRST_ROWS) for column in columns]
        first_ms.append(_spent_ms(store, columns, replies))
    candle_ms, append_ms = [], []
    gc.collect()
    for row in range(FIRST_ROWS, FIRST_ROWS + ROWS):
        spent_ms = []
        for begin in range(0, INSTRUMENTS, AT_ONCE):
            columns = range(begin, begin + AT_ONCE)
            replies = [candles_of(series, column, row, row + 1) for column in columns]
            spent_ms.append(_spent_ms(store, columns, replies))
        yards_ms.append(yardstick_ms())
        candle_ms.append(sum(spent_ms))
        append_ms.append(max(spent_ms))
    at_once_ms = []
    for row in range(FIRST_ROWS + ROWS, FIRST_ROWS + 2 * ROWS):
        replies = [candles_of(series, column, row, row + 1) for column in range(INSTRUMENTS)]
        at_once_ms.append(_spent_ms(store, range(INSTRUMENTS), replies))
    quiet_ms = at_quiet_moments(candle_ms, yards_ms[1:])
    arrays = [getattr(part, one.name) for part in (store.track, store.readings) for one in fields(part)]
    arrays += [array for ring in (store.base, store.longer) for array in (ring.values, ring.open_ms, ring.newest_ms)]
    memory_mb = sum(array.nbytes for array in arrays) / 1e6
    alive = np.isfinite(store.readings.atr).mean()
    return [
        f"a closed candle of {INSTRUMENTS} instruments, {alive:.0%} of them with a leg that counts:",
        f"  {median(quiet_ms):.1f} ms of CPU, {AT_ONCE} at a time, at most {median(append_ms):.1f} ms each (goal: 10)",
        f"  {median(at_once_ms):.1f} ms all at once (goal: 15)",
        f"the first {FIRST_ROWS} candles of {FIRST} instruments: {median(first_ms):.0f} ms",
        f"their candles, and all that is known of them: {memory_mb:.0f} MB (goal: 40)",
    ]


def _spent_ms(store: CandleStore, columns: range, replies: list) -> float:  # type: ignore[type-arg]
    began_s = time.process_time()
    store.append(columns, replies)
    return 1000 * (time.process_time() - began_s)


async def _backfill() -> list[str]:
    logger.disable("fetchers")
    makers: list[Callable[[Servers, VirtualClock], Venue]] = [
        lambda servers, clock: Binance(servers.urls["binance"], clock.now_ms),
        lambda servers, clock: Bybit(servers.urls["bybit"], clock.now_ms),
        lambda servers, clock: Mexc(servers.urls["mexc"], clock.now_ms),
    ]
    lines, done_s = [], dict[str, float]()
    async with feed_of(*makers, coins=COINS, candle_interval_s=900) as (feed, servers, clock):
        began_ms = clock.now_ms()
        while len(done_s) < len(makers) and clock.now_ms() - began_ms < 1000 * LONGEST_S:
            await tick(feed, 0)
            for name, report in feed.status().items():
                if not report.lacking_candles and name not in done_s:
                    done_s[name] = (clock.now_ms() - began_ms) / 1000
            await clock.sleep(5)
        for name in ("binance", "bybit", "mexc"):
            count = sum(one.venue == name for one in feed.universe.instruments)
            requests = servers.requests[name]
            done = f"{done_s[name]:.0f} s" if name in done_s else f"not in {LONGEST_S} s"
            warm_s = feed.status()[name].warmed_after_s or math.nan
            lines.append(
                f"{name}: {count} instruments have their minutes after {warm_s:.0f} s, their candles after {done}; "
                f"{requests.refused} requests refused"
            )
    return lines


if __name__ == "__main__":
    sys.stdout.write(f"{measure()}\n")
