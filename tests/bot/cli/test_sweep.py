"""`bot sweep` over a made history."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.cli import sweep
from bot.cli.evaluate import LEDGER
from bot.cli.parser import main
from bot.cli.sweep import Combination
from scoring.evidence.rows import Rows
from tests.scoring.evidence.planted import table

DIED = "died"


def fake_play(tapes: Sequence[Path], values: Combination, _strategy: str) -> tuple[Rows, str]:
    """Return noise, better with a higher threshold; the first process to play 70 is killed."""
    marker = tapes[0].with_name(DIED)
    if values["MIN_SCORE_THRESHOLD"] == "70" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    seed = int(values["MIN_SCORE_THRESHOLD"])
    return table(seed=seed, truth=0.0, days=60, coins=3, per_coin_day=1), "c"


def test_a_killed_process_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its combination is played again; every one is in the table and in the ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sweep, "play", fake_play)
    Path("tape").write_bytes(b"any")
    arguments = ["sweep", "tape", "--grid=MIN_SCORE_THRESHOLD=68,70,72", "--grid=TP_PERCENT=1.2,1.7", "--jobs=2"]
    assert main([*arguments, "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert "a process died" in said.err
    assert (told["combinations"], told["tried"], len(told["settings"])) == (6, 6, 6)
    assert {tuple(one["values"].values()) for one in told["settings"]} == {
        (score, target) for score in ("68", "70", "72") for target in ("1.2", "1.7")
    }
    assert Path(LEDGER).read_bytes().count(b"\n") == 6


def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be used is said before anything is played."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["sweep", "tape", "--grid=TP_PERCENT=1.2,-3"]) == 2
    assert "TP_PERCENT" in capsys.readouterr().err
    assert main(["sweep", "tape", "--grid=TP_PERCENT=1,2", "--grid=TP_PERCENT=3"]) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", "tape", "--grid=TP_PERCENT"])
