"""The real bot killed a dozen times: nothing is lost, nothing is said twice unmarked, and no limit is exceeded."""

import asyncio

from tests.torture.kill import NO_CAP, RANDOM, UNANSWERED, campaign
from tests.torture.killable import AT_THE_START

LIVES = (
    ("after the decision", "before the commit of a signal", "before an exit", RANDOM),
    ("before the send", "after the commit of a signal", UNANSWERED, "before the commit of an exit"),
    (RANDOM, "after the send", "between the statements of a signal", AT_THE_START),
)


async def test_a_dozen_kills() -> None:
    """Three databases, four kills each: at the steps of a signal, of a send and of an exit, and at random."""
    tallies = await asyncio.gather(
        *(campaign(steps, seed, cap=NO_CAP, seconds=120) for seed, steps in enumerate(LIVES, start=1))
    )
    assert sum(tally.kills.total() for tally in tallies) == 12
    assert sum(tally.kills[RANDOM] for tally in tallies) <= 6, "most steps came"
    assert sum(tally.signals for tally in tallies) == sum(tally.outcomes for tally in tallies) > 0
