"""A seeded part of the random tapes; `make torture` has ten thousand of them."""

import pytest

from tests.torture.exits import KINDS, try_tapes

pytestmark = pytest.mark.long

TAPES = 60


@pytest.mark.parametrize("first", range(0, 4 * TAPES, TAPES))
def test_tapes_are_judged_alike(first: int) -> None:
    """Bot and reference agree in every figure, nothing stays open, and no outcome goes against the true path."""
    tally = try_tapes(range(first, first + TAPES))
    assert not tally.problems
    assert {kind for kind, _ in tally.reasons} == set(KINDS)
    assert len({reason for _, reason in tally.reasons}) >= 6, "the tapes have lost their variety"
