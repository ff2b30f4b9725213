"""The command's arguments, and how it shows what came out; what it makes is in tests/bot/test_replay.py."""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.parser import make_parser
from bot.cli.replay import as_json, as_text
from bot.config.load import ConfigError
from bot.replay import Replay, Replayed
from fetchers.tape.records import Header
from tests.builders import NOW_MS
from tests.scoring.frames import outcome, signal

DONE = Replayed(
    headers=[Header(started_ms=NOW_MS, source="vision", missing={"order books": "not published"})],
    ticks=720,
    seconds=12.0,
    first_ms=NOW_MS,
    last_ms=NOW_MS + 3_600_000,
    digest="aa",
    recorded_digest="aa",
    differs_ms=None,
    rows=[(signal(), outcome()), (signal(id=2), None)],
    lines=[],
)


def test_text() -> None:
    """People see how fast it was, what the source lacks, every signal with its end, and whether it is the same."""
    told = as_text(DONE, {})
    assert "60 ticks a second, 300 times real time" in told
    assert "missing: order books (not published)" in told
    assert "still open" in told
    assert "2 signals, 1 of them ended" in told
    assert "the same to the bit" in told
    assert "DIFFERS, first in the tick of 2023-11-14 22:13:20 UTC" in as_text(replace(DONE, differs_ms=NOW_MS), {})
    assert "with other settings" in as_text(DONE, {"MAX_DAILY_TRADES": "3"})
    assert "no tape of a live bot" in as_text(replace(DONE, recorded_digest=None), {})


def test_json() -> None:
    """Programs get one object."""
    shown = json.loads(as_json(DONE))
    assert {"digest", "recorded_digest", "ticks", "ticks_per_second", "signals"} <= shown.keys()
    assert shown["signals"][0].keys() >= {"coin", "venue", "decided_ms", "entry", "score", "outcome"}
    assert shown["signals"][1]["outcome"] is None


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Times are UTC; what is no setting or no time is refused with what is expected."""
    options = make_parser().parse_args(["replay", "a", "b", "--set", "TP_PERCENT=2", "--from", "2023-11-14T22:13:20"])
    assert (options.files, options.set, options.from_ms) == ([Path("a"), Path("b")], [("TP_PERCENT", "2")], NOW_MS)
    for wrong in (["--set", "2"], ["--to", "yesterday"]):
        with pytest.raises(SystemExit):
            make_parser().parse_args(["replay", "a", *wrong])
        assert "expected" in capsys.readouterr().err
    assert isinstance(options, argparse.Namespace)


@pytest.mark.parametrize(
    ("file", "told", "code"),
    [("missing.zst", "No such file", 1), ("other.zst", "it does not begin like a tape of SGNL", 1)],
)
def test_refusals(tmp_path: Path, file: str, told: str, code: int) -> None:
    """A file that is none is one line."""
    (tmp_path / "other.zst").write_text("x" * 100)
    command = [sys.executable, "-m", "bot", "replay", str(tmp_path / file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_settings_that_cannot_be_others() -> None:
    """A misspelt name, and what the tape has decided already, are refused together before anything is played."""
    with pytest.raises(ConfigError) as refused:
        Replay(changed={"MIN_SCOR_THRESHOLD": "80", "EXCLUDE_COINS": "PEPE", "HTTP_PORT": "1", "TP_PERCENT": "2"})
    first, second, third = refused.value.problems
    assert first.startswith("EXCLUDE_COINS: cannot be another in a replay")
    assert second.startswith("HTTP_PORT: cannot be another")
    assert third == "MIN_SCOR_THRESHOLD: is no setting, did you mean MIN_SCORE_THRESHOLD?"
