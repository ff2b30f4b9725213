"""What another threshold would have given."""

from scoring.thresholds import Rate, threshold_rates


def rates(signals: list[float], refused: list[float], days: float = 7.0) -> tuple[Rate, Rate] | None:
    """Return both rates at a threshold of 72 with eight points below it known."""
    found = threshold_rates(signals, refused, threshold=72.0, near_points=8.0, days=days)
    return None if found is None else (found.now, found.lower)


def test_the_highest_that_gives_three_a_day() -> None:
    """Nothing at 72; at 66 three a day: 21 episodes that reached it in a week."""
    refused = [66.0] * 11 + [70.5] * 10 + [64.2] * 50
    assert rates([], refused) == (Rate(threshold=72.0, a_day=0.0), Rate(threshold=66.0, a_day=3.0))


def test_what_was_given_counts() -> None:
    """Signals count at every threshold they reach; a raised threshold leaves out what it would have refused."""
    assert rates([73.0] * 14 + [71.0], [], days=2.0) == (
        Rate(threshold=72.0, a_day=7.0),
        Rate(threshold=71.0, a_day=7.5),
    )


def test_not_even_the_lowest_known() -> None:
    """Where no threshold that is known of gives three a day the lowest is named as it is."""
    assert rates([], [65.0]) == (Rate(threshold=72.0, a_day=0.0), Rate(threshold=64.0, a_day=1 / 7))


def test_too_short() -> None:
    """Less than a day says nothing of a day."""
    assert rates([80.0], [], days=0.9) is None
