"""The real bot killed a dozen times: nothing is lost, nothing is said twice unmarked, and no limit is exceeded."""

import asyncio

import pytest

from tests.torture.kill import NO_CAP, RANDOM, UNANSWERED, campaign
from tests.torture.killable import AT_THE_START

pytestmark = pytest.mark.long

# In an order that wastes no time: BURST_LIMIT holds back the signals that come after the first two of a database.
LIVES = (
    ("between the statements of a signal", "after the commit of a signal", "before the send", "before an exit"),
    ("after the decision", "after the send", UNANSWERED, "before the commit of an exit"),
    (RANDOM, "before the commit of a signal", RANDOM, AT_THE_START),
)


async def test_a_dozen_kills() -> None:
    """Three databases, four kills each: at the steps of a signal, of a send and of an exit, and at random."""
    tallies = await asyncio.gather(
        *(campaign(steps, seed, cap=NO_CAP, seconds=120) for seed, steps in enumerate(LIVES, start=1))
    )
    assert sum(tally.kills.total() for tally in tallies) == 12
    assert sum(tally.kills[RANDOM] for tally in tallies) <= 4, "most steps came"
    assert sum(tally.signals for tally in tallies) == sum(tally.outcomes for tally in tallies) > 0
