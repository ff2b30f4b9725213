"""How the program ends when it is told to."""

import asyncio
from typing import Any


class Interrupt:
    """What Ctrl-C and SIGTERM do: cancel the command, or, while it ends in its own way, ask for that first."""

    def __init__(self, command: asyncio.Task[Any]) -> None:
        self.asked = asyncio.Event()
        self.is_graceful = False
        self._command = command

    def __call__(self) -> None:
        """Take a signal; the second one does not wait for anything."""
        if self.asked.is_set() or not self.is_graceful:
            self._command.cancel()
        self.asked.set()
