"""Funnels over ticks."""

from dataclasses import asdict

from bot.chat.texts.funnels import funnel_lines
from bot.core.funnels import FunnelLog
from scoring.decide import Funnel
from tests.bot.builders import make_funnel


def test_every_pair_is_counted_once() -> None:
    """500 pairs of which one was polled and refused by its score are 499 not seen and one refused, in every tick."""
    log = FunnelLog()
    for _ in range(720):
        log.note(Funnel(not_seen={"book not seen": 499}, refused={"score": 1, "bid_depth": 0, "sweep": 0}, passed=0))
    means = log.means()
    assert (means.eligible, means.seen, means.passed) == (500, 1, 0)
    assert list(funnel_lines("ups", means)) == [
        "<b>ups</b>: 1 of 500 pairs seen whole in a tick",
        "Not seen: book not seen 499",
        "Refused first by: score 1; 0 passed",
    ]


def test_sums_agree() -> None:
    """What is not seen, refused and passed is all that is eligible."""
    log = FunnelLog()
    log.note(make_funnel())
    log.note(Funnel(not_seen={}, refused={"score": 3}, passed=0))
    means = log.means()
    assert means.eligible == sum(means.not_seen.values()) + sum(means.refused.values()) + means.passed
    assert means.not_seen["book not seen"] == 950


def test_before_the_first_tick() -> None:
    """There is nothing to divide by."""
    assert asdict(FunnelLog().means()) == {"eligible": 0, "not_seen": {}, "seen": 0, "refused": {}, "passed": 0}
