"""Arguments of commands; an error's text has an example of a valid one."""

import re
from datetime import timedelta

from bot.config.sounds import QuietHours, parse_quiet_hours

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=30)


class UsageError(Exception):
    """A command cannot be understood; the text helps."""


def parse_duration_ms(text: str) -> int:
    """Return the length of e.g. 30m, 2h, 1d or 1h30m [ms].

    Raises
    ------
    UsageError
        It is something else, nothing at all, or longer than 30 days.
    """
    compact = "".join(text.lower().split())
    if not re.fullmatch(r"([0-9]{1,6}[mhd])+", compact):
        raise UsageError(f'A time looks like 30m, 2h or 1d, was "{text}"')
    length = sum((int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([mhd])", compact)), timedelta())
    if not timedelta() < length <= _LONGEST:
        raise UsageError(f'A time is at least 1m and at most {_LONGEST.days}d, was "{text}"')
    return round(length.total_seconds() * 1000)


def parse_count(text: str, default: int, most: int) -> int:
    """Return a whole number from 1 to `most`, `default` where there is none, or raise UsageError."""
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise UsageError(f'How many is a number from 1 to {most}, was "{text}"')
    return int(text)


def parse_days(text: str, default: int) -> int:
    """Return e.g. 7 of "7" or "7d", `default` where there is nothing, or raise UsageError."""
    if not text:
        return default
    if not (found := re.fullmatch(r"([0-9]{1,4})d?", text.lower())) or not 1 <= int(found.group(1)) <= 3650:
        raise UsageError(f'Days look like 7 or 30d, was "{text}"')
    return int(found.group(1))


def parse_id(text: str) -> int:
    """Return the id of e.g. "42" or "#42", or raise UsageError."""
    if not (found := re.fullmatch(r"#?([0-9]{1,15})", text.strip())):
        raise UsageError(f'An alert has a number such as #42, was "{text}"; /signals lists them')
    return int(found.group(1))


def is_id(text: str) -> bool:
    """Whether it can only be an alert's number: no coin is all digits but with its pair named."""
    return bool(re.fullmatch(r"#?[0-9]{1,15}", text.strip()))


def split_coin(text: str) -> tuple[str, str]:
    """Return the coin of "PEPE 1h" and the rest; raise UsageError where there is none."""
    coin, _, rest = text.strip().partition(" ")
    if not coin:
        raise UsageError("Name a coin, such as PEPE or PEPEUSDT")
    return coin, rest.strip()


def parse_quiet(text: str) -> QuietHours | None:
    """Return the hours of e.g. 23:00-07:00, None for off, or raise UsageError."""
    if text.lower() in {"off", "none", "no"}:
        return None
    try:
        return parse_quiet_hours(text)
    except ValueError:
        raise UsageError(f'Quiet hours look like 23:00-07:00, or off, was "{text}"') from None
