"""A tape's file: records in frames of Zstandard, each with its length before it and its checksum at its end."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fetchers.tape.frames import Frames
from fetchers.tape.records import Header, Record, TapeError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = ".zst"
#: a frame that `zstd -d` skips; its four bytes are the length of the frame that follows
LENGTH_MAGIC = (0x184D2A57).to_bytes(4, "little") + (4).to_bytes(4, "little")
LEVEL = 6
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}


class TapeWriter:
    """Appends records to a file; the first is its header."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._frames = Frames()
        self.written = 0  #: [bytes]
        self.write(header)

    def write(self, record: Record) -> None:
        """Append a record, whole."""
        packed = zstd.compress(self._frames.pack(record), options=_OPTIONS)
        self.written += self._file.write(LENGTH_MAGIC + len(packed).to_bytes(4, "little") + packed)
        self._file.flush()


def read_tape(path: Path, warn: Callable[[str], None] = lambda _: None) -> Iterator[Record]:
    """Yield the records of a file in order, its header first.

    A torn or damaged end is left out, and `warn` is given a line that says so.

    Raises
    ------
    TapeError
        It cannot be read, is no tape, or one of another version.
    """
    try:
        yield from _read(path, warn)
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror}") from error


def _read(path: Path, warn: Callable[[str], None]) -> Iterator[Record]:
    frames = Frames()
    size = path.stat().st_size
    with path.open("rb") as file:
        while (begin := file.tell()) < size or begin == 0:
            try:
                record = frames.unpack(memoryview(_read_frame(file)))
            except (TapeError, zstd.ZstdError) as error:
                if begin == 0:
                    raise TapeError(f"{path}: {error}") from error
                warn(f"{path}: left out from byte {begin} of {size} on, which is torn or damaged: {error}")
                return
            if begin == 0 and not isinstance(record, Header):
                raise TapeError(f"{path}: this is no tape of SGNL: it does not begin with a header")
            if record is not None:
                yield record


def _read_frame(file: BinaryIO) -> bytes:
    ahead = file.read(len(LENGTH_MAGIC) + 4)
    if ahead[: len(LENGTH_MAGIC)] != LENGTH_MAGIC:
        raise TapeError("no frame of a tape begins here")
    length = int.from_bytes(ahead[len(LENGTH_MAGIC) :], "little")
    packed = file.read(length)
    if len(ahead) < len(LENGTH_MAGIC) + 4 or len(packed) < length:
        raise TapeError("it ends within a frame")
    return zstd.decompress(packed)
