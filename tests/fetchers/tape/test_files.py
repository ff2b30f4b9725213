"""A file gives what is whole in it, and says what is not."""

import dataclasses
from io import BytesIO
from pathlib import Path

import pytest

from fetchers.tape.files import TapeWriter
from fetchers.tape.records import TapeError
from tests.fetchers.tape.builders import HEADER, read, same, tick, written


def test_torn_anywhere(tmp_path: Path) -> None:
    """Cut at any byte, a file gives its whole records, and one line where the last is not whole."""
    ends = [len(written(*(tick(number) for number in range(count)))) for count in range(3)]
    data = written(tick(0), tick(1))
    for end in range(ends[0], len(data) + 1):
        found, lines = read(data[:end], tmp_path)
        assert len(found) == sum(end >= one for one in ends)
        assert len(lines) == (end not in ends)
        assert all("torn or damaged" in line for line in lines)
    for end in (0, 5, ends[0] - 1):
        with pytest.raises(TapeError, match=r"a\.zst: "):
            read(data[:end], tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    """A wrong bit ends the file there: what follows is told from what came before."""
    data = bytearray(written(tick(0), tick(1), tick(2)))
    data[len(written(tick(0))) + 20] ^= 4
    found, lines = read(bytes(data), tmp_path)
    assert same(found, [HEADER, tick(0)])
    assert len(lines) == 1


def test_what_is_no_tape(tmp_path: Path) -> None:
    """Another file, and a tape of another version, are refused with the reason."""
    with pytest.raises(TapeError, match="it does not begin like a tape of SGNL"):
        read(b"SQLite format 3\x00" * 10, tmp_path)
    file = BytesIO()
    TapeWriter(file, dataclasses.replace(HEADER, version=99))
    with pytest.raises(TapeError, match="version 99, this code reads version 2"):
        read(file.getvalue(), tmp_path)
    with pytest.raises(TapeError, match="version 1, this code reads version 2"):
        read((0x184D2A57).to_bytes(4, "little") + (4).to_bytes(4, "little") + bytes(8), tmp_path)


def test_a_stream_with_its_end(tmp_path: Path) -> None:
    """A file that was closed is a whole stream for other programs too; nothing may follow it."""
    file = BytesIO()
    with TapeWriter(file, HEADER) as writer:
        writer.write(tick(0))
    assert writer.written == len(file.getvalue())
    assert same(read(file.getvalue(), tmp_path), ([HEADER, tick(0)], []))
    found, lines = read(file.getvalue() + written(tick(1)), tmp_path)
    assert same(found, [HEADER, tick(0)])
    assert len(lines) == 1
