"""Calls of one venue: paced by its budget, counted for its health, logged when they begin to fail or recover."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from loguru import logger

from fetchers.base import Venue
from fetchers.errors import FetchError, RateLimited, UnknownSymbol
from fetchers.health import VenueHealth


class VenueCalls:
    """Shared by every call of one venue: the clock, the wait for room in the budget, and the count of results."""

    def __init__(self, venue: Venue, now_ms: Callable[[], int], sleep: Callable[[float], Awaitable[None]]) -> None:
        self.venue = venue
        self.now_ms = now_ms
        self.sleep = sleep
        self.health = VenueHealth(venue.name, now_ms())

    async def wait_for_room(self, cost: Mapping[str, float], before_waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until the budget has room for `cost` and, beside it, for the bulk calls, which never wait for others."""
        budget, kept_free = self.venue.budget, self.venue.kept_for_quotes
        while (wait_s := budget.wait_s(cost, self.now_ms(), kept_free=kept_free)) > 0:
            before_waiting()
            await self.sleep(wait_s)

    @asynccontextmanager
    async def counted(self, kind: str) -> AsyncIterator[None]:
        """Count how a call ends; log a failure that is new, and the recovery."""
        name = self.venue.name
        try:
            yield
        except UnknownSymbol:
            raise  # the instrument's trouble, not the venue's
        except FetchError as error:
            if isinstance(error, RateLimited) and error.pool is None:
                self.health.hold(error.until_ms)
            if self.health.failure(kind, str(error), self.now_ms()):
                logger.warning("{} {}: failing: {}", name, kind, error)
            raise
        if (failed_ms := self.health.success(kind, self.now_ms())) is not None:
            logger.info("{} {}: recovered after {:.0f} s", name, kind, failed_ms / 1000)
