"""Who steered the bot."""

from dataclasses import replace

from storage.steering import Steering
from storage.store import Store


async def test_the_latest_first(store: Store) -> None:
    """What was done comes back as it was, the latest first and no more than asked for."""
    pause = Steering(done_ms=3, user_id=1, chat_id="-100200", command="/pause 1h", answer="Paused until 14:00")
    resume = replace(pause, done_ms=4, command="/resume", answer="Alerts go on")
    for steering in (pause, resume):
        await store.steering.record(steering)
    assert await store.steering.latest(5) == [resume, pause]
    assert await store.steering.latest(1) == [resume]
