"""`python -m tests.torture streams`: damaged frames through every reader."""

from fetchers.streams.build import WIRES
from tests.fetchers.streams.frames import fuzz

FRAMES = 10_000


def streams() -> tuple[list[str], bool]:
    """Damage frames; anything but whole prints is raised."""
    what = f"`python -m tests.torture streams`: {FRAMES:,} damaged frames through each reader, each beside a good one."
    lines = ["## Streams", "", what, "", "| reader | frames | prints |", "|---|---|---|"]
    return lines + [f"| {venue} | {FRAMES:,} | {fuzz(venue, FRAMES):,} |" for venue in WIRES], True
