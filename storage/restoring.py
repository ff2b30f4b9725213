"""A backup put in the place of the database: whole or not at all, and what it replaces stays beside it."""

import os
import shutil
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import StorageError, explained
from storage.files import SHARED_MEMORY, WAL, lock, refuse_database_file, temporary_beside
from storage.migrations import refuse_newer

_OURS = {"signals", "outbox", "state"}


def restore(path: Path, backup: Path, now_ms: int) -> Path | None:
    """Put a copy of `backup` in the place of the database at `path` and return where the replaced one is now.

    None: there was none. The history in MySQL notices by itself: each run has an id of its own.

    Raises
    ------
    StorageError
        A bot is running on it, or `backup` is no whole database of SGNL's, or one of newer code; nothing was changed.
    """
    with ExitStack() as resources:
        with explained(backup):
            if not backup.is_file():
                raise StorageError(f"{backup}: there is no such file")
            refuse_database_file(backup, path)
        lock(path, resources)
        with explained(path):
            part = temporary_beside(path)
            resources.callback(part.unlink, missing_ok=True)
        _copy_whole(backup, part)
        with explained(path):
            at = datetime.fromtimestamp(now_ms / 1000, UTC)
            replaced = path.with_name(f"{path.name}.replaced-{at:%Y%m%d-%H%M%S}") if path.exists() else None
            if replaced is not None:
                _set_aside(path, replaced)
            part.replace(path)
            _sync_folder(path.parent)
        return replaced


def _copy_whole(backup: Path, part: Path) -> None:
    # Where no log of its own lies beside it, nothing is created there either: it may be on a medium that is read-only.
    mode = "mode=ro" if Path(f"{backup}{WAL}").exists() else "mode=ro&immutable=1"
    with explained(backup), closing(sqlite3.connect(f"{backup.absolute().as_uri()}?{mode}", uri=True)) as source:
        tables = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= _OURS:
            raise StorageError(f"{backup}: is not a database of SGNL's")
        ((version,),) = source.execute("PRAGMA user_version")
        refuse_newer(backup, version)
        with closing(sqlite3.connect(part)) as target:
            source.backup(target)
            found = [text for (text,) in target.execute("PRAGMA integrity_check(1)")]
            if found != ["ok"]:
                raise StorageError(f"{backup}: is damaged ({found[0]}), use another backup")
            target.execute("PRAGMA journal_mode = DELETE")


def _set_aside(path: Path, replaced: Path) -> None:
    """Keep the database under another name too, and leave no log of it that the next one would take for its own."""
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            is_busy = True
        else:  # it is damaged, which may be why somebody restores: its log goes with it
            is_busy = False
            for end in (WAL, SHARED_MEMORY):
                if Path(f"{path}{end}").exists():
                    Path(f"{path}{end}").rename(f"{replaced}{end}")
    if is_busy:
        raise StorageError(f"{path}: another program is reading it, close that first")
    for end in (WAL, SHARED_MEMORY):
        Path(f"{path}{end}").unlink(missing_ok=True)
    try:
        os.link(path, replaced)
    except OSError:  # a file system without links
        shutil.copy2(path, replaced)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
