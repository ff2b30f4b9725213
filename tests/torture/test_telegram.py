"""A seeded part of the Telegram fault storm; `make torture` has all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.telegram_stand_in import Fault
from tests.torture.telegram import hour_away, torture
from tests.virtual_time import run_virtually

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def in_silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keep the log of what is done on purpose out of the way."""
    logger.disable("bot")
    yield
    logger.enable("bot")


def test_fault_storm(tmp_path: Path) -> None:
    """Under faults at random nothing is lost or repeated in silence, the order holds, and so does the pace."""
    result = run_virtually(torture(42, tmp_path, seconds=60, signals=20))
    assert result.problems == ()
    assert sum(result.faults.values()) == 30


@pytest.mark.parametrize("how", [None, Fault.HANG])
def test_away_for_an_hour(tmp_path: Path, how: Fault | None) -> None:
    """After an hour without Telegram exits arrive in order, old alerts have expired and that is told."""
    result = run_virtually(hour_away(how, tmp_path))
    assert result.problems == ()
