"""A seeded part of the fault matrix; `make torture` has all of it."""

from pathlib import Path

import numpy as np
import pytest
from loguru import logger

from tests.torture.faults import ENDPOINTS, faults_of
from tests.torture.matrix import Cell, check_alerts, try_cell, try_delisting, try_refusal, watched
from tests.virtual_time import run_virtually

pytestmark = pytest.mark.long

CELLS = {"binance": 2, "mexc": 2, "bybit": 1, "lbank": 1}  #: two have one more below


@pytest.mark.parametrize("venue", list(ENDPOINTS))
def test_what_goes_wrong_at_one_venue_stays_there(venue: str, tmp_path: Path) -> None:
    """Cadence, truth of alerts, recovery within two ticks and one line each, for some faults of each venue."""
    random = np.random.default_rng(list(venue.encode()))
    cells = [(role, name, fault) for role in ENDPOINTS[venue] for name, fault in faults_of(venue, role)]
    chosen = random.choice(len(cells), CELLS[venue], replace=False).tolist()

    async def main() -> list[Cell]:
        async with watched(tmp_path, venue) as bot:
            tried = [await try_cell(bot, venue, *cells[i]) for i in chosen]
            if venue == "bybit":
                tried.append(await try_refusal(bot, venue))
            if venue == "lbank":
                tried.append(await try_delisting(bot, venue))
            _, untrue = await check_alerts(bot)
            assert not untrue
            return tried

    logger.disable("fetchers.feed")
    try:
        tried = run_virtually(main())
    finally:
        logger.enable("fetchers.feed")
    assert not [cell for cell in tried if cell.problems]
