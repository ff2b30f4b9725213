"""Three minutes of the whole bot on the four wires; `make torture` has a quarter of an hour."""

from pathlib import Path

from tests.torture.wire import try_wire


def test_the_four_wires(tmp_path: Path) -> None:
    """Only coins, each page once, no limit passed, no burst, and a venue blocked by country holds up no other."""
    assert min(seen.count for seen in try_wire(tmp_path, minutes=2.5).values()) > 0
