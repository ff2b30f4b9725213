"""Figures from outcome rows, against published intervals and rows added up by hand."""

import math
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.records import (
    Records,
    Row,
    by_coin,
    by_day,
    by_exit_reason,
    by_hour,
    by_score_band,
    by_venue,
    closed_of,
    compare,
    equity_curve,
    kind_of,
    of_kinds,
    summarise,
    thinned,
)
from scoring.signals import ExitReason, Result
from scoring.statistics import Tally, wilson_interval
from tests.builders import NOW_MS
from tests.scoring.frames import outcome, signal

DAY_MS = 86_400_000


def rows(*results: float) -> list[Row]:
    """Return a row for each R."""
    return [(signal(id=number), outcome(r, signal_id=number)) for number, r in enumerate(results, start=1)]


@pytest.mark.parametrize(
    ("wins", "n", "low", "high"),
    [
        # R's prop.test(wins, n, correct = FALSE)
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(wins: int, n: int, low: float, high: float) -> None:
    """The interval is the published one to four places."""
    assert wilson_interval(wins, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_properties(case: tuple[int, int]) -> None:
    """It holds the share, stays in 0…1, and is that of the losses turned round."""
    wins, n = case
    low, high = wilson_interval(wins, n)
    assert 0 <= low <= wins / n + 1e-12
    assert wins / n - 1e-12 <= high <= 1
    assert wilson_interval(n - wins, n) == pytest.approx((1 - high, 1 - low))


def test_summary() -> None:
    """Three wins of 1.5, 2 and 0.5 R against losses of 1 and 1 make 0.4 R each at a profit factor of 2."""
    made = summarise(rows(1.5, -1.0, 2.0, -1.0, 0.5))
    assert (made.n, made.wins) == (5, 3)
    assert made.win_rate == pytest.approx(0.6)
    assert (made.win_rate_low, made.win_rate_high) == pytest.approx((0.2307, 0.8824), abs=5e-5)
    assert made.expectancy_r == pytest.approx(0.4)
    assert made.profit_factor == pytest.approx(2.0)
    assert made.net_percent == pytest.approx(2.0)
    # a loss of 1 R against a win of 4/3 R
    assert made.break_even_win_rate == pytest.approx(3 / 7)
    assert made.standing == "unproven"


def test_break_even_is_that_of_the_rows() -> None:
    """It is the win rate at which the mean win and the mean loss of these rows cancel out, never the levels'."""
    made = summarise(rows(*[0.61] * 42, *[-0.54] * 58))
    assert made.break_even_win_rate == pytest.approx(0.54 / (0.61 + 0.54))
    assert made.win_rate < made.break_even_win_rate
    assert made.expectancy_r < 0
    assert math.isnan(summarise(rows(1.0, 1.0)).break_even_win_rate)
    assert math.isnan(summarise(rows(-1.0)).break_even_win_rate)


@given(st.lists(st.floats(-3, 3).filter(lambda r: abs(r) > 1e-6), min_size=1, max_size=60))
def test_the_win_rate_beats_break_even_only_with_expectancy(results: list[float]) -> None:
    """No record can look good by its win rate while it loses."""
    made = summarise(rows(*results))
    if not math.isnan(made.break_even_win_rate) and abs(made.expectancy_r) > 1e-9:
        assert (made.win_rate > made.break_even_win_rate) == (made.expectancy_r > 0)


def of_day(day: int, r: float, **changed: Any) -> Row:
    """Return a row of that UTC day."""
    return signal(decided_ms=NOW_MS + day * DAY_MS, **changed), outcome(r)


def test_the_interval_needs_days() -> None:
    """Many rows of few days have no interval; from ten days on it holds the mean and is the same every time."""
    few = [of_day(day, r) for day in range(9) for r in (1.0, -1.0, 0.3)]
    assert math.isnan(summarise(few).expectancy_r_low)
    many = [of_day(day, r) for day in range(10) for r in (1.0 + day / 10, -1.0)]
    made = summarise(many)
    assert made.expectancy_r_low < made.expectancy_r < made.expectancy_r_high
    assert summarise(many) == made


def test_days_are_drawn_whole() -> None:
    """Rows that share their day's luck prove less than as many on their own: the interval is wider."""
    together = summarise([of_day(day, 1.0 if day % 2 else -1.0) for day in range(20) for _ in range(20)])
    apart = summarise([of_day(day, 1.0 if n % 2 else -1.0 + day / 100) for day in range(20) for n in range(20)])
    assert together.expectancy_r_high - together.expectancy_r_low > 0.5
    assert apart.expectancy_r_high - apart.expectancy_r_low < 0.1


def test_not_known_and_not_reached_count_in_no_figure() -> None:
    """They are only counted."""
    late = (signal(), outcome(2.0, reachable=None))
    unknown = (signal(), outcome(2.0, ideal=None, reachable=None))
    made = summarise([*rows(1.0), late, unknown])
    assert (made.n, made.expectancy_r, made.not_known, made.not_reached) == (1, 1.0, 1, 1)


def test_records_are_of_one_kind_and_band() -> None:
    """Rows of other settings, strategies and sides are left out and counted; other bands are neither."""
    records = Records()
    mine = [of_day(day, 1.0 if day % 3 else -1.0, version="1-a", score=76.0) for day in range(40)]
    others = [of_day(0, 5.0, score=76.0), of_day(0, 5.0, version="1-b", score=76.0)]
    for row in (*mine, *others, of_day(0, 5.0, version="1-a", score=81.0)):
        records.add(closed_of(*row))
    record = records.like(signal(version="1-a", score=77.0))
    assert record.alerts == summarise(mine)
    assert record.left_out == 2
    assert of_kinds([*mine, *others], [kind_of(mine[0][0])]) == (mine, 2)
    assert records.like(signal(version="1-c", score=77.0)).alerts.standing == "no data"


def test_nothing_is_no_data() -> None:
    """No rows are no figures, not zeros."""
    made = summarise([])
    assert (made.n, made.wins, made.standing) == (0, 0, "no data")
    figures = (made.win_rate, made.win_rate_low, made.win_rate_high, made.break_even_win_rate)
    assert all(math.isnan(figure) for figure in (*figures, made.expectancy_r, made.profit_factor, made.net_percent))


@pytest.mark.parametrize(("count", "standing"), [(29, "unproven"), (30, "")])
def test_unproven_below_thirty(count: int, standing: str) -> None:
    """Thirty rows prove something, 29 do not."""
    assert summarise(rows(*[1.0] * count)).standing == standing


def test_profit_factor_without_losses() -> None:
    """Nothing lost is an infinite factor, nothing won is none, nothing either way is no figure."""
    assert summarise(rows(1.0)).profit_factor == math.inf
    assert summarise(rows(-1.0)).profit_factor == 0
    assert math.isnan(summarise(rows(0.0)).profit_factor)


def test_a_win_pays() -> None:
    """Break-even after costs is no win."""
    assert summarise(rows(0.0, 1e-9)).wins == 1


def test_from_the_reachable_price() -> None:
    """From the reachable price its own results count, and rows that nobody could enter drop out."""
    late = Result(entry=99.0, gross_percent=0.6, net_percent=0.5, r=0.25)
    mixed = [(signal(), outcome(1.0, reachable=late)), (signal(), outcome(2.0, reachable=None))]
    made = summarise(mixed)
    assert (made.n, made.expectancy_r, made.net_percent) == (1, 0.25, 0.5)
    assert equity_curve(mixed) == ((NOW_MS + 60_000, 0.25),)


def test_score_bands() -> None:
    """Bands are five points, closed below; 100 is in the last, and a band without rows has no data."""
    scored = [(signal(score=score), outcome()) for score in (72.0, 74.99, 75.0, 99.9, 100.0)]
    bands = by_score_band(scored, lowest=72.0)
    assert {band: made.alerts.n for band, made in bands.items()} == {70: 2, 75: 1, 80: 0, 85: 0, 90: 0, 95: 2}
    assert bands[80].alerts.standing == "no data"


def test_scores_below_the_threshold_of_today() -> None:
    """Rows made under an earlier, lower threshold keep their band."""
    assert list(by_score_band([(signal(score=61.0), outcome())], lowest=90.0)) == [60, 90, 95]


def test_groups() -> None:
    """Rows group by venue, coin, exit reason and the local hour of the decision."""
    mixed = [
        (signal(venue="mexc", coin="WIF"), outcome(1.0)),
        (signal(venue="bybit", coin="WIF"), outcome(-1.0)),
        (signal(venue="mexc", coin="PEPE"), outcome(0.5, reason=ExitReason.TIMEOUT)),
    ]
    assert {venue: made.alerts.n for venue, made in by_venue(mixed).items()} == {"bybit": 1, "mexc": 2}
    assert {coin: made.alerts.expectancy_r for coin, made in by_coin(mixed).items()} == {"PEPE": 0.5, "WIF": 0.0}
    assert list(by_exit_reason(mixed)) == ["stop_loss", "take_profit", "timeout"]
    # NOW_MS is 22:13 UTC
    assert list(by_hour(mixed, "UTC")) == [22]
    assert list(by_hour(mixed, "Asia/Kathmandu")) == [3]


def test_hours_and_days() -> None:
    """The hour is that of the decision, the day that of the exit, both local: in Rome the doubled hour is one."""
    before_ms = 1_792_886_400_000  # 2026-10-25 00:00 UTC, an hour before the clocks in Rome go back from 3 to 2
    one, two = before_ms + 1_800_000, before_ms + 5_400_000
    mixed = [
        (signal(decided_ms=one), outcome(1.0, exit_ms=one + 60_000)),
        (signal(decided_ms=two), outcome(-1.0, exit_ms=two + 60_000)),
        (signal(decided_ms=two), outcome(0.5, exit_ms=before_ms + 82_800_000)),
    ]
    assert {hour: made.alerts.n for hour, made in by_hour(mixed, "UTC").items()} == {0: 1, 1: 2}
    assert {hour: made.alerts.expectancy_r for hour, made in by_hour(mixed, "Europe/Rome").items()} == {
        2: pytest.approx(0.5 / 3)
    }
    assert {day: made.alerts.n for day, made in by_day(mixed, "UTC").items()} == {"2026-10-25": 3}
    assert {day: made.alerts.n for day, made in by_day(mixed, "Europe/Rome").items()} == {
        "2026-10-25": 2,
        "2026-10-26": 1,
    }


def test_equity_curve() -> None:
    """R adds up in the order of the exits, whatever the order of the rows."""
    second, first = (signal(id=2), outcome(-1.0, exit_ms=20)), (signal(id=1), outcome(1.5, exit_ms=10))
    assert equity_curve([second, first]) == ((10, 1.5), (20, 0.5))
    assert equity_curve([]) == ()


def many(mean_r: float, days: int = 40, each: int = 3, **changed: Any) -> list[Row]:
    """Return rows of that mean, half a point of R around it, on so many days."""
    swings = (-0.5, 0.0, 0.5)
    return [of_day(day, mean_r + swings[(day + n) % 3], **changed) for day in range(days) for n in range(each)]


@pytest.mark.parametrize(
    ("alerts", "chance", "verdict"),
    [
        (0.4, -0.1, "better"),
        (-0.4, -0.1, "worse"),
        (0.0, -0.1, "no difference"),
        (-0.1, -0.1, "no difference"),
    ],
)
def test_beside_chance(alerts: float, chance: float, verdict: str) -> None:
    """Alerts are better or worse than chance only where the two intervals do not overlap."""
    record = compare(many(alerts, each=1), many(chance, each=2))
    assert record.verdict == verdict
    assert record.difference_r == pytest.approx(record.alerts.expectancy_r - record.chance.expectancy_r)
    assert record.difference_r_low < record.difference_r < record.difference_r_high
    assert (record.difference_r_low > 0) >= (verdict == "better")


def test_overlapping_intervals_are_no_difference() -> None:
    """Where both were drawn on the same good and bad days their difference is sharp; overlapping they stay unproven."""
    alerts = [of_day(day, (1.0 if day % 2 else -1.0) + 0.2) for day in range(40)]
    chance = [of_day(day, 1.0 if day % 2 else -1.0) for day in range(40)]
    record = compare(alerts, chance)
    assert record.difference_r_low == pytest.approx(0.2)
    assert record.verdict == "no difference"


@pytest.mark.parametrize(("alerts", "controls", "days"), [(29, 60, 29), (60, 29, 60), (60, 60, 9)])
def test_too_few_to_compare(alerts: int, controls: int, days: int) -> None:
    """Under 30 of either, or on fewer than ten days, nothing is said."""
    rows = [of_day(n % days, 5.0) for n in range(alerts)]
    drawn = [of_day(n % days, -5.0) for n in range(controls)]
    record = compare(rows, drawn)
    assert record.verdict == "too few"
    assert math.isnan(record.difference_r_low)


def test_controls_stand_beside_their_alerts_only() -> None:
    """They are in no figure of the alerts, and in the band and kind of the alert they were drawn with."""
    records = Records()
    alerts, controls = many(0.4, version="1-a", score=76.0), many(-0.1, version="1-a", score=76.0)
    for row in alerts:
        records.add(closed_of(*row))
    for row in (*controls, *many(-3.0, version="1-a", score=81.0), *many(-3.0, version="1-b", score=76.0)):
        records.add(closed_of(*row, is_control=True))
    record = records.like(signal(version="1-a", score=77.0))
    assert record.alerts == summarise(alerts)
    assert record.chance == summarise(controls)
    assert (record.verdict, record.left_out) == ("better", 0)
    assert by_venue(alerts, controls)["bybit"] == compare(alerts, controls)
    assert by_score_band(alerts, 70, controls)[75] == compare(alerts, controls)


@given(st.permutations(range(30)), st.integers(0, 30))
def test_running_sums(order: list[int], asked_after: int) -> None:
    """Whatever the order in which rows come, and whenever somebody asks, the figures are the same."""
    rows_ = [of_day(n % 12, math.sin(n)) for n in range(30)]
    records, like = Records(), signal(decided_ms=NOW_MS)
    for place, n in enumerate(order):
        records.add(closed_of(*rows_[n]))
        if place == asked_after:
            records.prepare()
    made, batch = records.like(like).alerts, summarise(rows_)
    assert made.expectancy_r_low == pytest.approx(batch.expectancy_r_low)
    assert made.expectancy_r_high == pytest.approx(batch.expectancy_r_high)


def test_the_interval_covers() -> None:
    """Of 400 true means some 95 % are in their intervals, with days that share their luck and are few."""
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        luck = random.normal(0, 0.3, 40)
        counts = random.integers(1, 9, 40)
        tally = Tally()
        for day, (mean, count) in enumerate(zip(luck, counts, strict=True)):
            for r in random.normal(mean, 1.0, count):
                tally.add(NOW_MS + day * DAY_MS, is_known=True, net_percent=float(r), r=float(r))
        made = tally.summary()
        covered += made.expectancy_r_low <= 0 <= made.expectancy_r_high
    assert 0.91 <= covered / 400 <= 0.97


@given(st.lists(st.floats(-5, 5), max_size=300), st.integers(4, 60))
def test_a_thinned_curve_keeps_its_shape(steps: list[float], most: int) -> None:
    """It has at most so many points, all of the curve's own and in their order: its ends, its top and its bottom."""
    curve = [(time_ms, total) for time_ms, total in enumerate(accumulate(steps))]
    thin = thinned(curve, most)
    assert len(thin) <= most
    assert list(thin) == [point for point in curve if point in set(thin)]
    if len(curve) <= most:
        assert list(thin) == curve
    else:
        assert {curve[0], curve[-1]} <= set(thin)
        assert {min(total for _, total in curve), max(total for _, total in curve)} <= {total for _, total in thin}
