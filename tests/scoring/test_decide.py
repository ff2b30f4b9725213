"""The one decision: who signals, in which order, what is refused and what was almost."""

from dataclasses import replace

import numpy as np
import pytest

from features.missing import Missing
from scoring.decide import decide, explain
from scoring.signals import Arm, Limits, Side
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import NAN, SETTINGS, UPS, limits, make_settings, passing

FRESH = Limits.fresh()


def test_a_signal_carries_everything() -> None:
    """A signal has its levels, the score with its parts, every verdict, the features, times and hashes."""
    settings = replace(SETTINGS, code_hash="c0de", config_hash="c0f")
    decision = decide(NOW_MS, passing(book_ms=NOW_MS - 85), FRESH, (), settings, (UPS,))
    (signal,) = decision.signals
    assert (signal.id, signal.side, signal.venue, signal.coin, signal.pair) == (1, Side.SHORT, "bybit", "C0", "C0/USDT")
    assert (signal.levels.entry, signal.levels.take_profits, signal.levels.stop) == (99.99, (98.3,), 100.68)
    assert signal.score == pytest.approx(73.8)
    assert list(signal.sub_scores) == list(signal.contributions) == list(UPS.weights)
    assert sum(signal.contributions.values()) == signal.score
    assert [verdict.name for verdict in signal.verdicts] == [gate.name for gate in UPS.gates]
    assert all(verdict.passed for verdict in signal.verdicts)
    assert signal.features["ask_share"] == 0.7
    assert signal.features["btc_return"] == 0.0
    assert signal.data_times.book_ms == NOW_MS - 85
    assert (signal.code_hash, signal.config_hash) == ("c0de", "c0f")
    assert decision.limits.next_id == 2
    assert decision.limits.last_signal_ms == {"C0": NOW_MS}
    assert decision.near_misses == ()


def test_pure() -> None:
    """The same inputs give the same decision, and none of them is changed."""
    frame = passing(3)
    first, second = (decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)) for _ in range(2))
    assert first.signals == second.signals
    assert first.near_misses == second.near_misses
    assert first.controls == second.controls
    assert Limits.fresh() == FRESH


def test_controls_come_with_their_signals() -> None:
    """Each signal has its own, of the features it was decided on; without a signal there are none."""
    decision = decide(NOW_MS, passing(3), FRESH, (), SETTINGS, (UPS,))
    assert [one.signal_id for one in decision.controls] == [1, 1, 2, 2]
    for one in decision.controls:
        (drawn_with,) = (signal for signal in decision.signals if signal.id == one.signal_id)
        assert (one.coin == drawn_with.coin) == (one.arm is Arm.OTHER_TIME)
    assert decide(NOW_MS, passing(3), limits(paused_until_ms=2**62), (), SETTINGS, (UPS,)).controls == ()


def test_one_coin_one_signal() -> None:
    """Of a coin's venues the highest score wins, whatever its column."""
    venues = [instrument(venue=venue) for venue in ("binance", "bybit", "mexc")]
    decision = decide(NOW_MS, passing(instruments=venues, vwap_distance=[0.01, 0.02, 0.0]), FRESH, (), SETTINGS, (UPS,))
    assert [signal.venue for signal in decision.signals] == ["bybit"]
    assert decision.near_misses == ()


def test_deeper_bid_breaks_a_tie() -> None:
    """At equal scores the venue with the deeper bid wins."""
    venues = [instrument(venue=venue) for venue in ("binance", "bybit")]
    decision = decide(NOW_MS, passing(instruments=venues, bid_depth_usdt=[6000.0, 7000.0]), FRESH, (), SETTINGS, (UPS,))
    assert [signal.venue for signal in decision.signals] == ["bybit"]


def test_best_first_within_the_limits() -> None:
    """The best two of four take the burst; the others are refused by it alone and are near misses, best first."""
    decision = decide(NOW_MS, passing(4, vwap_distance=[0.01, 0.04, 0.02, 0.03]), FRESH, (), SETTINGS, (UPS,))
    assert [(signal.id, signal.coin) for signal in decision.signals] == [(1, "C1"), (2, "C3")]
    assert [(miss.coin, miss.failed) for miss in decision.near_misses] == [("C2", ("burst",)), ("C0", ("burst",))]
    assert decision.limits.signal_times_ms == (NOW_MS, NOW_MS)
    assert decision.by_strategy["ups"].funnel().refused["burst"] == 2


def test_daily_cap_within_a_tick() -> None:
    """With seven signals today one tick may add one more."""
    seven = limits(signal_times_ms=tuple(NOW_MS - 1_000_000 - 1000 * number for number in range(7, 0, -1)))
    decision = decide(NOW_MS, passing(3), seven, (), SETTINGS, (UPS,))
    assert len(decision.signals) == 1
    assert {miss.failed for miss in decision.near_misses} == {("daily_cap",)}


def test_funnel() -> None:
    """Each eligible instrument is counted once: by what its data lacks, by the gate that refuses it, or as passed."""
    universe = [*(instrument(id=f"C{number}USDT") for number in range(6)), instrument(id="BTCUSDT", is_eligible=False)]
    missing = np.zeros(7, np.int8)
    missing[3], missing[4:] = Missing.WARMING_UP, Missing.NOT_SEEN
    frame = passing(
        instruments=universe,
        ask_share=[0.4, 0.7, 0.7, 0.7, 0.4, 0.7, 0.4],
        spread_bps=[90.0, 90.0, 2.0, 2.0, 90.0, 2.0, 2.0],
        missing={"wall": missing},
    )
    decision = decide(NOW_MS, frame, FRESH, (), make_settings(min_score=60.0, burst_limit=1), (UPS,))
    assert [signal.coin for signal in decision.signals] == ["C2"]
    funnel = decision.by_strategy["ups"].funnel()
    assert funnel.not_seen == {"wall not seen": 2, "wall warming up": 1}
    assert {gate: count for gate, count in funnel.refused.items() if count} == {"ask_share": 1, "spread": 1}
    assert list(funnel.refused) == [gate.name for gate in UPS.gates if gate.name != "eligible"]
    assert (funnel.seen, funnel.passed) == (3, 1)


def test_near_misses_by_points() -> None:
    """Within so many points of the threshold is a near miss with all that failed, farther with two failures is none."""
    frame = passing(ask_share=0.55, vwap_distance=0.015)
    (miss,) = decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)).near_misses
    assert miss.score == pytest.approx(67.8)
    assert miss.failed == ("score", "ask_share")
    assert decide(NOW_MS, frame, FRESH, (), replace(SETTINGS, near_miss_points=4.1), (UPS,)).near_misses == ()
    assert len(decide(NOW_MS, frame, FRESH, (), replace(SETTINGS, near_miss_points=4.3), (UPS,)).near_misses) == 1


def test_near_misses_by_one_gate() -> None:
    """An instrument that one gate alone refuses is a near miss, with the levels it would have had."""
    (miss,) = decide(NOW_MS, passing(bid_depth_usdt=4000.0), FRESH, (), SETTINGS, (UPS,)).near_misses
    assert (miss.failed, miss.entry, miss.decided_ms) == (("bid_depth",), 99.99, NOW_MS)
    assert miss.levels is not None
    assert miss.levels.stop == 100.68


def test_no_near_misses_of_what_was_not_missed() -> None:
    """Lenders, coins with an open or a recent signal, and far scores with several failures are none."""
    lender = passing(instruments=[instrument(is_eligible=False)])
    assert decide(NOW_MS, lender, FRESH, (), SETTINGS, (UPS,)).near_misses == ()
    assert decide(NOW_MS, passing(), FRESH, {"C0"}, SETTINGS, (UPS,)).near_misses == ()
    assert decide(NOW_MS, passing(), limits(last_exit_ms={"C0": NOW_MS}), (), SETTINGS, (UPS,)).near_misses == ()
    assert decide(NOW_MS, passing(wall_ratio=0.0, ask_share=0.5), FRESH, (), SETTINGS, (UPS,)).near_misses == ()


def test_near_miss_of_an_unseen_book() -> None:
    """A near miss without a book has no entry and no levels."""
    frame = passing(best_bid=NAN, missing={"book": Missing.NOT_SEEN})
    (miss,) = decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)).near_misses
    assert np.isnan(miss.entry)
    assert miss.levels is None


def test_one_near_miss_a_coin() -> None:
    """Of a coin's venues the best near miss is kept."""
    venues = [instrument(venue=venue) for venue in ("binance", "bybit")]
    frame = passing(instruments=venues, bid_depth_usdt=4000.0, vwap_distance=[0.01, 0.02])
    assert [miss.venue for miss in decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)).near_misses] == ["bybit"]


def test_borrowed_and_missing_are_said() -> None:
    """A signal says what it borrowed, whose times count, and what it had to do without."""
    borrower = instrument(venue="lbank", publishes_trades=False, publishes_open_interest=False)
    frame = passing(
        instruments=[borrower, instrument(id="XUSDT", is_eligible=False)],
        borrows_open_interest=[True, False],
        borrows_flow=[True, False],
        lender=[1, -1],
        trades_ms=NOW_MS - 700,
        open_interest_ms=NOW_MS - 900,
        vwap_distance=NAN,
        missing={"vwap_distance": Missing.STALE},
        wall_ratio=12.0,
    )
    (signal,) = decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)).signals
    assert signal.borrowed == "OI and flow: Bybit"
    assert signal.missing == {"vwap_distance": "stale"}
    assert (signal.data_times.trades_ms, signal.data_times.open_interest_ms) == (NOW_MS - 700, NOW_MS - 900)


def test_explain_says_what_decide_says() -> None:
    """The verdicts of a signal are those of `explain`, and a barred instrument's say why."""
    frame = passing(2, ask_share=[0.7, 0.3])
    (signal,) = decide(NOW_MS, frame, FRESH, (), SETTINGS, (UPS,)).signals
    assert explain(UPS, NOW_MS, frame, FRESH, (), SETTINGS, 0) == signal.verdicts
    failed = [verdict.name for verdict in explain(UPS, NOW_MS, frame, FRESH, (), SETTINGS, 1) if not verdict.passed]
    assert failed == ["score", "ask_share"]
