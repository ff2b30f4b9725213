"""Once a day, when the clock on the wall shows an hour."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.clock import Clock

_STEP_S = 60.0
_TOO_LONG_S = 2 * 86_400.0  #: the clock was set back by days


async def run_daily(clock: Clock, hour: int, timezone: str, act: Callable[[], Awaitable[None]]) -> None:
    """Call `act` whenever the clock on the wall shows `hour`, until cancelled."""
    due_ms = next_report_ms(clock.now_ms(), hour, timezone)
    while True:
        # in short steps: a machine that slept wakes with its clock ahead
        left_s = (due_ms - clock.now_ms()) / 1000
        if left_s > _TOO_LONG_S:
            due_ms = next_report_ms(clock.now_ms(), hour, timezone)
            continue
        await clock.sleep(min(_STEP_S, left_s))
        if clock.now_ms() >= due_ms:
            await act()
            due_ms = next_report_ms(clock.now_ms(), hour, timezone)


def next_report_ms(now_ms: int, hour: int, timezone: str) -> int:
    """Return when the clock on the wall next shows `hour` [epoch ms], today or tomorrow."""
    zone = ZoneInfo(timezone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    due = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if due.timestamp() * 1000 <= now_ms:
        due += timedelta(days=1)  # on the wall's clock: the day the clocks change is as long as it is
    return round(due.timestamp() * 1000)
