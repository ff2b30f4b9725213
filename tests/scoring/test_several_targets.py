"""Three targets with shares are one outcome: every path against hand-worked results, by prints and by candles."""

import math
from dataclasses import replace
from typing import Any

import pytest

from bot.chat.texts.alerts import copy_text, render_entry
from scoring.exits import Look, follow, shift_clock, start
from scoring.levels import r_by_targets
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, OpenSignal, Outcome, Side
from storage.codec import from_plain, to_plain
from tests.builders import NOW_MS
from tests.scoring.frames import signal
from tests.scoring.test_exits import Bars, Prints, candles, look

THIRDS = (1 / 3, 1 / 3, 1 / 3)
SETTINGS = ScoringSettings(default_taker_fee_percent=0.0)


def long_of_thirds(**changed: Any) -> OpenSignal:
    """Return the LONG of docs/levels.md: from 95.92, stop 91.84, targets 100, 102.4072 and 105.3856."""
    one = signal(Side.LONG)
    levels = replace(
        one.levels,
        entry=95.92,
        stop=91.84,
        take_profits=(100.0, 102.4072, 105.3856),
        shares=THIRDS,
        taker_fee_percent=0.0,
        **changed,
    )
    return start(replace(one, levels=levels))


def seen(after_s: float, prints: Prints, bid: float, ask: float) -> Look:
    """Return a look with prints that are not mirrored."""
    mirrored = [(time_s, 200 - price) for time_s, price in prints]
    return look(Side.LONG, after_s, mirrored, bid=200 - ask, ask=200 - bid)


def outcome_of(*looks: Look, state: OpenSignal | None = None) -> Outcome:
    """Return the outcome that the last look brings."""
    result: OpenSignal | Outcome = state or long_of_thirds()
    for one in looks:
        assert isinstance(result, OpenSignal)
        result = follow(result, one, SETTINGS)
    assert isinstance(result, Outcome)
    return result


def test_what_some_of_the_targets_make() -> None:
    """The alert and the outcomes agree on it, and the alert says that one of three is a loss."""
    levels = long_of_thirds().signal.levels
    assert r_by_targets(levels) == pytest.approx((-1, -0.3333, 0.53, 1.6367), abs=1e-3)
    text = render_entry(replace(signal(Side.LONG), levels=levels), track_record="no data", decided_after_ms=1)
    said = "one target of three is a loss of 0.33 R, two targets of three make 0.53 R, all make 1.64 R"
    assert f"Closes 33% / 33% / 33%. Before costs: {said}" in text
    assert "Targets 100 102.4072 105.3856" in copy_text(
        replace(signal(Side.LONG), levels=levels, tick_size=0.0001)
    ).replace(".0000", "")


@pytest.mark.parametrize(
    ("highest", "hit", "gross", "r"),
    [(97, 0, -4.2535, -1.0), (100.5, 1, -1.4178, -0.3333), (103, 2, 2.2544, 0.53), (106, 3, 6.9616, 1.6367)],
)
def test_each_number_of_targets(highest: float, hit: int, gross: float, r: float) -> None:
    """One of three and then the stop is a loss of a third of the risk; only two of three win."""
    up = seen(5, [(1, 96.5), (2, highest)], bid=96.0, ask=96.1)
    looks = [up] if hit == 3 else [up, seen(10, [(9, 91.0)], bid=91.84, ask=91.9)]
    outcome = outcome_of(*looks)
    fill = outcome.fills[-1].price
    assert outcome.targets_hit == hit
    assert outcome.reason is (ExitReason.TAKE_PROFIT if hit == 3 else ExitReason.STOP_LOSS)
    assert sum(one.share for one in outcome.fills) == pytest.approx(1)
    assert len(outcome.fills) == (3 if hit == 3 else hit + 1)
    slipped = 0.0 if hit == 3 else (91.84 - fill) / 95.92 * 100 * (3 - hit) / 3  # the print beyond the stop
    assert outcome.ideal is not None
    assert outcome.ideal.gross_percent + slipped == pytest.approx(gross, abs=1e-3)
    assert outcome.ideal.r + slipped / 4.2535 == pytest.approx(r, abs=1e-3)


def test_the_stop_comes_first_for_all_that_is_open() -> None:
    """Where one interval shows stop and target the rest is stopped, and that is ambiguous."""
    outcome = outcome_of(
        seen(5, [(1, 100.5)], bid=99.0, ask=99.1), seen(10, [(6, 103.0), (9, 91.84)], bid=92.5, ask=92.6)
    )
    assert (outcome.reason, outcome.targets_hit, outcome.is_ambiguous) == (ExitReason.STOP_LOSS, 1, True)
    assert [round(one.share, 4) for one in outcome.fills] == [0.3333, 0.6667]
    assert [one.time_ms for one in outcome.fills] == [NOW_MS + 1000, NOW_MS + 9000]


def test_the_time_out_is_the_signals_own() -> None:
    """What is open at the strategy's own time-out leaves at the bid."""
    state = long_of_thirds(timeout_s=60.0)
    outcome = outcome_of(
        seen(5, [(1, 100.5)], bid=99.0, ask=99.1), seen(61, [(60, 99.0)], bid=99.0, ask=99.1), state=state
    )
    assert (outcome.reason, outcome.targets_hit, outcome.fill) == (ExitReason.TIMEOUT, 1, 99.0)
    assert outcome.ideal is not None
    assert outcome.ideal.gross_percent == pytest.approx((4.2535 + 2 * 3.2110) / 3, abs=1e-3)


def test_candles_settle_several_targets() -> None:
    """A gap's minutes fill one target after the other, and the stop for the rest."""
    bars: Bars = [(0, 96, 96.5, 95.8, 96.2), (60, 96.2, 103, 96, 100), (120, 100, 100, 91, 92), (180, 92, 92, 92, 92)]
    mirrored = [(at, 200 - o, 200 - low, 200 - high, 200 - c) for at, o, high, low, c in bars]
    now_ms = NOW_MS + 240_000
    gap = Look(now_ms=now_ms, gap="a restart", candles=candles(Side.LONG, mirrored))
    outcome = outcome_of(gap)
    assert (outcome.reason, outcome.targets_hit) == (ExitReason.STOP_LOSS, 2)
    assert [one.time_ms - NOW_MS for one in outcome.fills] == [120_000, 120_000, 180_000]


def test_what_is_filled_is_stored_and_moves_with_the_clock() -> None:
    """A restart goes on with the targets that are left."""
    state = follow(long_of_thirds(), seen(5, [(1, 100.5)], bid=99.0, ask=99.1), SETTINGS)
    assert isinstance(state, OpenSignal)
    assert state.next_target == 102.4072
    again = from_plain(OpenSignal, to_plain(state))
    assert again.fills == state.fills
    assert shift_clock(state, 5000).fills[0].time_ms == NOW_MS + 6000
    outcome = outcome_of(seen(10, [(9, 106)], bid=105.0, ask=105.1), state=again)
    assert from_plain(Outcome, to_plain(outcome)) == outcome
    assert not math.isnan(outcome.fill)
