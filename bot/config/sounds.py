"""Which messages ring, which come silently and which not at all: by kind, and by the hour where the user lives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from storage.messages import Kind

_CLOCK = r"([01]?\d|2[0-3]):([0-5]\d)"


class Mode(StrEnum):
    """How messages of a kind are sent."""

    ON = "on"
    SILENT = "silent"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of the local day in minutes from midnight; it may run across midnight."""

    from_minute: int
    to_minute: int  #: the first that is loud again

    def __str__(self) -> str:
        return f"{_clock(self.from_minute)}-{_clock(self.to_minute)}"

    def holds(self, now_ms: int, timezone: str) -> bool:
        """Whether it is quiet now in `timezone`."""
        local = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(timezone))
        minute = 60 * local.hour + local.minute
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


def parse_quiet_hours(text: str) -> QuietHours:
    """Return the span of e.g. "23:00-07:00", or raise ValueError."""
    found = re.fullmatch(rf"\s*{_CLOCK}\s*-\s*{_CLOCK}\s*", text, re.ASCII)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise ValueError
    hour, minute, to_hour, to_minute = map(int, found.groups())
    return QuietHours(60 * hour + minute, 60 * to_hour + to_minute)


def is_silent(modes: Mapping[Kind, Mode], kind: Kind, quiet: QuietHours | None, now_ms: int, timezone: str) -> bool:
    """Whether a message of this kind makes no sound now."""
    return modes[kind] is Mode.SILENT or (quiet is not None and quiet.holds(now_ms, timezone))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
