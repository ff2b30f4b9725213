"""What chance draws with an alert: uniform, by the rules of entries, and the same at every replay."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from features.frame import FeatureFrame
from features.missing import Missing
from scoring.controls import DAY_MS, LATE_MS, as_signal, begin_control, draw_controls
from scoring.levels import levels_at
from scoring.signals import Arm, Control, ExitReason, Outcome, Side, Signal
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import NAN, SETTINGS, UPS, check, passing, signal

COINS = [f"C{number}USDT" for number in range(6)]


def market(**changed: object) -> FeatureFrame:
    """Return six instruments of Bybit that may be entered."""
    return passing(instruments=[instrument(id=identity) for identity in COINS], **changed)


def alert(**changed: Any) -> Signal:
    """Return an alert on the first of them."""
    return signal(**({"instrument_id": "C0USDT", "coin": "C0"} | changed))


def drawn(features: FeatureFrame, one: Signal) -> dict[Arm, Control]:
    """Return the controls of an alert by arm."""
    return {control.arm: control for control in draw_controls(one, *check(features, now_ms=one.decided_ms))}


def test_two_arms() -> None:
    """One is another instrument at the same time, with the levels a signal there would have; one the same, later."""
    features, one = market(), alert(id=7)
    found = drawn(features, one)
    other, later = found[Arm.OTHER_INSTRUMENT], found[Arm.OTHER_TIME]
    assert [(control.id, control.signal_id) for control in (other, later)] == [(71, 7), (72, 7)]
    assert (other.venue, other.decided_ms) == (one.venue, one.decided_ms)
    assert other.coin != one.coin
    column = COINS.index(other.instrument_id)
    assert other.levels == levels_at(UPS.levels(NOW_MS, features, SETTINGS), column, 0.01)
    assert (later.venue, later.instrument_id, later.levels) == (one.venue, one.instrument_id, None)
    assert one.decided_ms < later.decided_ms <= one.decided_ms + DAY_MS


def test_chance_is_uniform() -> None:
    """Over many alerts each of the other instruments is drawn as often, and each hour of the day."""
    features, count = market(), 4000
    draws = [drawn(features, alert(decided_ms=NOW_MS + 5000 * number)) for number in range(count)]
    others = Counter(draw[Arm.OTHER_INSTRUMENT].instrument_id for draw in draws)
    assert set(others) == set(COINS[1:])
    assert all(abs(seen - count / 5) < 4 * (count / 5 * 0.8) ** 0.5 for seen in others.values())
    waits_ms = [draw[Arm.OTHER_TIME].decided_ms - NOW_MS - 5000 * number for number, draw in enumerate(draws)]
    hours = np.bincount(np.array(waits_ms) // 3_600_000, minlength=24)
    assert len(hours) == 24
    assert np.abs(hours - count / 24).max() < 4 * (count / 24) ** 0.5


def test_a_replay_draws_the_same() -> None:
    """The draw follows from the alert alone: neither its number, nor other draws, nor the order of columns matter."""
    features = market()
    shuffled = passing(instruments=[instrument(id=identity) for identity in reversed(COINS)])
    for number in range(50):
        one = alert(decided_ms=NOW_MS + 1000 * number)
        first, again = drawn(features, one), drawn(shuffled, replace(one, id=99))
        assert [(control.instrument_id, control.decided_ms, control.levels) for control in first.values()] == [
            (control.instrument_id, control.decided_ms, control.levels) for control in again.values()
        ]


def test_what_cannot_be_entered_is_not_drawn() -> None:
    """Other venues, what only lends, the coin itself, wide spreads and prices that are not fresh are left out."""
    instruments = [
        instrument(id="C0USDT"),
        instrument(id="C0_USDT", coin="C0"),
        instrument(venue="mexc", id="C1_USDT"),
        instrument(id="C2USDT", is_eligible=False),
        *(instrument(id=f"C{number}USDT") for number in range(3, 7)),
    ]
    features = passing(
        instruments=instruments,
        spread_bps=[2.0, 2.0, 2.0, 2.0, 2.0, 60.0, NAN, 2.0],
        missing={"price": [0, 0, 0, 0, Missing.STALE, 0, 0, 0]},
    )
    for number in range(30):
        found = drawn(features, alert(decided_ms=NOW_MS + number))
        assert found[Arm.OTHER_INSTRUMENT].instrument_id == "C6USDT"


def test_nothing_to_draw() -> None:
    """Where nothing else can be entered there is only the other time."""
    assert list(drawn(passing(1), alert())) == [Arm.OTHER_TIME]
    assert list(drawn(market(), alert(side=Side.LONG))) == [Arm.OTHER_TIME], "UPS would be SHORT everywhere"


def test_the_other_time() -> None:
    """It begins where it can be entered within a minute of its time; after that nobody can say what it would be."""
    one = alert(id=7)
    waiting = replace(drawn(market(), one)[Arm.OTHER_TIME], decided_ms=NOW_MS - 10_000)

    def at(features: FeatureFrame, column: int | None = 0) -> Control | Outcome | None:
        return begin_control(waiting, one, features, column, SETTINGS, UPS)

    begun = at(market(best_bid=90.0, best_ask=90.02))
    assert isinstance(begun, Control)
    assert begun.decided_ms == NOW_MS
    assert begun.levels is not None
    assert begun.levels.entry == 90.0
    followed = as_signal(begun, one)
    assert (followed.id, followed.levels, followed.decided_ms) == (72, begun.levels, NOW_MS)
    assert (followed.strategy, followed.version, followed.score) == (one.strategy, one.version, one.score)
    wide = market(spread_bps=60.0)
    assert at(wide) is None
    assert at(market(), None) is None
    late = replace(market(), now_ms=waiting.decided_ms + LATE_MS + 1)
    assert begin_control(waiting, one, market(), 0, SETTINGS, None) is None, "its strategy runs no more"
    for ended in (at(late), at(late, None), begin_control(waiting, one, late, 0, SETTINGS, None)):
        assert isinstance(ended, Outcome)
        assert (ended.signal_id, ended.reason, ended.ideal, ended.reachable) == (72, ExitReason.NOT_KNOWN, None, None)
