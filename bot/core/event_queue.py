"""A publisher's own bounded queue: the tick never waits for a reader, what does not fit is dropped and counted."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from loguru import logger

from bot.core.events import Event

MOST_WAITING = 256


class EventQueue:
    """Takes events in the loop, hands them to one reader."""

    def __init__(self, name: str, most: int = MOST_WAITING) -> None:
        self._name = name
        self._most = most
        self._events: deque[Event] = deque()
        self._has_some = asyncio.Event()
        self.dropped = 0  #: since the start

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._events)

    def put(self, event: Event) -> None:
        """Take an event, a subscriber of the core's events; where the queue is full the oldest is dropped."""
        if len(self._events) == self._most:
            self._events.popleft()
            self.dropped += 1
            if self.dropped == 1:
                logger.warning("{}: the reader is too slow, events are dropped", self._name)
        self._events.append(event)
        self._has_some.set()

    async def events(self) -> AsyncIterator[Event]:
        """Yield events as they come, without end."""
        while True:
            await self._has_some.wait()
            self._has_some.clear()
            while self._events:
                yield self._events.popleft()
