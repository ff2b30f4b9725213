"""The rate budget under a hand clock."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchers.transport.budget import RateBudget
from fetchers.transport.pools import ClockMinute, Pool, Sliding, Widening

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000  # a full minute

steps = st.lists(
    st.tuples(
        st.integers(0, 3_000),  # ms until the call is wanted
        st.integers(1, 5),  # its cost
        st.integers(0, 4_000),  # ms on its way there
        st.integers(0, 4_000),  # ms on its way back
    ),
    max_size=120,
)


def arrivals(budget: RateBudget, schedule: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """Return (arrival at the venue, cost) of calls sent as early as the budget allows."""
    now_ms = START_MS
    answers: list[tuple[int, int]] = []
    arrived: list[tuple[int, int]] = []
    for gap_ms, cost, there_ms, back_ms in schedule:
        now_ms += gap_ms
        while True:
            for answer in [answer for answer in answers if answer[0] <= now_ms]:
                budget.done({"pool": answer[1]}, answer[0])
                answers.remove(answer)
            wait_s = budget.take({"pool": cost}, now_ms)
            if wait_s == 0:
                break
            next_ms = now_ms + round(wait_s * 1000)
            now_ms = min([next_ms, *(at_ms for at_ms, _ in answers)])
        arrived.append((now_ms + there_ms, cost))
        answers = sorted([*answers, (now_ms + there_ms + back_ms, cost)])
    return arrived


@given(schedule=steps, window_ms=st.sampled_from([1_000, 2_000, 5_000]))
def test_no_sliding_window_sees_more_than_the_published_limit(
    schedule: list[tuple[int, int, int, int]], window_ms: int
) -> None:
    """However long calls are on their way, the venue counts no more than its limit in any window."""
    came = arrivals(RateBudget({"pool": Sliding(10, window_ms)}), schedule)
    for last_ms, _ in came:
        assert sum(cost for at_ms, cost in came if last_ms - window_ms <= at_ms <= last_ms) <= 10


@given(schedule=steps, offset_ms=st.integers(-40_000, 40_000))
def test_no_clock_minute_sees_more_than_the_published_limit(
    schedule: list[tuple[int, int, int, int]], offset_ms: int
) -> None:
    """The same for minutes of the venue's clock, however far it is from ours."""
    budget = RateBudget({"pool": ClockMinute(30)})
    budget.set_clock_offset(offset_ms)
    spent: dict[int, int] = {}
    for at_ms, cost in arrivals(budget, schedule):
        minute = (at_ms + offset_ms) // MINUTE_MS
        spent[minute] = spent.get(minute, 0) + cost
    assert max(spent.values(), default=0) <= 30


@given(
    schedule=steps,
    limit=st.sampled_from([(10, 2_000), (20, 2_000), (25, 5_000), (100, 5_000)]),
    headroom=st.sampled_from([0.3, 0.5]),
)
def test_an_even_pool_sends_no_burst(
    schedule: list[tuple[int, int, int, int]], limit: tuple[int, int], headroom: float
) -> None:
    """However much is wanted at once, any second sends at most its share of the window and one call."""
    pool = Sliding(*limit, is_even=True)
    sent = arrivals(RateBudget({"pool": pool}, headroom=headroom), [(gap, 1, 0, back) for gap, _, _, back in schedule])
    most = limit[0] * (1 - headroom) * 1000 / limit[1] + 1
    for last_ms, _ in sent:
        assert sum(cost for at_ms, cost in sent if last_ms - 1000 <= at_ms <= last_ms) <= most


def test_an_even_pool_still_gives_its_whole_rate() -> None:
    """At MEXC's limit a steady demand gets at least 90 % of what it may have."""
    came = arrivals(RateBudget({"pool": Sliding(20, 2_000, is_even=True)}), [(0, 1, 100, 100)] * 700)
    assert len(came) / ((came[-1][0] - came[0][0]) / 1000) >= 0.9 * 7


@pytest.mark.parametrize("make", [lambda: Sliding(100, 60_000), lambda: ClockMinute(100)])
def test_the_usable_share_is_spent_and_no_more(make: Callable[[], Pool]) -> None:
    """Of a limit of 100 with 30 % headroom 70 go at once, and the next after the window."""
    budget = RateBudget({"pool": make()}, headroom=0.3)
    for _ in range(70):
        assert budget.take({"pool": 1}, START_MS) == 0
        budget.done({"pool": 1}, START_MS)
    assert budget.take({"pool": 1}, START_MS) == pytest.approx(60, abs=0.01)
    assert budget.take({"pool": 1}, START_MS + 60_001) == 0
    assert budget.requests == 71
    assert budget.used_share() == {"pool": pytest.approx(0.7)}


def test_a_steady_demand_gets_the_whole_usable_rate_at_any_round_trip() -> None:
    """With 10 in 2 s and replies after 300 ms, at least 90 % of 3.5 calls a second go out in the long run."""
    schedule = [(0, 1, 150, 150)] * 700
    came = arrivals(RateBudget({"pool": Sliding(10, 2_000)}), schedule)
    seconds = (came[-1][0] - came[0][0]) / 1000
    assert len(came) / seconds >= 0.9 * 3.5


def test_a_plan_per_tick_uses_the_clock_minute_up_without_burning_it_at_its_start() -> None:
    """Twelve ticks that spend what is available leave under 10 % of the minute idle, each about its twelfth."""
    budget = RateBudget({"weight": ClockMinute(2400)})
    spent = []
    for tick in range(12):
        now_ms = START_MS + 5_000 * tick + 137
        calls = int(budget.available(now_ms, 5_000)["weight"] // 8)
        assert all(budget.take({"weight": 8}, now_ms) == 0 for _ in range(calls))
        spent.append(8 * calls)
    assert sum(spent) >= 0.9 * 1680
    assert max(spent) <= 1.2 * 140


def test_available_looks_across_the_end_of_the_minute() -> None:
    """Two seconds before the minute ends, a tick of 5 s may spend the rest and three seconds of the next one."""
    budget = RateBudget({"weight": ClockMinute(2400)})
    budget.take({"weight": 1600}, START_MS)
    assert budget.available(START_MS + 58_000, 5_000)["weight"] == pytest.approx(80 + 1680 * 3 / 60)


def test_available_of_a_sliding_pool_is_its_rate() -> None:
    """A tick of 5 s may plan for two and a half windows of 2 s, and for its share of a long one."""
    budget = RateBudget({"depth": Sliding(10, 2_000), "statistics": Sliding(1000, 300_000)})
    assert budget.available(START_MS, 5_000) == {"depth": pytest.approx(17.5), "statistics": pytest.approx(700 / 60)}
    budget.take({"statistics": 695}, START_MS)
    assert budget.available(START_MS, 5_000)["statistics"] == pytest.approx(5)


def test_a_hold_stops_its_pool_and_no_other() -> None:
    """A hold on depth leaves trades alone; a hold on the venue stops both."""
    budget = RateBudget({"depth": Sliding(10, 2_000), "deals": Sliding(20, 2_000)})
    budget.hold("depth", START_MS + 4_000)
    assert budget.take({"depth": 1}, START_MS) == 4.0
    assert budget.available(START_MS, 5_000)["depth"] == 0.0
    assert budget.take({"deals": 1}, START_MS) == 0
    budget.hold(None, START_MS + 9_000)
    assert budget.take({"deals": 1}, START_MS) == 9.0
    assert budget.held_until_ms({"deals": 1}) == START_MS + 9_000
    assert budget.take({"depth": 1, "deals": 1}, START_MS + 9_000) == 0


def test_the_venue_corrects_the_count_upward_within_the_minute() -> None:
    """What the venue counted for others behind our address is spent for us too; an earlier minute's count is not."""
    budget = RateBudget({"weight": ClockMinute(2400)})
    budget.take({"weight": 40}, START_MS)
    budget.correct("weight", 1_676, sent_ms=START_MS + 3_000, now_ms=START_MS + 3_100)
    budget.correct("weight", 3, sent_ms=START_MS + 3_000, now_ms=START_MS + 3_110)
    assert budget.take({"weight": 5}, START_MS + 3_200) == pytest.approx(56.8)
    budget.correct("weight", 2_000, sent_ms=START_MS + 59_990, now_ms=START_MS + 60_010)
    budget.correct("weight", 2_000, sent_ms=START_MS + 60_005, now_ms=START_MS + 60_015)  # their minute may turn later
    assert budget.take({"weight": 5}, START_MS + 60_020) == 0


def test_an_unpublished_limit_widens_while_clean_and_narrows_when_told_off() -> None:
    """25 in 5 s grow by a quarter a minute up to 100, and halve with a limit reply."""
    pool = Widening(25, 100, 5_000)
    budget = RateBudget({"all": pool})
    now_ms = START_MS
    for _ in range(600):
        budget.take({"all": 1}, now_ms)
        budget.done({"all": 1}, now_ms)
        now_ms += 1_000
    assert pool.limit == 100
    budget.hold("all", now_ms + 10_000)
    assert pool.limit == 50
    assert budget.take({"all": 1}, now_ms + 10_000) == 0
    assert pool.limit == 50


def test_a_clock_set_back_neither_locks_the_budget_nor_opens_it() -> None:
    """After a step of an hour back, what was spent counts as spent just now."""
    budget = RateBudget({"pool": Sliding(10, 2_000), "weight": ClockMinute(10)})
    budget.take({"pool": 7, "weight": 7}, START_MS)
    budget.done({"pool": 7, "weight": 7}, START_MS)
    earlier_ms = START_MS - 3_600_000
    assert budget.take({"pool": 1}, earlier_ms) == pytest.approx(2.001)
    assert budget.take({"weight": 1}, earlier_ms) == 60.0
    assert budget.take({"pool": 1, "weight": 1}, earlier_ms + 60_000) == 0


def test_the_minute_is_the_venues() -> None:
    """With its clock 20 s ahead a minute begins at our :40, whatever was spent before, and not at our :00."""
    budget, minute_ms = RateBudget({"weight": ClockMinute(100)}), START_MS - START_MS % MINUTE_MS
    budget.set_clock_offset(20_000)
    assert budget.take({"weight": 70}, minute_ms + 39_000) == 0
    budget.done({"weight": 70}, minute_ms + 39_100)
    assert budget.take({"weight": 70}, minute_ms + 39_500) == 0.5
    assert budget.take({"weight": 70}, minute_ms + 40_000) == 0
    budget.done({"weight": 70}, minute_ms + 40_100)
    assert budget.take({"weight": 1}, minute_ms + MINUTE_MS) == 40.0


def test_a_call_that_can_never_fit_is_an_error() -> None:
    """A cost beyond a whole window is refused loudly rather than waited for."""
    with pytest.raises(ValueError, match="can never fit"):
        RateBudget({"weight": ClockMinute(50)}).take({"weight": 40}, START_MS)
