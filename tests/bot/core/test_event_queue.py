"""A publisher's queue is bounded: what does not fit is dropped and counted, and the tick never waits."""

import asyncio

import pytest

from bot.core.event_queue import EventQueue
from bot.core.events import Event, VenueChanged
from fetchers.health import Notice


def event(number: int) -> Event:
    """Return an event that can be told from others."""
    return VenueChanged(Notice(venue=f"v{number}", is_back=False, since_ms=number))


async def test_order_and_bound() -> None:
    """The newest events are kept in order; the reader gets them as they come."""
    queue = EventQueue("test", most=3)
    for number in range(5):
        queue.put(event(number))
    assert queue.dropped == 2
    events = queue.events()
    assert [await anext(events) for _ in range(3)] == [event(number) for number in (2, 3, 4)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(events)
    queue.put(event(9))
    assert await anext(queue.events()) == event(9)
