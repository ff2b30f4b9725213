"""What people and the web app ask of signals."""

import pytest

from storage.blobs import to_blob
from storage.errors import StorageError
from storage.signals import open_signal_from_row, signal_to_row
from storage.store import Store
from tests.scoring.test_capture import decided
from tests.storage.builders import DECIDED_MS, make_limits, make_outcome, make_signal
from tests.storage.conftest import Query

USED_UP = make_limits(next_id=2, last_signal_ms={"XLM": 7})
TABLES = ("signals", "outbox", "near_misses", "outcomes", "open_signals", "changes", "state WHERE key = 'limits'")


@pytest.fixture
async def three(store: Store) -> Store:
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
async def test_signals_by_symbol(three: Store, symbol: str | None, ids: list[int]) -> None:
    """A symbol is a coin, a pair or a venue's id, with or without USDT, in any case; newest first."""
    assert [signal.id for signal, _ in await three.signals.find(symbol)] == ids


async def test_signals_since_and_limit(three: Store) -> None:
    """Only signals decided since then, and the newest of them."""
    assert [signal.id for signal, _ in await three.signals.find(since_ms=DECIDED_MS + 2000)] == [3, 2]
    assert [signal.id for signal, _ in await three.signals.find(limit=1)] == [3]


async def test_a_signal_with_its_outcome(three: Store) -> None:
    """A signal comes with its outcome, or None while it is open; an unknown id gives None."""
    assert await three.signals.get(2) == ((await three.signals.find("PEPE"))[0][0], make_outcome(2))
    assert (await three.signals.find("币安人生"))[0][1] is None
    assert await three.signals.get(99) is None


async def test_closed_signals(three: Store) -> None:
    """Statistics see the ended signals in the order in which they ended."""
    assert [signal.id for signal, _ in await three.signals.closed()] == [2, 1]
    assert [outcome.signal_id for _, outcome in await three.signals.closed(DECIDED_MS + 10**7)] == [1]


async def test_prices_are_there_for_people(store: Store, query: Query) -> None:
    """Levels and results can be filtered and sorted in SQL although they are kept in the JSON text."""
    await store.remember([make_signal()], make_limits(), [])
    await store.record_outcome(make_outcome(), make_limits(), [])
    assert query("SELECT entry, stop FROM signals WHERE entry > 0") == [(0.000012345, 0.000012444)]
    assert query("SELECT net_percent, r FROM outcomes WHERE r > 1") == [(1.593, 1.766)]


async def test_what_a_signal_was_decided_on(store: Store, query: Query) -> None:
    """The input comes with its signal, or neither is stored; it comes back to the bit."""
    kept = decided(1)[0]
    query("CREATE TRIGGER broken BEFORE INSERT ON captures BEGIN SELECT RAISE(ABORT, 'injected'); END")
    with pytest.raises(StorageError, match="injected"):
        await store.remember([kept.signal], USED_UP, [], captures=[kept.captured])
    assert not any(query(f"SELECT * FROM {each}") for each in TABLES)  # noqa: S608 - our own names
    query("DROP TRIGGER broken")
    await store.remember([kept.signal], USED_UP, [], captures=[kept.captured])
    again = await store.signals.capture(kept.signal.id)
    assert to_blob(again) == to_blob(kept.captured)
    assert await store.signals.capture(kept.signal.id + 1) is None


def test_nobody_has_looked_yet() -> None:
    """A signal killed before its first look starts at its entry at the time of its decision."""
    signal = make_signal(1)
    fresh = open_signal_from_row({**signal_to_row(signal), "tracking": None})
    assert (fresh.looked_ms, fresh.best_price, fresh.worst_price) == (DECIDED_MS + 1000, 0.000012345, 0.000012345)
