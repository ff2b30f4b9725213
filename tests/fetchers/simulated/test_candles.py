import numpy as np

from fetchers.simulated.candles import candles_of
from fetchers.simulated.prints import Prints


def _prints(times_ms: list[int], ticks: list[int]) -> Prints:
    count = len(times_ms)
    return Prints(
        number=np.arange(count),
        time_ms=np.array(times_ms),
        price_ticks=np.array(ticks),
        quantity=np.full(count, 2.0),
        is_sell=np.zeros(count, dtype=bool),
    )


def test_a_minute_is_its_prints_and_a_quiet_one_the_close_before_it() -> None:
    """Open, extremes, close and sums by hand; the first quiet minute takes the price before the prints."""
    prints = _prints([60_000, 60_500, 119_999, 180_000], [10, 12, 9, 11])
    quiet, busy, last = candles_of(prints, 0.5, np.array([0, 60_000, 120_000]), 4.5)
    assert (quiet.open, quiet.high, quiet.low, quiet.close, quiet.count, quiet.volume) == (4.5, 4.5, 4.5, 4.5, 0, 0)
    assert (busy.open, busy.high, busy.low, busy.close, busy.count) == (5.0, 6.0, 4.5, 4.5, 3)
    assert (busy.volume, busy.turnover) == (6.0, 31.0)
    assert (last.open_ms, last.open, last.close, last.count) == (120_000, 4.5, 4.5, 0)
