"""The market's windows, as they were saved last."""

from dataclasses import replace
from pathlib import Path

import pytest

from storage.blobs import to_blob
from storage.errors import StorageError
from storage.store import Store
from tests.scoring.test_capture import decided


async def test_windows(store: Store, path: Path) -> None:
    """The last windows saved are there, and no others; what cannot be read is said so."""
    assert await store.windows.load() is None
    taken = decided(1)[0].captured.market
    await store.windows.save(replace(taken, ticks=7), ())
    await store.windows.save(taken, ())
    assert to_blob(await store.windows.load()) == to_blob(taken)
    file = Path(f"{path}.windows")
    assert file.stat().st_mode & 0o077 == 0
    whole = file.read_bytes()
    for length in (0, 500, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read"):
            await store.windows.load()


async def test_a_save_that_was_cut_short(store: Store, path: Path) -> None:
    """What a killed process left half written is not read, and is written over by the next save."""
    taken = decided(1)[0].captured.market
    await store.windows.save(taken, ())
    part = Path(f"{path}.windows.part")
    part.write_bytes(b"half")
    assert to_blob(await store.windows.load()) == to_blob(taken)
    await store.windows.save(replace(taken, ticks=7), ())
    assert not part.exists()
    assert to_blob(await store.windows.load()) == to_blob(replace(taken, ticks=7))


async def test_a_folder_that_takes_nothing(store: Store, path: Path) -> None:
    """A save that fails says of which file, and the windows saved before stay."""
    taken = decided(1)[0].captured.market
    await store.windows.save(taken, ())
    part = Path(f"{path}.windows.part")
    part.mkdir()
    with pytest.raises(StorageError, match=r"\.windows"):
        await store.windows.save(replace(taken, ticks=7), ())
    assert to_blob(await store.windows.load()) == to_blob(taken)
