"""Fills the windows of new instruments from the venue's history, beside the polls."""

import asyncio
from collections.abc import Callable

from features.facts.market import Observation
from fetchers.backfill import PAUSE_S, Backfill
from fetchers.candidate_polls import Spawn
from fetchers.errors import FetchError
from fetchers.venue_calls import VenueCalls

IN_FLIGHT = 6
LOOK_S = 1.0


class BackfillLoader:
    """Asks for the history that `backfill` names next: candles of the last `window_s` and open interest.

    Where open interest comes in bulk, its history is asked for once.
    """

    def __init__(
        self,
        calls: VenueCalls,
        backfill: Backfill,
        *,
        start: Spawn,
        deliver: Callable[[Observation], None],
        window_s: float,
        can_be_polled: Callable[[], bool],
        has_bulk_open_interest: Callable[[], bool],
    ) -> None:
        self.clock_offset_ms = 0.0  #: how far the venue's clock is ahead of ours
        self._calls = calls
        self._backfill = backfill
        self._start = start
        self._deliver = deliver
        self._window_ms = round(1000 * window_s)
        self._can_be_polled = can_be_polled
        self._has_bulk_open_interest = has_bulk_open_interest
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Load until cancelled."""
        calls = self._calls
        while True:
            instrument_id = self._backfill.next(calls.now_ms()) if self._can_be_polled() else None
            if instrument_id is None:
                await calls.sleep(LOOK_S)
                continue
            await calls.wait_for_room(calls.venue.history_cost)
            await self._slots.acquire()
            self._start(self._load(instrument_id), f"history of {calls.venue.name} {instrument_id}")
            await calls.sleep(PAUSE_S)

    async def _load(self, instrument_id: str) -> None:
        calls, venue = self._calls, self._calls.venue
        is_renewed = not self._has_bulk_open_interest()
        try:
            if self._backfill.lacks(instrument_id):
                async with calls.counted("candles"):
                    since_ms = calls.now_ms() + round(self.clock_offset_ms) - self._window_ms
                    candles = await venue.fetch_mark_candles(instrument_id, since_ms)
                if candles is not None:
                    self._deliver(candles)
            async with calls.counted("open interest history"):
                points = await venue.fetch_open_interest_history(instrument_id)
            for point in points:
                self._deliver(point)
            self._backfill.came(instrument_id, calls.now_ms(), is_renewed=is_renewed)
        except FetchError:
            return  # counted and logged; it is due again in a minute
        finally:
            self._slots.release()
