"""The files of a database: their names, their permissions, and the lock of the process that uses them."""

import os
import sqlite3
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from storage.errors import StorageError, explained

WAL, SHARED_MEMORY, LOCK, WINDOWS = "-wal", "-shm", ".lock", ".windows"
_BESIDE = (WAL, SHARED_MEMORY, "-journal", LOCK, WINDOWS, f"{WINDOWS}.part")


def lock(path: Path, resources: ExitStack | AsyncExitStack) -> None:
    """Lock an empty database beside `path`; the system releases it when the process ends, however it ends.

    Raises
    ------
    StorageError
        Another process holds it, or the folder cannot be written.
    """
    with explained(path):
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        beside = Path(f"{path}{LOCK}")
        make_private(beside)
        connection = sqlite3.connect(beside, timeout=0, isolation_level=None)
        resources.callback(connection.close)
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StorageError(f"{path}: another bot is using it, and only one may run on a DATA_DIR") from error
            raise


def make_private(path: Path) -> None:
    """Create the file where there is none, and leave the right to read and write it to its owner only."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        found = path.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            path.chmod(found.st_mode & 0o700)


def size_of(path: Path) -> int:
    """Return how many bytes the file has, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def temporary_beside(target: Path) -> Path:
    """Return a new empty file in the folder of `target`, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    os.close(descriptor)
    return Path(name)


def refuse_database_file(target: Path, database: Path) -> None:
    """Raise StorageError where writing to `target` would replace a file of `database` or of another bot's database.

    Links, symbolic or not, are followed.
    """
    place = target.resolve()
    own = [database, *(Path(f"{database}{end}") for end in _BESIDE)]
    if any(place == file.resolve() or (target.exists() and file.exists() and target.samefile(file)) for file in own):
        raise StorageError(f"{target}: is the bot's own database or belongs to it, choose another file")
    bases = [place, *(Path(str(place).removesuffix(end)) for end in _BESIDE if str(place).endswith(end))]
    if any(Path(f"{base}{LOCK}").exists() for base in bases):
        raise StorageError(f"{target}: is the database of a bot or belongs to it, choose another file")
