"""What a bot decided on a tape is decided again from it, to the bit; and nothing from later is ever known."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.replay import Replay, Replayed
from features.facts.market import OrderBook, Trades
from fetchers.simulated.scenario import Planted
from fetchers.tape.files import TapeWriter, read_tape
from fetchers.tape.records import Checkpoint, Header, Record, TapeError, TapeTick
from scoring.signals import Outcome, Signal
from tests.bot.stage import RunningBot, staged
from tests.fetchers.tape.builders import same

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

SETUPS = (
    Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit"),
    Planted(coin="TAVRO", venue="bybit", start_s=58, hold_s=10, fate="stop_loss"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a bot did while it recorded."""

    files: list[Path]
    rows: list[tuple[Signal, Outcome | None]]


async def rows_of(bot: RunningBot) -> list[tuple[Signal, Outcome | None]]:
    """Return its signals in their order."""
    return sorted(await bot.store.signals.find(), key=lambda row: row[0].id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """Record two lives of a bot: with a pause by command, a clock that is set, reloads, and an end without a word."""
    folder = tmp_path_factory.mktemp("live")
    settings: dict[str, Any] = {
        "TAPE": "on",
        "DATA_DIR": str(folder),
        "UNIVERSE_RELOAD_SECONDS": "16",
        "SIGNAL_TIMEOUT_SECONDS": "16",
    }
    async with staged(folder, *SETUPS, exchanges={"bybit"}, **settings) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(30)
            await bot.orchestrator.ledger.pause(stage.clock.now_ms() + 4000)
            await bot.tick_for(2)
            await bot.orchestrator.ledger.resume()
            await bot.tick_for(4)
        async with stage.bot() as bot:  # with an open signal, and windows that were not saved
            await bot.tick_for(8)
            stage.clock.set_wall_clock(-1234.0)
            await bot.tick_for(36)
            return Live(files=sorted((folder / "tape").iterdir()), rows=await rows_of(bot))


async def replayed(files: Sequence[Path], **options: object) -> Replayed:
    """Return what a replay makes."""
    async with Replay(**options) as replay:  # type: ignore[arg-type]
        return await replay.play(files)


def cut(path: Path, folder: Path, ticks: int, *, then: Sequence[TapeTick] = ()) -> Path:
    """Write the first ticks of a file to another, and others after them."""
    records: list[Record] = []
    for record in read_tape(path):
        if isinstance(record, TapeTick) and sum(isinstance(one, TapeTick) for one in records) == ticks:
            break
        records.append(record)
    return write(folder / path.name, [*records, *then])


def write(path: Path, records: Sequence[Record]) -> Path:
    """Write records to a file."""
    file, header = BytesIO(), records[0]
    assert isinstance(header, Header)
    writer = TapeWriter(file, header)
    for record in records[1:]:
        writer.write(record)
    path.write_bytes(file.getvalue())
    return path


async def test_the_same_bits(live: Live) -> None:
    """Every decision with all its features, and every field of every signal and outcome, comes out again."""
    done = await replayed(live.files)
    assert done.differs_ms is None
    assert done.recorded_digest == done.digest
    assert len(live.rows) >= 2
    assert any(outcome is not None for _, outcome in live.rows)
    found = [(replace(signal, code_hash=""), outcome) for signal, outcome in done.rows]  # the stage gives none
    assert same(found, live.rows)
    assert done.lines == []


async def test_what_was_on_the_tape(live: Live) -> None:
    """The tape that gave the same bits held all of it: two sessions, commands, a step, reloads, books, prints."""
    records = [record for path in live.files for record in read_tape(path)]
    ticks = [record for record in records if isinstance(record, TapeTick)]
    assert len({record.session for record in records if isinstance(record, Header)}) == 2
    assert sum(isinstance(record, Checkpoint) for record in records) == 3  # also where the clock was set back
    assert [list(changes) for tick in ticks for changes in tick.limits] == [["paused_until_ms"], ["paused_until_ms"]]
    assert [round(tick.clock_step_ms, -3) for tick in ticks if tick.clock_step_ms] == [-1_234_000]
    assert sum(tick.watched is not None for tick in ticks) >= 4
    arrived = [one for tick in ticks for portion in tick.portions for one in portion]
    assert {OrderBook, Trades} <= {type(one) for one in arrived}


async def test_fresh_processes(live: Live) -> None:
    """A process with another hash seed and time zone gives the same bits, and opens nothing of the live bot's."""
    found = []
    for seed, zone in (("1", "Asia/Kolkata"), ("77", "America/Los_Angeles")):
        command = [sys.executable, "-m", "bot", "replay", "--json", *map(str, live.files)]
        env = {"PYTHONHASHSEED": seed, "TZ": zone, "PATH": os.environ["PATH"], "DATA_DIR": "/nowhere"}
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else runs
        assert (ended.returncode, ended.stderr) == (0, "")
        shown = json.loads(ended.stdout)
        shown.pop("ticks_per_second")
        shown.pop("times_real_time")
        found.append(shown)
    assert found[0] == found[1]
    assert found[0]["digest"] == found[0]["recorded_digest"]
    assert [one["decided_ms"] for one in found[0]["signals"]] == [signal.decided_ms for signal, _ in live.rows]


async def test_no_look_ahead(live: Live, tmp_path: Path) -> None:
    """Wherever the tape is cut, what was decided before the cut stays."""
    whole = await replayed(live.files[:1])
    for ticks in (1, 9, 14, 17):
        done = await replayed([cut(live.files[0], tmp_path, ticks)])
        assert done.ticks == ticks
        assert done.differs_ms is None
        known = [signal for signal, _ in whole.rows if signal.decided_ms <= done.last_ms + 2000]
        assert [signal for signal, _ in done.rows] == known


async def test_the_future_is_never_handed_out(live: Live, tmp_path: Path) -> None:
    """A row that was received later than a tick saw is left out of it and said; nothing comes out otherwise."""
    records = list(read_tape(live.files[0]))
    place, tick, stolen = next(
        (place, record, one)
        for place, record in enumerate(records)
        if isinstance(record, TapeTick)
        for portion in record.portions
        for one in portion
        if isinstance(one, OrderBook)
    )
    planted = replace(stolen, received_ms=tick.seen_ms + 1, exchange_ms=stolen.exchange_ms + 5, asks=stolen.asks * 1.01)
    records[place] = replace(tick, portions=[*tick.portions, [planted]])
    done = await replayed([write(tmp_path / "1-planted.zst", records)])
    assert done.differs_ms is None
    assert done.lines == ["left out: 1 observations from the future"]


async def test_other_settings(live: Live) -> None:
    """With another setting other decisions come out, of one life after the other, and the tape's own stays named."""
    done = await replayed(live.files, changed={"MIN_SCORE_THRESHOLD": "99.5"})
    assert done.rows == []
    assert done.digest != done.recorded_digest


async def test_a_stretch(live: Live) -> None:
    """From a time on, and up to one, only what lies between counts, and it is the same."""
    whole = await replayed(live.files[:1])
    decided_ms = whole.rows[0][0].decided_ms
    later = await replayed(live.files[:1], from_ms=decided_ms - 2000)
    assert list(later.rows) == list(whole.rows)
    assert later.differs_ms is None
    earlier = await replayed(live.files[:1], to_ms=decided_ms - 2000)
    assert list(earlier.rows) == []
    assert 0 < earlier.ticks == whole.ticks - later.ticks


async def test_changed_code_is_seen(live: Live, tmp_path: Path) -> None:
    """Where anything comes out otherwise than recorded, the first such tick is named."""
    records = list(read_tape(live.files[0]))
    place = [at for at, one in enumerate(records) if isinstance(one, TapeTick)][5]
    tick = records[place]
    assert isinstance(tick, TapeTick)
    records[place] = replace(tick, digest="0" * 16)
    done = await replayed([write(tmp_path / "1-other.zst", records)])
    assert done.differs_ms == tick.started_ms


async def test_state_of_other_code(live: Live, tmp_path: Path) -> None:
    """A checkpoint that this code cannot read is a line with the file's name, not a traceback."""
    records = list(read_tape(live.files[0]))
    records[1] = Checkpoint(at_ms=0, state=b"nothing")
    with pytest.raises(TapeError, match=r"1-old\.zst: it was recorded by a version"):
        await replayed([write(tmp_path / "1-old.zst", records)])
