"""`bot evaluate` over a record on disk."""

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from bot.cli.evaluate import LEDGER
from bot.cli.parser import main
from fetchers.archives.history_profile import Profile
from scoring.signals import Arm, Result
from storage.store import Store
from tests.fetchers.archives.made import SYMBOLS, put_files, vision_contents
from tests.fetchers.archives.test_build import build
from tests.storage.builders import DECIDED_MS, make_control, make_limits, make_outcome, make_signal

DAY_MS = 86_400_000
ALERTS = 50


async def record(data_dir: Path) -> None:
    """Store two alerts a day for 25 days, each half an R better than its control."""
    random = Random(1)
    async with await Store.open(data_dir / "sgnl.db") as store:
        await store.remember([make_signal(1, version="older", decided_ms=DECIDED_MS - DAY_MS)], make_limits(), [])
        await store.record_outcome(make_outcome(1), make_limits(), [])
        for number in range(2, ALERTS + 2):
            arm = Arm.OTHER_INSTRUMENT
            signal = make_signal(
                number, decided_ms=DECIDED_MS + number // 2 * DAY_MS, version="v", coin=f"C{number % 7}"
            )
            await store.remember([signal], make_limits(), [], controls=[make_control(number, arm)])
            made = random.gauss(0.0, 1.0)
            result = Result(entry=1.0, gross_percent=made + 0.1, net_percent=made, r=made)
            by_chance = Result(entry=1.0, gross_percent=made, net_percent=made, r=made - 0.5 + random.gauss(0, 0.1))
            await store.record_outcome(make_outcome(number, ideal=result), make_limits(), [])
            await store.record_controls([], [], [make_outcome(10 * number + 1, ideal=by_chance)])


def test_the_record_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are those of the rows, both files are written, and every run is one line of the ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    asyncio.run(record(tmp_path))
    arguments = [
        "evaluate",
        "--boot=300",
        "--json",
        "--html=page.html",
        "--markdown=page.text",
        "--label=A <made> record",
    ]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["alerts"]["n"], told["alerts"]["days"], told["trials"]) == (ALERTS, 25, 1)
    delta = told["alerts"]["deltas"]["other_instrument"]
    assert delta["mean"] == pytest.approx(0.5, abs=0.05)
    assert delta["low"] > 0.4
    assert "1 of other versions left out" in told["said"]
    assert "no advice to trade" in Path("page.html").read_text()
    assert told["said"][0] == "A <made> record"
    assert "A &lt;made&gt; record" in Path("page.html").read_text()
    assert Path("page.text").read_text().startswith("# What the score of ups is worth")
    with Path(LEDGER).open("ab") as torn:
        torn.write(b'{"config_hash": "x"\n')
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 1  # the same settings once more
    assert Path(LEDGER).read_bytes().count(b"\n") == 3
    assert main(["evaluate", "--boot=300"]) == 0
    assert "alerts: bands fixed beforehand" in capsys.readouterr().out


def test_tapes_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Moments of a made history, with what it lacks said; other settings are another trial of the same data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    put_files(tmp_path / "files", vision_contents())
    tapes = build(tmp_path / "files", tmp_path / "tapes", SYMBOLS, Profile(source="vision", every_s=30)).report.files
    arguments = ["evaluate", "--json", "--boot=100", "--seed=28", *map(str, tapes), "--set=REACH_SECONDS=30", "--set"]
    told = []
    for timeout in ("300", "400"):
        assert main([*arguments, f"SIGNAL_TIMEOUT_SECONDS={timeout}"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [one["trials"] for one in told] == [1, 2]
    assert told[0]["moments"]["n"] == 2
    assert told[0]["verdict"] == "cannot tell"
    assert told[0]["moments"]["strict"]["n"] == 0  # some part of each is approximate
    assert "Not in this history: wall (the archive has bands, no levels)" in told[0]["said"]
    assert "Venues: binance; no other was tested" in told[0]["said"]


def test_nothing_to_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty record is one clear line and exit code 1."""

    async def make() -> None:
        await (await Store.open(tmp_path / "sgnl.db")).close()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    asyncio.run(make())
    assert main(["evaluate"]) == 1
    assert "nothing to judge" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--boot=5"])
