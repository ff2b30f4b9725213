"""The real bot killed a dozen times: nothing is lost, nothing is said twice unmarked, and no limit is exceeded."""

import asyncio

from tests.torture.kill import NO_CAP, RANDOM, UNANSWERED, campaign

EARLY = (
    "after the decision",
    "before the commit of a signal",
    "after the send",
    RANDOM,
    "at the start",
    "before an exit",
)
LATE = ("after the commit of a signal", "before the send", UNANSWERED, "before the commit of an exit", RANDOM, RANDOM)


async def test_a_dozen_kills() -> None:
    """Two databases, six kills each: at the steps of a signal, of a send and of an exit, and at random."""
    tallies = await asyncio.gather(
        *(campaign(steps, seed, cap=NO_CAP, seconds=120) for seed, steps in enumerate((EARLY, LATE), start=1))
    )
    assert sum(tally.kills.total() for tally in tallies) == 12
    assert all(tally.signals == tally.outcomes > 0 for tally in tallies)
