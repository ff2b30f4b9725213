"""A symbol that trades by its quotes and is silent on its stream."""

from fetchers.streams.volume_check import APART_MS, VolumeCheck


def test_two_growths_without_a_print() -> None:
    """Not one, not at once, not where a frame came between, not of a volume that shrinks."""
    check = VolumeCheck()
    volumes = [(100.0, False), (101.0, False), (102.0, True), (103.0, False), (103.0, False), (90.0, False)]
    for i, (volume, is_silent) in enumerate(volumes):
        assert check.is_silent("A", volume, i * APART_MS) is is_silent, i
    check.heard(["A", "B"])
    assert not check.is_silent("A", 92.0, 8 * APART_MS)  # less than once: the hours of a day ago fell out
    assert not check.is_silent("A", 93.0, 9 * APART_MS - 1)
    assert check.is_silent("A", 94.0, 9 * APART_MS)


def test_forgotten() -> None:
    """A symbol that left begins anew."""
    check = VolumeCheck()
    check.is_silent("A", 1.0, 0)
    check.is_silent("A", 2.0, 1)
    check.forget(["B"])
    assert not check.is_silent("A", 3.0, APART_MS + 1)
