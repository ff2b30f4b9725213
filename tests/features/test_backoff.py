"""The one wait between two tries."""

from hypothesis import given
from hypothesis import strategies as st

from features.backoff import JITTER, backoff

SECONDS = st.floats(0.001, 1e4)
DRAWS = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 10**9), SECONDS, SECONDS, DRAWS)
def test_a_wait_doubles_up_to_its_limit_and_chance_only_lengthens_it(
    failures_before: int, first: float, longest: float, draw: float
) -> None:
    """Never shorter than the plain wait, never a quarter longer, whatever the number of failures."""
    plain = backoff(failures_before, first=first, longest=longest)
    assert plain == min(longest, first * 2 ** min(failures_before, 40))
    assert backoff(failures_before + 1, first=first, longest=longest) == min(longest, 2 * plain)
    drawn = backoff(failures_before, first=first, longest=longest, draw=draw)
    assert plain <= drawn <= plain * (1 + JITTER)


@given(st.integers(0, 100), DRAWS, DRAWS)
def test_more_chance_is_a_longer_wait(failures_before: int, one: float, other: float) -> None:
    """Those who failed together return apart, in the order of their draws."""
    waits = [backoff(failures_before, first=1.0, longest=60.0, draw=draw) for draw in sorted((one, other))]
    assert waits == sorted(waits)


def test_the_usual_waits() -> None:
    """As they are read in a log."""
    assert [backoff(failed, first=1, longest=30) for failed in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff(2, first=1, longest=30, draw=0.5) == 4.5
