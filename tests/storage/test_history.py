"""What people and the web app ask the database."""

from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.history import History, symbol_key
from storage.sqlite import Store
from tests.storage.builders import DECIDED_MS, make_limits, make_near_miss, make_outcome, make_signal


@pytest.fixture
async def store(store: Store) -> Store:
    """Return a database with three signals, the second and then the first of them ended."""
    signals = [
        make_signal(1, features={}),
        make_signal(
            2, features={}, coin="PEPE", instrument_id="1000PEPE_USDT", pair="1000PEPE/USDT:USDT", venue="mexc"
        ),
        make_signal(3, features={}, coin="币安人生", instrument_id="币安人生USDT", pair="币安人生/USDT:USDT"),
    ]
    await store.remember(signals, make_limits(next_id=4), [])
    await store.record_outcome(make_outcome(2), make_limits(next_id=4), [])
    await store.record_outcome(make_outcome(1, exit_ms=DECIDED_MS + 10**7), make_limits(next_id=4), [])
    return store


@pytest.mark.parametrize(
    ("symbol", "ids"),
    [
        (None, [3, 2, 1]),
        ("XLM", [1]),
        ("xlmusdt", [1]),
        ("XLM/USDT", [1]),
        ("XLM/USDT:USDT", [1]),
        ("pepe", [2]),
        ("1000PEPE", [2]),
        ("1000pepe_usdt", [2]),
        ("币安人生", [3]),
        ("币安人生usdt", [3]),
        ("XL", []),
        ("", []),
        ("'; DROP TABLE signals", []),
    ],
)
async def test_signals_by_symbol(store: Store, symbol: str | None, ids: list[int]) -> None:
    """A symbol is a coin, a pair or a venue's id, with or without USDT, in any case; newest first."""
    assert [signal.id for signal, _ in await store.signals(symbol)] == ids


def test_a_coin_called_usdt() -> None:
    """USDT alone stays what it is."""
    assert symbol_key("usdt") == "USDT"


async def test_signals_since_and_limit(store: Store) -> None:
    """Only signals decided since then, and the newest of them."""
    assert [signal.id for signal, _ in await store.signals(since_ms=DECIDED_MS + 2000)] == [3, 2]
    assert [signal.id for signal, _ in await store.signals(limit=1)] == [3]


async def test_a_signal_with_its_outcome(store: Store) -> None:
    """A signal comes with its outcome, or None while it is open; an unknown id gives None."""
    assert await store.signal(2) == ((await store.signals("PEPE"))[0][0], make_outcome(2))
    assert (await store.signals("币安人生"))[0][1] is None
    assert await store.signal(99) is None


async def test_closed_signals(store: Store) -> None:
    """Statistics see the ended signals in the order in which they ended."""
    assert [signal.id for signal, _ in await store.closed_signals()] == [2, 1]
    assert [outcome.signal_id for _, outcome in await store.closed_signals(DECIDED_MS + 10**7)] == [1]


async def test_near_misses_and_refusals(store: Store) -> None:
    """Near misses come newest first, and each gate's refusals are counted."""
    misses = [
        make_near_miss(decided_ms=1),
        make_near_miss(decided_ms=2, failed=("spread", "score"), coin="PEPE"),
        make_near_miss(decided_ms=3, failed=("score",)),
    ]
    await store.remember([], make_limits(), [], misses)
    assert await store.near_misses(2) == [misses[2], misses[1]]
    assert await store.near_misses(0, limit=1) == [misses[2]]
    assert await store.refusals(0) == {"score": 3, "spread": 1}
    assert await store.refusals(3) == {"score": 1}


async def test_reading_beside_a_running_bot(store: Store, path: Path) -> None:
    """A report reads while a bot writes, sees what is committed, and cannot write."""
    async with await History.open(path) as history:
        assert len(await history.signals()) == 3
        await store.remember([make_signal(4)], make_limits(next_id=5), [])
        assert len(await history.signals()) == 4
        with pytest.raises(StorageError, match="cannot be written"):
            await history._read("DELETE FROM signals")


async def test_nothing_to_read_yet(path: Path) -> None:
    """A report before the bot's first run says so and leaves no file behind."""
    with pytest.raises(StorageError, match="cannot be opened"):
        await History.open(path)
    assert not path.exists()


async def test_backup(store: Store, tmp_path: Path) -> None:
    """A copy is a whole database, and is brought up to date by the next one."""
    async with await History.open(store._path) as reader:
        for n in (4, 5):
            await store.remember([make_signal(n)], make_limits(), [])
            await reader.back_up(tmp_path / "copy.db")
            async with await History.open(tmp_path / "copy.db") as copied:
                assert repr(await copied.signals()) == repr(await store.signals())
    assert not list(tmp_path.glob("*.part*"))


async def test_a_backup_that_cannot_be(store: Store, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(StorageError, match="nowhere"):
        await store.back_up(tmp_path / "nowhere" / "copy.db")
