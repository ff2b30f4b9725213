"""What the coin of a signal showed on every venue, from the tape."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from bot.core.surroundings import market_around
from fetchers.tape.folder import NewFile, TapeFolder
from fetchers.tape.records import Watched
from tests.builders import NOW_MS, instrument, quotes
from tests.fetchers.tape.builders import HEADER, tick
from tests.scoring.frames import signal

HERE = instrument(id="PEPEUSDT", venue="bybit")
THERE = instrument(id="PEPE_USDT", venue="mexc", coin="PEPE")
OTHER = instrument(id="XUSDT", venue="bybit")


def recorded(folder: Path, hours: int = 1) -> Path:
    """Record ten minutes in which PEPE gains a percent a minute on Bybit, and stands still on MEXC, an hour apart."""
    tape = TapeFolder(folder, 1)
    for hour in range(hours):
        began = 720 * hour
        header = replace(HEADER, started_ms=NOW_MS + 5000 * began)
        assert tape.put(NewFile(header=header, gap=None, at_ms=NOW_MS, pack=lambda: b""))
        for minute in range(11):
            bid = 100.0 + minute
            arrived = [
                quotes(ids=("XUSDT", "PEPEUSDT"), bid_price=bid, ask_price=bid + 1, funding_rate=2e-4),
                quotes(venue="mexc", ids=("PEPE_USDT",), bid_price=None, ask_price=None, mark_price=50.0),
            ]
            watched = Watched(instruments=(HERE, THERE, OTHER)) if not minute else None
            assert tape.put(tick(began + 12 * minute, quotes=arrived, portions=(), watched=watched))
    tape.close()
    return folder


@pytest.mark.parametrize("hour", [0, 1])
def test_the_coin_everywhere(tmp_path: Path, hour: int) -> None:
    """Each venue's instrument has its price then, and what it did before and after; other coins are not there."""
    decided_ms = tick(720 * hour + 12 * 5).decided_ms
    here, there = market_around(recorded(tmp_path, hours=2), replace(signal(), coin="PEPE", decided_ms=decided_ms))
    assert (here.instrument.key, there.instrument.key) == (HERE.key, THERE.key)
    assert here.price == 105.5
    assert here.before_percent == pytest.approx(100 * (105.5 / 101.5 - 1))
    assert here.after_percent == pytest.approx(100 * (109.5 / 105.5 - 1), rel=0.3)
    assert here.spread_percent == pytest.approx(100 / 105.5)
    assert here.funding_rate == 2e-4
    assert (there.price, there.before_percent, there.after_percent) == (50.0, 0.0, 0.0)
    assert isnan(there.spread_percent)


def test_no_tape_of_that_time(tmp_path: Path) -> None:
    """Without a tape, or with one of another time, there is nothing to show."""
    assert market_around(tmp_path / "none", signal()) == []
    assert market_around(recorded(tmp_path), replace(signal(), coin="PEPE", decided_ms=NOW_MS + 7)) == []
