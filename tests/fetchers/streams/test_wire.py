"""What all readers of frames share: damaged frames cost only themselves."""

import pytest

from fetchers.streams.build import WIRES
from tests.fetchers.streams.frames import GOOD, check, fuzz, read

FRAMES_EACH = 150


@pytest.mark.parametrize("venue", WIRES)
def test_damaged_frames(venue: str) -> None:
    """Whatever a frame holds, the one beside it is read and no impossible print comes out."""
    assert fuzz(venue, FRAMES_EACH)


@pytest.mark.parametrize("venue", WIRES)
@pytest.mark.parametrize("damaged", [b"", b"<html>", b"null", b"[1]", b"1},{", b'{"a":', b"\xff\xfe"])
def test_a_damaged_frame_is_counted(venue: str, damaged: bytes) -> None:
    """Once, and what came with it is read."""
    before, after = read(venue, *GOOD[venue]), read(venue, damaged, *GOOD[venue])
    check(after)
    assert (after.symbols, after.unreadable) == (before.symbols, before.unreadable + 1)


@pytest.mark.parametrize("venue", WIRES)
def test_frames_that_make_a_list_only_together(venue: str) -> None:
    """Two halves of an object are two damaged frames, not a good one."""
    assert read(venue, b'{"a":[1', b"2]}").unreadable == 2


@pytest.mark.parametrize("venue", WIRES)
def test_nothing_came(venue: str) -> None:
    """No frames are no prints."""
    heard = read(venue)
    assert (heard.symbols, len(heard.sent_ms), heard.unreadable) == ((), 0, 0)
