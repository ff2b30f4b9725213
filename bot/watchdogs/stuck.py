"""A tick that hangs is said on the phone and ends the process, so that whoever keeps it running starts it again.

Docker restarts what has ended (`restart: unless-stopped`), and never what is only unhealthy; so does systemd without
WatchdogSec. Where even the loop is blocked, nothing in it can say so: then Python's own watchdog thread writes where
every thread stands to stderr, and ends the process.
"""

import faulthandler
from collections.abc import Awaitable, Callable

from loguru import logger

from bot.clock import Clock

_LOOK_S = 5.0
BLOCKED_S = 300.0  #: real time in which the loop did not come round
_LAST_WORDS_S = 10.0  #: for the notice to leave
NOTICE = "No tick has ended for two minutes: I end, so that I am started again. What is open is settled then."


class StuckError(Exception):
    """The ticks hang; only a new start helps."""


async def watch(
    clock: Clock,
    is_alive: Callable[[], bool],
    notify: Callable[[str], Awaitable[None]],
    drain: Callable[[float], Awaitable[object]],
) -> None:
    """Look every few seconds whether ticks still end, until cancelled.

    `drain` waits, at most so many seconds, until the messages are out.

    Raises
    ------
    StuckError
        They do not; the operator has been told, where that could be done.
    """
    try:
        while is_alive():
            faulthandler.dump_traceback_later(BLOCKED_S, exit=True)  # from now on, in place of the last one
            await clock.sleep(_LOOK_S)
    finally:
        faulthandler.cancel_dump_traceback_later()
    logger.critical("no tick has ended for two minutes: the bot ends, so that it is started again")
    await notify(NOTICE)
    await drain(_LAST_WORDS_S)
    raise StuckError("no tick has ended for two minutes")
