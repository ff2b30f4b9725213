"""The thread that writes: nobody waits for it, what it cannot write is said, and old files go."""

import threading
from pathlib import Path

import pytest

from fetchers.tape.files import read_tape
from fetchers.tape.folder import QUEUED, NewFile, TapeFolder
from fetchers.tape.records import Checkpoint, Gap
from tests.builders import NOW_MS
from tests.fetchers.tape.builders import HEADER, same, tick


def new_file(state: bytes = b"held", gap: Gap | None = None) -> NewFile:
    """Return the beginning of a file."""
    return NewFile(header=HEADER, gap=gap, at_ms=NOW_MS, pack=lambda: state)


def test_files_in_order(tmp_path: Path) -> None:
    """Each beginning is a file of the next number, also after a restart; a gap stands before its checkpoint."""
    for start in range(2):
        folder = TapeFolder(tmp_path / "tape", 1)
        gap = Gap(ticks=3, reason="slow")
        for item in (new_file(), tick(start), new_file(gap=gap), tick(start + 1)):
            assert folder.put(item)
        folder.close()
        assert folder.trouble == ""
        files = sorted((tmp_path / "tape").iterdir())
        assert folder.bytes == sum(file.stat().st_size for file in files)
    assert [file.name for file in files] == [f"00000{n}-20231114T221320Z.zst" for n in range(1, 5)]
    held = Checkpoint(at_ms=NOW_MS, state=b"held")
    assert same(list(read_tape(files[2])), [HEADER, held, tick(1)])
    assert same(list(read_tape(files[3])), [HEADER, gap, held, tick(2)])


def test_a_slow_disk(tmp_path: Path) -> None:
    """While the disk is busy ticks are queued at once, and where the queue is full refused at once."""
    folder, busy = TapeFolder(tmp_path, 1), threading.Event()

    def pack() -> bytes:
        assert busy.wait(10)
        return b""

    folder.put(NewFile(header=HEADER, gap=None, at_ms=NOW_MS, pack=pack))
    taken = sum(folder.put(tick(number)) for number in range(2 * QUEUED))
    assert QUEUED - 1 <= taken <= QUEUED
    busy.set()
    folder.close()
    (file,) = tmp_path.iterdir()
    assert len(list(read_tape(file))) == 2 + taken


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """What cannot be written is said and does not end the thread; the next file begins as if nothing had been."""
    (tmp_path / "tape").write_text("a file where the folder belongs")
    folder = TapeFolder(tmp_path / "tape", 1)
    folder.put(new_file())
    folder.put(tick())
    folder.close()
    assert "the tape cannot be written: " in folder.trouble
    (tmp_path / "tape").unlink()
    folder.put(new_file())
    folder.put(tick())
    folder.close()
    assert folder.trouble == ""
    (file,) = (tmp_path / "tape").iterdir()
    assert len(list(read_tape(file))) == 3


@pytest.mark.parametrize("kept", [1, 2])
def test_the_oldest_are_removed(tmp_path: Path, kept: int) -> None:
    """At the beginning of a file those before it take no more room than they may, the oldest going first."""
    size = 100_000
    for number in range(1, 5):
        (tmp_path / f"00000{number}-20231114T221320Z.zst").write_bytes(bytes(size))
    (tmp_path / "notes.txt").write_text("mine")
    folder = TapeFolder(tmp_path, kept * size / 1e9)
    folder.put(new_file())
    folder.close()
    numbers = [file.name[:6] for file in sorted(tmp_path.iterdir()) if file.suffix == ".zst"]
    assert numbers == [f"00000{number}" for number in range(5 - kept, 6)]
    assert (tmp_path / "notes.txt").exists()
