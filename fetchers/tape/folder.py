"""The folder of the live tapes: a thread that writes, so that no tick waits for it, and removes what is too old."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from fetchers.tape.files import SUFFIX, TapeWriter
from fetchers.tape.records import Checkpoint, Gap, Header, TapeTick

QUEUED = 30  #: ticks that may wait for the disk; more are dropped, and the tape says so


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """Begin a file; the checkpoint is packed by the thread."""

    header: Header
    gap: Gap | None
    at_ms: int
    pack: Callable[[], bytes]


class TapeFolder:
    """Takes records from the loop and returns at once; `trouble` says why the last could not be written."""

    def __init__(self, path: Path, max_gb: float) -> None:
        self.path = path
        self.trouble = ""
        self.bytes = 0  #: of all files
        self._most_bytes = max_gb * 1e9
        self._queue: queue.Queue[NewFile | TapeTick | None] = queue.Queue(QUEUED)
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many records wait for the disk."""
        return self._queue.qsize()

    def put(self, item: NewFile | TapeTick) -> bool:
        """Queue what is to be written; return whether there was room."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tape", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Write what is queued and end; this waits."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        file: BinaryIO | None = None
        writer: TapeWriter | None = None
        while (item := self._queue.get()) is not None:
            try:
                if isinstance(item, NewFile):
                    self._end(file, writer)
                    file, writer = None, None
                    file, writer = self._begin(item)
                elif writer is not None:
                    before = writer.written
                    writer.write(item)
                    self.bytes += writer.written - before
            except OSError as error:
                writer = None  # what stands there is whole up to the last record; the next file begins anew
                self.trouble = f"the tape cannot be written: {error}"
        with suppress(OSError):  # all but the stream's end is there
            self._end(file, writer)

    def _begin(self, item: NewFile) -> tuple[BinaryIO, TapeWriter]:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_oldest()
        files = self._files()
        number = int(files[-1].name.partition("-")[0]) + 1 if files else 1
        began = datetime.fromtimestamp(item.header.started_ms / 1000, UTC)
        file = (self.path / f"{number:06}-{began:%Y%m%dT%H%M%SZ}{SUFFIX}").open("xb")
        writer = TapeWriter(file, item.header)
        if item.gap is not None:
            writer.write(item.gap)
        writer.write(Checkpoint(at_ms=item.at_ms, state=item.pack()))
        self.bytes += writer.written
        self.trouble = ""
        return file, writer

    def _end(self, file: BinaryIO | None, writer: TapeWriter | None) -> None:
        if file is None:
            return
        with file:
            if writer is not None:
                before = writer.written
                writer.end()
                self.bytes += writer.written - before

    def _files(self) -> list[Path]:
        return sorted(self.path.glob(f"[0-9]*-*{SUFFIX}"))

    def _remove_oldest(self) -> None:
        sizes = {file: file.stat().st_size for file in self._files()}
        self.bytes = sum(sizes.values())
        for file, size in sizes.items():
            if self.bytes <= self._most_bytes:
                return
            file.unlink()
            self.bytes -= size
