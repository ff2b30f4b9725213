"""What may follow a command, and the help where it cannot be read."""

import pytest

from bot.chat.commands.arguments import (
    UsageError,
    is_id,
    parse_count,
    parse_days,
    parse_duration_ms,
    parse_id,
    parse_quiet,
    split_coin,
)
from bot.config.sounds import QuietHours

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "length_ms"),
    [
        ("2h", 2 * HOUR_MS),
        ("30m", HOUR_MS // 2),
        ("1d", 24 * HOUR_MS),
        ("1h30m", HOUR_MS * 3 // 2),
        ("1 D 12 H", 36 * HOUR_MS),
        ("30d", 720 * HOUR_MS),
    ],
)
def test_parse_duration(text: str, length_ms: int) -> None:
    """Minutes, hours and days, alone or together, up to 30 days."""
    assert parse_duration_ms(text) == length_ms


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-2h", "1.5h", "0m", "31d", "two hours", "9999999d", "٢h"])
def test_parse_no_duration(text: str) -> None:
    """Anything else says what a time looks like and what was given."""
    with pytest.raises(UsageError, match=f'was "{text}"'):
        parse_duration_ms(text)


def test_counts() -> None:
    """A count is what was written, or the default where nothing was."""
    assert (parse_count("", 10, 50), parse_count("7", 10, 50)) == (10, 7)
    for text in ("0", "51", "-1", "many", "1.5", "9999999"):
        with pytest.raises(UsageError, match="a number from 1 to 50"):
            parse_count(text, 10, 50)


def test_days() -> None:
    """Days may be written with their unit."""
    assert (parse_days("", 30), parse_days("7", 30), parse_days("7D", 30)) == (30, 7, 7)
    for text in ("0", "week", "5000"):
        with pytest.raises(UsageError, match="7 or 30d"):
            parse_days(text, 30)


def test_ids() -> None:
    """An alert's number may come with its sign; a coin of digits needs its pair to be told apart."""
    assert (parse_id("42"), parse_id(" #42 ")) == (42, 42)
    assert is_id("#42")
    assert not is_id("0G")
    for text in ("", "PEPE", "4 2", "-1"):
        with pytest.raises(UsageError, match="/signals lists them"):
            parse_id(text)


def test_coins() -> None:
    """The first word is the coin, and there has to be one."""
    assert split_coin(" pepe  1h 30m ") == ("pepe", "1h 30m")
    with pytest.raises(UsageError, match="Name a coin"):
        split_coin(" ")


def test_quiet_hours() -> None:
    """Quiet hours are a span of the day, or off."""
    assert parse_quiet("23:00-07:00") == QuietHours(1380, 420)
    assert parse_quiet("OFF") is None
    for text in ("", "23-7", "24:00-07:00", "07:00-07:00", "23:00 07:00"):
        with pytest.raises(UsageError, match="Quiet hours look like"):
            parse_quiet(text)
