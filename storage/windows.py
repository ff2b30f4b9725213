"""The market's windows as they were saved last, for a warm start: a file beside the database.

In the database each save would be written twice, to its log and then to itself, and this is nearly all that is written.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from features.state.snapshot import Snapshot
from scoring.signals import OpenSignal
from storage.blobs import from_blob, to_blob
from storage.database import Database
from storage.errors import explained
from storage.files import WINDOWS, make_private
from storage.near_misses import track_near_misses


class Windows:
    """Reads and writes the windows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file = Path(f"{database.path}{WINDOWS}")

    async def save(self, snapshot: Snapshot, followed: Iterable[OpenSignal]) -> None:
        """Store the market, packed and written in a thread, and how far near misses have been followed.

        The file is there whole, the old one or the new one, whenever the process or the machine stops.

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        await self._database.write(track_near_misses(followed))
        with explained(self._file):
            await asyncio.to_thread(_write, self._file, snapshot)

    async def load(self) -> Snapshot | None:
        """Return the market as it was saved last, None where it was not.

        Raises
        ------
        ValueError
            What was saved cannot be read, or not by this code: the bot starts without.
        """
        try:
            return await asyncio.to_thread(_read, self._file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(f"{self._file}: {error.strerror}") from error


def _write(file: Path, snapshot: Snapshot) -> None:
    part = Path(f"{file}.part")  # always the same: a process that is killed leaves one behind at most
    make_private(part)
    with part.open("wb") as writer:
        writer.write(to_blob(snapshot))
        writer.flush()
        os.fsync(writer.fileno())
    part.replace(file)


def _read(file: Path) -> Snapshot:
    return from_blob(Snapshot, file.read_bytes())
