"""What the service manager is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.tasks import beside
from bot.watchdogs.systemd import Systemd
from tests.hand_clock import HandClock, settle


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Yield the socket at which a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        yield listening


def told(manager: socket.socket) -> list[str]:
    """Return what has been said since the last time."""
    said = []
    while True:
        try:
            said.append(manager.recv(1000).decode())
        except BlockingIOError:
            return said


def test_states(manager: socket.socket) -> None:
    """A state arrives as it is; at an abstract address too."""
    Systemd({"NOTIFY_SOCKET": manager.getsockname()}).notify("READY=1")
    assert told(manager) == ["READY=1"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0sgnl-{os.getpid()}")
        Systemd({"NOTIFY_SOCKET": f"@sgnl-{os.getpid()}"}).notify("STOPPING=1")
        assert listening.recv(100) == b"STOPPING=1"


async def test_watchdog(manager: socket.socket) -> None:
    """It is told twice within the time it allows, and no more once the bot is dead."""
    clock, alive = HandClock(), [True]
    systemd = Systemd({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000"})
    async with beside(systemd.watch(clock, lambda: bool(alive)), name="watchdog"):
        await settle()
        await clock.advance(60)
        assert told(manager) == ["WATCHDOG=1"] * 5
        alive.clear()
        await clock.advance(60)
        assert told(manager) == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "30000000"},
        {"NOTIFY_SOCKET": "/nowhere"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
    ],
)
async def test_nobody_asks(environ: dict[str, str]) -> None:
    """Without a service manager that wants to know nothing happens, and nobody waits."""
    systemd = Systemd(environ)
    systemd.notify("READY=1")
    await systemd.watch(HandClock(), lambda: True)
