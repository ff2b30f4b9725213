"""The market's windows, as they were saved last."""

from dataclasses import replace

import pytest

from storage.blobs import to_blob
from storage.store import Store
from tests.scoring.test_capture import decided
from tests.storage.conftest import Query


async def test_windows(store: Store, query: Query) -> None:
    """The last windows saved are there, and no others; what cannot be read is said so."""
    assert await store.windows.load() is None
    taken = decided(1)[0].captured.market
    await store.windows.save(replace(taken, ticks=7), ())
    await store.windows.save(taken, ())
    assert to_blob(await store.windows.load()) == to_blob(taken)
    query("UPDATE windows SET snapshot = substr(snapshot, 1, 500)")
    with pytest.raises(ValueError, match="cannot be read"):
        await store.windows.load()
