"""What makes the bot useless, and what does not."""

from typing import Any

import pytest

from fetchers.health import Condition
from tests.bot.builders import make_status, make_venue
from tests.storage.builders import DECIDED_MS

BLIND = make_venue("bybit", state=Condition.BLIND)


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"venues": (make_venue(), BLIND)}, []),
        ({"venues": (BLIND, BLIND)}, ["every venue is blind"]),
        ({"last_tick_ms": None}, ["no tick has ended yet"]),
        ({"last_tick_ms": DECIDED_MS - 15_000}, []),
        ({"last_tick_ms": DECIDED_MS - 42_000}, ["no tick has ended for 42 s"]),
        ({"last_tick_ms": DECIDED_MS - 42_000, "refresh_interval_s": 20.0}, []),
        ({"faults": ("Telegram cannot be reached",)}, ["Telegram cannot be reached"]),
    ],
)
def test_problems(changes: dict[str, Any], problems: list[str]) -> None:
    """A stuck tick, no venue at all and what the rooms complain of are problems; one blind venue is not."""
    assert list(make_status(**changes).problems()) == problems
