"""A venue more is one row of facts and two modules."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from features.facts.venues import VENUES

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "fifth_venue"
ROOMS = ("features", "fetchers")
FACTS = "features/facts/venues.py"
ROW = '        VenueFacts(id="okto", title="Okto", pair_page="https://okto.example/{}"),\n'
LAST_LINES = "    )\n}\n"  # of the table of venues


def add_okto(copy: Path) -> None:
    """Add the row, the wire module and the simulated wire module."""
    facts = (copy / FACTS).read_text()
    assert facts.count(LAST_LINES) == 1
    (copy / FACTS).write_text(facts.replace(LAST_LINES, ROW + LAST_LINES))
    shutil.copy(HERE / "wire.py", copy / "fetchers/venues/okto.py")
    shutil.copy(HERE / "simulated_wire.py", copy / "fetchers/simulated/wires/okto.py")


def touched(copy: Path) -> set[str]:
    """Return the files that are not as here, by their path."""
    files = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    return {str(file) for file in files if not _is_same(ROOT / file, copy / file)}


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def run(copy: Path) -> dict[str, Any]:
    """Run the feed of the copy in a process of its own, and return its report."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(copy), str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.fetchers.fifth_venue.run"]
    ended = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    report: dict[str, Any] = orjson.loads(ended.stdout)
    return report


def test_a_fifth_venue_is_one_row_and_two_modules(tmp_path: Path) -> None:
    """Okto joins the four, polled by the real feed over HTTP; three files are touched and nothing else is edited."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    assert touched(tmp_path) == set()
    add_okto(tmp_path)
    report = run(tmp_path)
    assert touched(tmp_path) == {FACTS, "fetchers/venues/okto.py", "fetchers/simulated/wires/okto.py"}
    for kind in ("Quotes", "OrderBook", "Trades"):
        assert report["came"][f"okto {kind}"] >= 3
    assert report["bitcoin"] == sorted([*VENUES, "okto"])  # the coin it shares with the others
    assert report["planted"]["PRUVO"] == "okto"
    assert report["errors"].keys() >= {"Okto", "Binance"}
    assert not any(report["errors"].values())
    assert not any(report["refused"].values())
