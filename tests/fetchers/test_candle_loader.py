"""Who lacks closed candles and is next, and how they are asked for."""

import numpy as np

from features.facts.market import Candles, read_only
from fetchers.candle_loader import RETRY_MS, SETTLE_MS, CandleSchedule, closed_part

QUARTER_MS = 900_000
NOW_MS = 1_700_000_100_000 // QUARTER_MS * QUARTER_MS + 5_000


def candles(first_ms: int, count: int) -> Candles:
    """Return quarter hours from `first_ms` on."""
    ones = read_only(np.ones(count), np.float64)
    opens = read_only(first_ms + QUARTER_MS * np.arange(count), np.int64)
    return Candles(
        venue="bybit",
        id="A",
        open_ms=opens,
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        received_ms=NOW_MS,
        interval_s=900,
        volume_base=ones,
    )


def test_first_all_then_only_what_has_closed_since() -> None:
    """A new instrument asks for 499; later the newest, and only once it has closed and settled."""
    schedule = CandleSchedule(900)
    schedule.watch(["A", "B"])
    assert schedule.lacking(NOW_MS) == 2
    first = schedule.next(NOW_MS)
    assert first == ("A", NOW_MS // QUARTER_MS * QUARTER_MS - 498 * QUARTER_MS)
    newest_ms = NOW_MS // QUARTER_MS * QUARTER_MS - QUARTER_MS
    schedule.came("A", newest_ms)
    assert schedule.next(NOW_MS) == ("B", first[1])
    assert schedule.next(NOW_MS) is None, "B has been asked for"
    closed_ms = newest_ms + 2 * QUARTER_MS
    schedule.came("B", newest_ms)
    assert schedule.next(closed_ms + SETTLE_MS - 1) is None
    assert schedule.next(closed_ms + SETTLE_MS) == ("A", newest_ms + QUARTER_MS)


def test_what_is_there_is_kept_up_first_and_the_preferred_before_others() -> None:
    """An open signal's candles come before those of whom nobody wants, and both before a first time."""
    schedule = CandleSchedule(900)
    schedule.watch(["A", "B", "C"])
    for key in "BC":
        schedule.came(key, NOW_MS // QUARTER_MS * QUARTER_MS - 3 * QUARTER_MS)
    schedule.prefer(["C"])
    order = [found[0] for _ in range(3) if (found := schedule.next(NOW_MS)) is not None]
    assert order == ["C", "B", "A"]
    assert schedule.next(NOW_MS + RETRY_MS, is_busy=lambda key: key == "C") == ("B", schedule_since(NOW_MS))
    schedule.watch(["A"])
    assert schedule.lacking(NOW_MS) == 1


def schedule_since(now_ms: int) -> int:
    """Return the open of the candle after the newest that came above."""
    return now_ms // QUARTER_MS * QUARTER_MS - 2 * QUARTER_MS


def test_an_open_candle_goes_no_further() -> None:
    """Only what has closed by the venue's clock is kept, or has a later one behind it."""
    opens_ms = NOW_MS // QUARTER_MS * QUARTER_MS
    found = closed_part(candles(opens_ms - QUARTER_MS, 2), NOW_MS)
    assert found is not None
    assert found.open_ms.tolist() == [opens_ms - QUARTER_MS]
    assert closed_part(candles(opens_ms, 1), NOW_MS) is None
    behind = closed_part(candles(opens_ms, 2), NOW_MS)
    assert behind is not None
    assert len(behind.open_ms) == 1, "its clock is ahead of ours"
    assert closed_part(candles(opens_ms, 0), NOW_MS) is None
