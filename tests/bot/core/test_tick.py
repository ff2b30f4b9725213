"""What is read off a tick that has ended."""

from dataclasses import replace

from tests.bot.core.test_activity import tick


def test_the_first_strategy_leads() -> None:
    """The leaderboard's scores are those of the first strategy, whatever another says."""
    one = tick()
    (ups,) = one.decision.by_strategy.values()
    last = ups._last
    scores = replace(ups.scores, total=ups.scores.total + 1)
    other = replace(ups, _last=replace(last, inputs=replace(last.inputs, scores=scores)))
    both = replace(one, decision=replace(one.decision, by_strategy={"ups": ups, "other": other}))
    assert both.leading_scores is ups.scores
    turned = replace(one, decision=replace(one.decision, by_strategy={"other": other, "ups": ups}))
    assert turned.leading_scores is other.scores
