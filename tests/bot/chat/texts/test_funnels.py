"""The words of funnels and thresholds."""

from bot.chat.texts.funnels import funnel_lines, thresholds_text
from bot.core.funnels import FunnelMeans
from tests.bot.builders import make_status


def test_small_shares_are_no_zeros() -> None:
    """What happened once in thousands of ticks is said as such."""
    means = FunnelMeans(eligible=10, not_seen={}, seen=10, refused={"score": 9.99}, passed=0.01)
    assert list(funnel_lines("ups", means))[-1] == "Refused first by: score 10.0; under 0.1 passed"


def test_thresholds() -> None:
    """The rates are said with their days; nothing is said where nothing is known."""
    text = thresholds_text(make_status().thresholds["ups"])
    assert text == "Last 7 days: a threshold of 72 gave 0.0 a day, 66 would have given 3.1"
