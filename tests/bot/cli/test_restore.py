"""`bot backup` and `bot restore`, one after the other."""

import asyncio
from pathlib import Path

import pytest

from bot.cli.parser import main
from storage.store import Store, StoreReader
from tests.storage.builders import make_limits, make_signal


def test_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What was backed up is there again; what it replaces is named, and a missing backup fails in one line."""
    monkeypatch.chdir(tmp_path)  # where no .env is
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    asyncio.run(_add_signal(1))
    assert main(["backup", "copy.db"]) == 0
    asyncio.run(_add_signal(2))
    assert main(["restore", "copy.db"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "the database as it is now is in copy.db",
        f"{tmp_path / 'data' / 'sgnl.db'} is now as it was in copy.db; start the bot",
    ]
    replaced = Path(told[2].removeprefix("what it replaced is in "))
    assert asyncio.run(_signals(tmp_path / "data" / "sgnl.db")) == [1]
    assert asyncio.run(_signals(replaced)) == [2, 1]
    assert main(["restore", "nowhere.db"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


async def _add_signal(number: int) -> None:
    async with await Store.open(Path("data") / "sgnl.db") as store:
        await store.remember([make_signal(number)], make_limits(next_id=number + 1), [])


async def _signals(path: Path) -> list[int]:
    async with await StoreReader.open(path) as reader:
        return [signal.id for signal, _ in await reader.signals.find()]
