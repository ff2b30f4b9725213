"""How late the event loop is: by so much everything in it waits."""

import asyncio
from collections.abc import Callable

EVERY_S = 0.5


async def measure(note: Callable[[float], None]) -> None:
    """Give `note` the lag [s] twice a second until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        note(max(0.0, loop.time() - due_s))
