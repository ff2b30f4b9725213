"""The common parts of all archives' files: lines, columns with a header or without one, numbers, times, defects."""

import csv
import gzip
import io
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

#: what was wrong with a file, by kind, and how often
Defects: TypeAlias = Counter[str]

_MICROSECONDS_FROM = 100_000_000_000_000  # 1e14 ms is the year 5138
_MILLISECONDS_FROM = 100_000_000_000  # 1e11 s is as far; 1e11 ms is 1973


class ArchiveError(Exception):
    """A file cannot be used at all; the message names it and says why."""


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a .zip of one file, a .gz, or a plain file, never more than a piece of it in memory.

    Raises
    ------
    ArchiveError
        Where the file is cut, damaged, empty, or a zip of other than one file.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                if len(archive.namelist()) != 1:
                    raise ArchiveError(f"{path.name}: expected one file inside, found {len(archive.namelist())}")
                with archive.open(archive.namelist()[0]) as raw:
                    yield from io.TextIOWrapper(raw, encoding="utf-8")
        elif path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as text:
                yield from text
        else:
            with path.open(encoding="utf-8") as text:
                yield from text
    except (zipfile.BadZipFile, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveError(f"{path.name}: cut or damaged ({error}); delete it and import again") from error
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{path.name}: this is no text file of an archive ({error.reason})") from error


def read_columns(
    lines: Iterable[str], wanted: Sequence[str], order: Sequence[str], defects: Defects, *, name: str = "file"
) -> Iterator[list[str]]:
    """Yield the wanted fields of each row.

    Parameters
    ----------
    lines
        Of a CSV. Where the first field of the first line is no number nor a time, that line is the header.
    wanted
        The columns to yield, in this order.
    order
        The columns of a file without a header.
    defects
        Where rows that are cut short are counted.
    name
        Of the file, for the error.

    Raises
    ------
    ArchiveError
        Where a header lacks one of them.
    """
    rows = csv.reader(lines)
    first = next(rows, None)
    if first is None:
        defects["empty file"] += 1
        return
    names = list(order)
    if not first[0].lstrip("-")[:1].isdigit() and first[0].strip() in order:
        names, first = [one.strip() for one in first], None
    if missing := [one for one in wanted if one not in names]:
        raise ArchiveError(f"{name}: no column {', '.join(missing)}; its first line is {','.join(names)[:120]!r}")
    places = [names.index(one) for one in wanted]
    last = max(places)
    for row in rows if first is None else chain([first], rows):
        if len(row) > last:
            yield [row[place] for place in places]
        elif row:
            defects["cut row"] += 1


def number(text: str) -> float:
    """Return a float of any notation, NaN where it is blank; raise ValueError where it is no finite number."""
    if not text:
        return math.nan
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def milliseconds(text: str, defects: Defects) -> int:
    """Return epoch milliseconds of a count of milliseconds or microseconds; raise ValueError for anything else."""
    value = int(text)
    if value >= _MICROSECONDS_FROM:
        defects["time in microseconds"] += 1
        value //= 1000
    if not _MILLISECONDS_FROM <= value < _MICROSECONDS_FROM:
        raise ValueError(f"{text} is no time in milliseconds")
    return value


def utc_text(text: str) -> int:
    """Return epoch milliseconds of a UTC time such as 2026-09-30 00:00:01; raise ValueError for anything else."""
    moment = datetime.fromisoformat(text.strip())
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
