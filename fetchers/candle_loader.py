"""Keeps the closed candles of a venue's instruments complete: a long reply once, the newest after every close."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from features.facts.market import Candles, Observation
from fetchers.candidate_polls import Spawn
from fetchers.errors import FetchError
from fetchers.venue_calls import VenueCalls

FIRST_CANDLES = 499  #: asked for at first: the most that weigh 2 on Binance
SETTLE_MS = 10_000  #: after a close until a venue's candle is taken to be the last word
RETRY_MS = 60_000
IN_FLIGHT = 4
LOOK_S = 1.0


class CandleSchedule:
    """Which instruments lack a closed candle, and which of them is next; pure, by the venue's clock.

    Those without any come last: what is there is kept up first.
    """

    def __init__(self, interval_s: int) -> None:
        self.interval_ms = 1000 * interval_s
        self._newest_ms: dict[str, int] = {}  # by id, when the newest candle opened, 0: none came yet
        self._asked_ms: dict[str, int] = {}
        self._rank: Mapping[str, int] = {}

    def watch(self, ids: Collection[str]) -> None:
        """Take over the venue's part of the universe."""
        self._newest_ms = {key: self._newest_ms.get(key, 0) for key in ids}
        self._asked_ms = {key: asked_ms for key, asked_ms in self._asked_ms.items() if key in self._newest_ms}

    def prefer(self, ids: Collection[str]) -> None:
        """Serve these first, in this order."""
        self._rank = {key: rank for rank, key in enumerate(ids)}

    def next(self, venue_ms: int, is_busy: Callable[[str], bool] = lambda _: False) -> tuple[str, int] | None:
        """Return who is due and since when it lacks candles [epoch ms]; it is due again in a minute if none come."""
        due = [key for key in self._newest_ms if self._is_due(key, venue_ms) and not is_busy(key)]
        if not due:
            return None
        last = len(self._rank)
        first = min(due, key=lambda key: (self._newest_ms[key] == 0, self._rank.get(key, last)))
        self._asked_ms[first] = venue_ms
        newest_ms = self._newest_ms[first]
        begin_ms = (venue_ms // self.interval_ms - FIRST_CANDLES + 1) * self.interval_ms
        return first, max(begin_ms, newest_ms + self.interval_ms)

    def came(self, instrument_id: str, newest_ms: int) -> None:
        """Note when the newest closed candle of an instrument opened."""
        if instrument_id in self._newest_ms:
            self._newest_ms[instrument_id] = max(newest_ms, self._newest_ms[instrument_id])
            self._asked_ms.pop(instrument_id, None)

    def lacking(self, venue_ms: int) -> int:
        """Return how many instruments lack a candle that has closed."""
        return sum(self._is_due(key, venue_ms, retry_ms=0) for key in self._newest_ms)

    def _is_due(self, key: str, venue_ms: int, retry_ms: int = RETRY_MS) -> bool:
        is_closed = venue_ms >= self._newest_ms[key] + 2 * self.interval_ms + SETTLE_MS
        return is_closed and venue_ms >= self._asked_ms.get(key, 0) + retry_ms


class CandleLoader:
    """Asks for the candles of whoever `schedule` says is next, at the venue's pace."""

    def __init__(
        self,
        calls: VenueCalls,
        schedule: CandleSchedule,
        *,
        start: Spawn,
        deliver: Callable[[Observation], None],
        venue_ms: Callable[[], int],
        can_be_polled: Callable[[], bool],
        is_busy: Callable[[str], bool],
    ) -> None:
        self._calls = calls
        self._schedule = schedule
        self._start = start
        self._deliver = deliver
        self._venue_ms = venue_ms
        self._can_be_polled = can_be_polled
        self._is_busy = is_busy
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Load until cancelled."""
        calls, venue = self._calls, self._calls.venue
        while venue.candle_cost:
            due = self._schedule.next(self._venue_ms(), self._is_busy) if self._can_be_polled() else None
            if due is None:
                await calls.sleep(LOOK_S)
                continue
            await calls.wait_for_room(venue.candle_cost)
            await self._slots.acquire()
            self._start(self._load(*due), f"candles of {venue.name} {due[0]}")
            await calls.sleep(venue.candle_pause_s)

    async def _load(self, instrument_id: str, since_ms: int) -> None:
        venue, schedule = self._calls.venue, self._schedule
        try:
            async with self._calls.counted("candles"):
                found = await venue.fetch_candles(instrument_id, since_ms, schedule.interval_ms // 1000)
        except FetchError:
            return  # counted and logged; it is due again in a minute
        finally:
            self._slots.release()
        closed = None if found is None else closed_part(found, self._venue_ms())
        if closed is not None:
            schedule.came(instrument_id, int(closed.open_ms[-1]))
            self._deliver(closed)


def closed_part(candles: Candles, venue_ms: int) -> Candles | None:
    """Return the candles that have closed by the venue's clock or have a later one behind them; None where none has."""
    is_closed = candles.open_ms + 1000 * candles.interval_s <= venue_ms
    is_closed[:-1] = True
    if not is_closed.any():
        return None
    names = ("open_ms", "open", "high", "low", "close", "volume_base")
    columns = {name: values[is_closed] for name in names if (values := getattr(candles, name)) is not None}
    return replace(candles, **columns)
