"""`bot report`: figures for people, for programs and for spreadsheets; equal to the views by tests/storage."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

from bot.cli.parser import main
from bot.cli.report import as_csv, as_json, as_table
from bot.core.performance import Filters, HistoryReport, make_report
from scoring.records import compare
from scoring.signals import Result
from storage.store import Store
from tests.storage.builders import DECIDED_MS, make_limits, make_near_miss, make_outcome, make_signal


async def make(data_dir: Path) -> Store:
    """Return a database of two wins of XLM on Bybit and a loss of PEPE on MEXC, and one signal still open."""
    opened = await Store.open(data_dir / "sgnl.db")
    signals = [
        make_signal(1, score=72.0),
        make_signal(2, score=77.0, decided_ms=DECIDED_MS + 3_600_000),
        make_signal(3, score=100.0, coin="PEPE", venue="mexc"),
        make_signal(4),
    ]
    misses = [make_near_miss(failed=("score", "spread")), make_near_miss(coin="PEPE", venue="mexc", score=81.0)]
    await opened.remember(signals, make_limits(), [], misses)
    for number, net in ((1, 1.6), (2, 1.6), (3, -0.9)):
        result = Result(entry=1.0, gross_percent=net + 0.1, net_percent=net, r=net / 0.9)
        await opened.record_outcome(make_outcome(number, ideal=result), make_limits(), [])
    return opened


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    """Return the database, open."""
    return await make(tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return the DATA_DIR of a bot that has ended."""

    async def make_and_close() -> None:
        await (await make(tmp_path / "data")).close()

    asyncio.run(make_and_close())
    return tmp_path / "data"


async def report(store: Store, filters: Filters) -> HistoryReport:
    """Make a report and close the database."""
    async with store:
        return await make_report(store, filters)


async def test_the_figures(store: Store) -> None:
    """All that have ended count, once in each kind of group."""
    rows = await store.signals.closed()
    made = await report(store, Filters())
    assert repr(made.total) == repr(compare(rows))  # NaN is not equal to itself
    assert {name: {key: one.alerts.n for key, one in groups.items()} for name, groups in made.groups.items()} == {
        "kind": {"ups short": 3},
        "day": {"2023-11-14": 3},
        "score_band": {70: 1, 75: 1, 95: 1},
        "coin": {"PEPE": 1, "XLM": 2},
        "venue": {"bybit": 2, "mexc": 1},
        "hour_utc": {22: 2, 23: 1},
        "reason": {"take_profit": 3},
    }
    assert made.refusals == {"score": 2, "spread": 1}


@pytest.mark.parametrize(
    ("filters", "n", "refusals"),
    [
        (Filters(coin="xlm/usdt"), 2, {"score": 1, "spread": 1}),
        (Filters(venue="mexc"), 1, {"score": 1}),
        (Filters(band=75), 1, {}),
        (Filters(band=80), 0, {"score": 1}),
        (Filters(since_ms=DECIDED_MS + 603_000), 1, {}),
        (Filters(coin="DOGE"), 0, {}),
    ],
)
async def test_filters(store: Store, filters: Filters, n: int, refusals: dict[str, int]) -> None:
    """Each narrows the signals and the near misses alike."""
    made = await report(store, filters)
    assert made.total.alerts.n == n
    assert made.refusals == refusals


def test_the_commands(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`report` narrows and prints as asked, `backup` makes a database like it, and wrong usage exits with 2."""
    monkeypatch.chdir(tmp_path)  # where no .env is

    def command(data_dir: Path, *arguments: str) -> str:
        monkeypatch.setenv("DATA_DIR", str(data_dir))
        assert main(arguments) == 0
        return capsys.readouterr().out

    everything = command(made, "report", "--json")
    assert json.loads(everything)["total"]["n"] == 3
    for narrowed, n in (
        ("--coin=pepe", 1),
        ("--venue=bybit", 2),
        ("--band=75", 1),
        ("--days=36500", 3),
        ("--days=1", 0),
    ):
        assert json.loads(command(made, "report", "--json", narrowed))["total"]["n"] == n
    assert command(made, "report", "--csv").startswith("group,key,n,")
    assert "66.7%" in command(made, "report")
    (tmp_path / "copy").mkdir()
    command(made, "backup", str(tmp_path / "copy" / "sgnl.db"))
    assert command(tmp_path / "copy", "report", "--json") == everything
    with pytest.raises(SystemExit, match="2"):
        main(["report", "--band", "72"])


async def test_json(store: Store) -> None:
    """What has no value is null."""
    told = json.loads(as_json(await report(store, Filters(coin="XLM"))))
    assert told["total"]["wins"] == 2
    assert told["total"]["profit_factor"] is None
    assert told["score_band"]["75"]["net_percent"] == 1.6


async def test_csv(store: Store) -> None:
    """Every row has every column, and what has no value is empty."""
    rows = list(csv.DictReader(io.StringIO(as_csv(await report(store, Filters())))))
    assert [row["key"] for row in rows if row["group"] == "venue"] == ["bybit", "mexc"]
    assert [row["profit_factor"] for row in rows if row["group"] == "coin"] == ["0.0", ""]
    assert [(row["key"], row["refused"]) for row in rows if row["group"] == "refusals"] == [
        ("score", "2"),
        ("spread", "1"),
    ]
    assert all(None not in row.values() for row in rows)


async def test_table(store: Store) -> None:
    """A person reads aligned lines that say what is not proven."""
    lines = as_table(await report(store, Filters())).splitlines()
    assert lines[1].split()[:2] == ["all", "3"]
    assert "66.7%" in lines[1]
    assert lines[1].endswith("unproven")
    assert "  bybit " in "\n".join(lines)


async def test_nothing_yet(store: Store) -> None:
    """No data is said in words, and no figure is made up where there are only near misses."""
    made = await report(store, Filters(band=80))
    assert as_table(made).splitlines()[1].split() == ["all", *["-"] * 13, "no", "data"]
    assert "no signal has ended" in as_table(HistoryReport(total=made.total, groups={}, refusals={}))
