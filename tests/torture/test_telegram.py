"""A seeded part of the Telegram fault storm; `make torture` has all of it."""

from pathlib import Path

from loguru import logger

from tests.torture.telegram import torture
from tests.virtual_time import run_virtually


def test_fault_storm(tmp_path: Path) -> None:
    """Under faults at random nothing is lost or repeated in silence, the order holds, and so does the pace."""
    logger.disable("bot.delivery")
    try:
        result = run_virtually(torture(42, tmp_path, seconds=60, signals=20))
    finally:
        logger.enable("bot.delivery")
    assert result.problems == ()
    assert sum(result.faults.values()) == 12
