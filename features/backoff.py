"""The wait before something that failed is tried again.

It knows nothing of the market. It is here because fetchers, storage and bot all need it, and features is the one room
that all of them may import.
"""

JITTER = 0.25  #: share of a wait that chance adds at most
_MOST_DOUBLINGS = 64  # far beyond any limit, and still a float


def backoff(failures_before: int, *, first: float, longest: float, draw: float = 0.0) -> float:
    """Return the wait after a failure, in the unit of `first` and `longest`.

    It is `first` after the first failure and doubles with each one in a row, up to `longest`. `draw`, a random number
    in [0, 1) that the caller draws, lengthens it by up to `JITTER` of itself, so that those who failed together do not
    return together; it stays 0 where a venue or a chat refused us alone.
    """
    return min(first * 2.0 ** min(failures_before, _MOST_DOUBLINGS), longest) * (1.0 + JITTER * draw)
