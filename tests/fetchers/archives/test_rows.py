"""Lines, columns, numbers and times, as all archives have them."""

import gzip
import math
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fetchers.archives.rows import ArchiveError, Defects, milliseconds, number, read_columns, read_lines, utc_text

ORDER = ("id", "price", "time")


def test_with_a_header_and_without() -> None:
    """A header names the columns in any order; without one they are the archive's; short rows are counted."""
    defects: Defects = Counter()
    assert list(read_columns(["time,id,price", "3,1,2", "", "4"], ("id", "time"), ORDER, defects)) == [["1", "3"]]
    assert list(read_columns(["1,2,3", "4,5,6"], ("time", "id"), ORDER, defects)) == [["3", "1"], ["6", "4"]]
    assert list(read_columns([], ("id",), ORDER, defects)) == []
    assert defects == {"cut row": 1, "empty file": 1}
    with pytest.raises(ArchiveError, match="bookDepth: no column price"):
        list(read_columns(["id,time"], ("price",), ORDER, defects, name="bookDepth"))


def test_numbers_and_times() -> None:
    """Exponents, blanks, microseconds; whatever is no time is refused."""
    defects: Defects = Counter()
    assert number("-1.8E-7") == -1.8e-7
    assert math.isnan(number(""))
    assert milliseconds("1790726400261", defects) == milliseconds("1790726400261999", defects) == 1790726400261
    assert defects == {"time in microseconds": 1}
    assert utc_text("2026-09-30 00:00:01") == 1790726401000
    for wrong in ("1790726400", "0", "now"):
        with pytest.raises(ValueError):
            milliseconds(wrong, defects)
    with pytest.raises(ValueError):
        number("inf")


def test_files(tmp_path: Path) -> None:
    """A zip of one file, a gzip and a plain file give the same lines."""
    text = "a,b\n1,2\n"
    (tmp_path / "x.csv").write_text(text)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x.csv", text)
    for name in ("x.csv", "x.csv.gz", "x.zip"):
        assert list(read_lines(tmp_path / name)) == ["a,b\n", "1,2\n"]


def test_files_that_are_cut(tmp_path: Path) -> None:
    """One clear line with the file's name and what to do."""
    whole = gzip.compress(("1,2\n" * 5000).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.zip").write_text("<html>not found</html>")
    (tmp_path / "text.csv").write_bytes(b"1,2\n\xff\xfe")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("x.csv", "")
        archive.writestr("y.csv", "")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.csv", "1,2\n" * 100)
    (tmp_path / "bad.zip").write_bytes((tmp_path / "bad.zip").read_bytes().replace(b"1,2\n1,2", b"1,2\n9,2", 1))
    for name in ("cut.csv.gz", "page.zip", "text.csv", "two.zip", "bad.zip"):
        with pytest.raises(ArchiveError, match=name):
            list(read_lines(tmp_path / name))
