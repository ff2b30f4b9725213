"""The market's windows as they were saved last, for a warm start."""

import asyncio
from collections.abc import Iterable

from features.state.snapshot import Snapshot
from scoring.signals import OpenSignal
from storage.blobs import from_blob, to_blob
from storage.database import Database
from storage.near_misses import track_near_misses

_PUT = "INSERT OR REPLACE INTO windows (id, snapshot) VALUES (1, :snapshot)"


class Windows:
    """Reads and writes the windows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, snapshot: Snapshot, followed: Iterable[OpenSignal]) -> None:
        """Store the market, packed in a thread, and with it how far near misses have been followed.

        Raises
        ------
        StorageError
            Somebody has been reading the database for so long that its write-ahead log has grown too large.
        """
        await self._database.keep_log_short()  # the windows are nearly all that fills it
        blob = await asyncio.to_thread(to_blob, snapshot)
        await self._database.write((_PUT, [{"snapshot": blob}]), track_near_misses(followed))

    async def load(self) -> Snapshot | None:
        """Return the market as it was saved last, None where it was not.

        Raises
        ------
        ValueError
            What was saved cannot be read, or not by this code: the bot starts without.
        """
        rows = await self._database.read("SELECT snapshot FROM windows")
        return await asyncio.to_thread(from_blob, Snapshot, rows[0]["snapshot"]) if rows else None
