"""Who gets its history when."""

from fetchers.backfill import EVERY_MS, PAUSE_S, RETRY_MS, Backfill
from tests.builders import NOW_MS

IDS = ("A", "B", "C")


def history(*, is_whole: bool = True, **cost: float) -> Backfill:
    """Return one that watches three instruments."""
    made = Backfill(cost or {"weight": 1.0, "statistics": 1.0}, is_whole=is_whole, window_s=900)
    made.watch(IDS, NOW_MS)
    return made


def test_the_preferred_come_first_and_each_once() -> None:
    """Who could signal soonest is first; nobody is due again before a minute has passed."""
    made = history()
    made.prefer(["C", "A"])
    assert [made.next(NOW_MS) for _ in range(4)] == ["C", "A", "B", None]
    made.came("C", NOW_MS, is_renewed=False)
    assert [made.next(NOW_MS + RETRY_MS) for _ in range(3)] == ["A", "B", None]


def test_what_is_renewed_comes_after_what_is_lacking() -> None:
    """Open interest without a bulk call is due every five minutes, behind whoever has nothing yet."""
    made = history()
    for one in IDS:
        made.came(one, NOW_MS, is_renewed=True)
    assert made.next(NOW_MS + EVERY_MS - 1) is None
    made.watch((*IDS, "NEW"), NOW_MS + EVERY_MS)
    assert made.next(NOW_MS + EVERY_MS) == "NEW"
    assert made.lacks("NEW")
    assert not made.lacks("A")


def test_who_left_is_forgotten() -> None:
    """An instrument that comes back lacks its history again."""
    made = history()
    made.came("A", NOW_MS, is_renewed=False)
    made.watch(("B",), NOW_MS)
    assert made.warming == 1
    made.watch(("A", "B"), NOW_MS)
    assert made.warming == 2


def test_after_a_gap_all_is_asked_for_again() -> None:
    """Windows that missed something are filled again."""
    made = history()
    for one in IDS:
        made.came(one, NOW_MS, is_renewed=False)
    assert (made.warming, made.next(NOW_MS)) == (0, None)
    made.renew(NOW_MS)
    assert (made.warming, made.next(NOW_MS)) == (3, "A")


def test_until_when_windows_are_warming() -> None:
    """By the pace so far while there is history to come; where there is none, two thirds of the window."""
    made = history()
    assert made.full_by_ms(NOW_MS) == NOW_MS + round(3000 * PAUSE_S)
    made.came("A", NOW_MS + 4000, is_renewed=False)
    assert made.full_by_ms(NOW_MS + 4000) == NOW_MS + 12_000
    for one in IDS:
        made.came(one, NOW_MS, is_renewed=False)
    assert made.full_by_ms(NOW_MS) is None
    assert history(is_whole=False).full_by_ms(NOW_MS) == NOW_MS + 600_000


def test_polls_leave_the_history_its_pace() -> None:
    """As many calls as are lacking, or as the pace allows."""
    assert history().reserved(5000) == {"weight": 3.0, "statistics": 3.0}
    assert history().reserved(100) == {"weight": 2.0, "statistics": 2.0}


def test_a_venue_without_history_is_never_asked() -> None:
    """LBank publishes none: its windows fill as time goes."""
    made = Backfill({}, is_whole=False, window_s=900)
    made.watch(IDS, NOW_MS)
    assert (made.next(NOW_MS), made.warming, made.reserved(5000)) == (None, 0, {})
    assert made.full_by_ms(NOW_MS) == NOW_MS + 600_000
