"""Why a signal was given: decided again from the database, by a bot that has ended."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.why import as_json, as_text
from bot.core.recompute import Why, explain_signal, nearest_gates
from bot.core.surroundings import market_around
from fetchers.simulated.scenario import Planted
from scoring.capture import Capture
from storage.blobs import from_blob, to_blob
from storage.store import Store, StoreReader
from tests.bot.stage import staged
from tests.scoring.test_capture import decided
from tests.storage.builders import make_limits, make_signal

pytestmark = pytest.mark.long

BORROWER = Planted(coin="TAVRO", venue="lbank", flow_venue="bybit", start_s=22, hold_s=10, fate="take_profit")
OWN = Planted(coin="KORVA", venue="binance", start_s=22, hold_s=14, fate="stop_loss")


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[StoreReader]:
    """Yield the database of a bot that gave two signals, one of them on borrowed data, and ended."""
    venues, data_dir = {"bybit", "lbank", "binance"}, str(tmp_path)
    async with staged(tmp_path, BORROWER, OWN, exchanges=venues, TAPE="on", DATA_DIR=data_dir) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(50)
        async with await StoreReader.open(tmp_path / "sgnl.db") as opened:
            yield opened


async def test_the_same_bits(history: StoreReader, tmp_path: Path) -> None:
    """Each stored signal comes out of its stored input to the bit; another price, and it does not; it is small."""
    signals = {signal.coin: signal for signal, _ in await history.signals.find()}
    assert signals.keys() == {"TAVRO", "KORVA"}
    assert signals["TAVRO"].borrowed == "OI and flow: Bybit"
    for signal in signals.values():
        why = await explain_signal(history, signal.id)
        assert why is not None
        assert why.differences == ()
        assert why.is_same
        assert why.captured is not None
        assert len(why.captured.books) == 2
        told = as_text(why)
        assert "the same to the bit" in told
        assert f"score {signal.score:.2f}" in told
        assert told.count("  pass  ") == len(signal.verdicts)
        nearest = nearest_gates(signal.verdicts)
        assert len(nearest) == 3
        assert f"least to spare: {nearest[0].reason}; " in told
        around = market_around(tmp_path / "tape", signal)
        assert {one.instrument.venue for one in around} >= {signal.venue}
        assert f"{signal.pair} " in as_text(why, around).partition("on the tape, the same coin")[2]
        assert len(json.loads(as_json(why, around))["around"]) == len(around)
        shown = json.loads(as_json(why))
        assert shown["is_same"]
        assert len(shown["input"]["books"][0]["bids"][0]) == 50
    with closing(sqlite3.connect(tmp_path / "sgnl.db")) as database:
        sizes = [size for (size,) in database.execute("SELECT length(capture) FROM captures")]
        assert max(sizes) < 11_000
        (blob,) = database.execute("SELECT capture FROM captures WHERE signal_id = 1").fetchone()
        captured = from_blob(Capture, blob)
        arrays = captured.market.arrays
        other = replace(
            captured, market=replace(captured.market, arrays=arrays | {"volume_usdt": arrays["volume_usdt"] * 1.001})
        )
        database.execute("UPDATE captures SET capture = ? WHERE signal_id = 1", (to_blob(other),))
        database.commit()
    why = await explain_signal(history, 1)
    assert why is not None
    assert "features.vwap_distance" in why.differences
    assert "differs in " in as_text(why)

    command = [sys.executable, "-m", "bot", "why", "2", "--json"]
    ended = subprocess.run(command, env={"DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else runs
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["is_same"]


async def test_no_input(tmp_path: Path) -> None:
    """A signal of which no input was kept says so; one that there is not is None."""
    async with await Store.open(tmp_path / "sgnl.db") as store:
        await store.remember([make_signal()], make_limits(next_id=2), [])
        why = await explain_signal(store, 1)
        assert why is not None
        assert not why.is_same
        assert "its input was not kept" in as_text(why)
        assert json.loads(as_json(why))["input"] is None
        assert await explain_signal(store, 2) is None


async def test_input_of_other_code(tmp_path: Path) -> None:
    """What this code cannot read, or put into its arrays, is as good as not kept; the signal itself is told of."""
    kept = decided(1)[0]
    market = replace(kept.captured.market, arrays={})
    async with await Store.open(tmp_path / "sgnl.db") as store:
        captured = replace(kept.captured, market=market, signal_id=1)
        await store.remember([replace(kept.signal, id=1)], make_limits(next_id=2), [], captures=[captured])
        assert "its input was not kept, or by other code" in as_text(await explained(store))
        with closing(sqlite3.connect(tmp_path / "sgnl.db")) as database:
            database.execute("UPDATE captures SET capture = ?", (to_blob({"signal_id": 1}),))
            database.commit()
        assert "its input was not kept, or by other code" in as_text(await explained(store))


async def explained(store: Store) -> Why:
    """Return what is said of the first signal."""
    why = await explain_signal(store, 1)
    assert why is not None
    assert why.captured is None
    assert why.recomputed is None
    return why


async def test_other_code(tmp_path: Path, history: StoreReader) -> None:
    """A signal of other code says whose it is, and what this code makes of it."""
    why = await explain_signal(history, 1)
    assert why is not None
    old = replace(why, signal=replace(why.signal, code_hash="0ther"), differences=("signal",))
    told = as_text(old)
    assert "decided by code 0ther, decided again by" in told
    assert "differs in signal" in told
