"""A tape's file: one stream of Zstandard, in which each record has its length and its checksum before it."""

import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from fetchers.tape.frames import Frames
from fetchers.tape.records import VERSION, Header, Record, TapeError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = ".zst"
LEVEL = 6
WINDOW_LOG = 23  #: 8 MB: some ticks of a full universe, whose bytes are alike
MAGIC = (0xFD2FB528).to_bytes(4, "little")
MAGIC_OF_VERSION_1 = (0x184D2A57).to_bytes(4, "little")
READ_AT_ONCE = 1 << 18  #: [bytes]
_AHEAD = 8  # bytes before a record: its length and its CRC-32, little-endian
_MORE = "something else follows its end"
_END = b"\x01\x00\x00"  # of a stream: an empty last block
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.window_log: WINDOW_LOG,
}


class TapeWriter:
    """Appends records to a file; the first is its header."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._frames = Frames()
        self._compressor = zstd.ZstdCompressor(options=_OPTIONS)
        self.written = 0  #: [bytes]
        self.write(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def write(self, record: Record) -> None:
        """Append a record, whole: whatever comes later, it can be read."""
        packed = self._frames.pack(record)
        ahead = len(packed).to_bytes(4, "little") + zlib.crc32(packed).to_bytes(4, "little")
        out = self._compressor.compress(ahead) + self._compressor.compress(packed, zstd.ZstdCompressor.FLUSH_BLOCK)
        self.written += self._file.write(out)
        self._file.flush()

    def end(self) -> None:
        """End the stream, so that other programs find it whole; what a crash left without its end is read as well."""
        self.written += self._file.write(self._compressor.flush())
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
    frames, count = Frames(), 0
    with path.open("rb") as file:
        packed = _records(file)
        while True:
            try:
                record = frames.unpack(memoryview(next(packed)))
            except StopIteration:
                return
            except (TapeError, zstd.ZstdError) as error:
                if not count:
                    raise TapeError(f"{path}: {error}") from error
                warn(f"{path}: left out from record {count + 1} on, which is torn or damaged: {error}")
                return
            if not count and not isinstance(record, Header):
                raise TapeError(f"{path}: this is no tape of SGNL: it does not begin with a header")
            count += 1
            if record is not None:
                yield record


def _records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of each whole record."""
    magic = file.read(len(MAGIC))
    if magic == MAGIC_OF_VERSION_1:
        raise TapeError(f"its format is version 1, this code reads version {VERSION}")
    if magic != MAGIC:
        raise TapeError("it does not begin like a tape of SGNL")
    decompressor, waiting = zstd.ZstdDecompressor(), bytearray()
    for chunk in chain([magic], iter(partial(file.read, READ_AT_ONCE), b"")):
        if decompressor.eof:
            raise TapeError(_MORE)
        waiting += decompressor.decompress(chunk)
        while len(waiting) >= _AHEAD and len(waiting) >= _AHEAD + (length := int.from_bytes(waiting[:4], "little")):
            packed = bytes(memoryview(waiting)[_AHEAD : _AHEAD + length])
            if zlib.crc32(packed) != int.from_bytes(waiting[4:_AHEAD], "little"):
                raise TapeError("a checksum is wrong")
            del waiting[: _AHEAD + length]
            yield packed
        if decompressor.unused_data:
            raise TapeError(_MORE)
    if not decompressor.eof:
        decompressor.decompress(_END)  # where a crash left it: whole, if the end fits here
    if waiting or not decompressor.eof:
        raise TapeError("it ends within a record")
