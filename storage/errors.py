"""Errors of the disk, in words for the person who can put it right."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CAUSES = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it cannot be written: check the owner and the permissions of the file and its folder",
    "SQLITE_CANTOPEN": "it cannot be opened: check that the folder exists and its owner and permissions",
    "SQLITE_NOTADB": "it is not a database",
    "SQLITE_CORRUPT": "it is damaged: restore a backup, or move it away to begin anew",
    "SQLITE_BUSY": "another program keeps it locked",
    "SQLITE_IOERR": "the disk cannot read or write it",
}


class StorageError(Exception):
    """The database cannot be used as asked; nothing was changed."""


class DiskError(StorageError):
    """The disk is the cause: what was asked is possible once it is well."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors about `path` into one `StorageError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")  # e.g. SQLITE_READONLY_DIRECTORY
        cause = next((text for prefix, text in _CAUSES.items() if name.startswith(prefix)), None)
        raise DiskError(f"{path}: {cause}") if cause else StorageError(f"{path}: {error}") from error
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror or error}") from error
