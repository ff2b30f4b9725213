"""Messages to systemd where it asks for them: that the bot is up, that it is alive, that it ends.

References
----------
sd_notify(3), sd_watchdog_enabled(3)
"""

import os
import socket
from collections.abc import Callable, Mapping

from loguru import logger

from bot.clock import Clock


class Systemd:
    """The service manager that started this process, if one did."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        within_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(os.getpid()))
        is_asked = self._address and within_us.isdecimal() and pid == str(os.getpid())
        #: it takes the process for dead that has said nothing for so long; 0 where it does not ask
        self.watchdog_s = int(within_us) / 1e6 if is_asked else 0.0

    def notify(self, state: str) -> None:
        """Send a state such as READY=1; nothing happens without a service manager."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.sendto(state.encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            logger.warning("systemd does not take {}: {}", state, error)

    async def watch(self, clock: Clock, is_alive: Callable[[], bool]) -> None:
        """Say twice within the time it allows that the bot is alive, while it is, until cancelled."""
        while self.watchdog_s:
            if is_alive():
                self.notify("WATCHDOG=1")
            await clock.sleep(self.watchdog_s / 2)
