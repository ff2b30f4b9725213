"""The machine's clocks: what is set, what is slept through, and what never goes back."""

import time

import pytest

from bot.clock import SystemClock


class Machine:
    """Two clocks that a test sets."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * 1_000_000_000
        self.monotonic = 77_000_000_000

    def pass_by(self, seconds: float) -> None:
        """Let time pass, awake or asleep."""
        self.wall += round(seconds * 1e9)
        self.monotonic += round(seconds * 1e9)


@pytest.fixture
def machine() -> Machine:
    """Two clocks."""
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SystemClock:
    """The bot's clock on them."""
    return SystemClock(wall_ns=lambda: machine.wall, monotonic_ns=lambda: machine.monotonic)


@pytest.mark.parametrize("step_s", [-3600.0, -1.5, 1.5, 3600.0, 10 * 365 * 86_400.0])
def test_step(machine: Machine, clock: SystemClock, step_s: float) -> None:
    """A wall clock that is set moves ours at `rebase` and not before, and the monotonic one never."""
    now_ms, monotonic_ms = clock.now_ms(), clock.monotonic_ms()
    machine.wall += round(step_s * 1e9)
    machine.pass_by(5)
    assert clock.now_ms() == now_ms + 5_000
    assert clock.rebase() == round(1000 * step_s)
    assert clock.now_ms() == machine.wall // 1_000_000
    assert clock.monotonic_ms() == monotonic_ms + 5_000
    assert clock.rebase() == 0


@pytest.mark.parametrize("step_s", [-1.0, -0.3, 0.0, 0.9])
def test_no_step(machine: Machine, clock: SystemClock, step_s: float) -> None:
    """What NTP slews is no step."""
    now_ms = clock.now_ms()
    machine.wall += round(step_s * 1e9)
    assert clock.rebase() == 0
    assert clock.now_ms() == now_ms


def test_sleep_is_no_step(machine: Machine, clock: SystemClock) -> None:
    """After a machine's sleep the time is right without a step."""
    machine.pass_by(8 * 3600)
    assert clock.rebase() == 0
    assert clock.now_ms() == machine.wall // 1_000_000


def test_this_machine() -> None:
    """The real clocks agree, and the monotonic one is the one that goes on during sleep where there is one."""
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time_ns() // 1_000_000) <= 50  # noqa: TID251 - to compare with
    assert clock.rebase() == 0
    if hasattr(time, "CLOCK_BOOTTIME"):
        before_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        elapsed_ms = clock.monotonic_ms()
        after_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        again_ms = clock.monotonic_ms()
        assert again_ms - elapsed_ms <= after_ms - before_ms + 50
