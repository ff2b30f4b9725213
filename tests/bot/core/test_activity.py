"""What is counted, and the price of the last tick that a late alert is held against."""

from dataclasses import replace

import pytest

from bot.core.activity import Activity
from bot.core.events import SignalEnded, SignalGiven, TickEnded
from bot.core.tick import Tick
from fetchers.health import Condition
from scoring.decide import decide
from scoring.exits import start
from scoring.signals import Limits, Side
from tests.builders import NOW_MS
from tests.scoring.frames import SETTINGS, UPS, outcome, passing, signal


def tick(side: Side = Side.SHORT, **features: object) -> Tick:
    """Return a tick that saw C0, on which a signal of that side is open, and took 300 ms."""
    frame = passing(now_ms=NOW_MS, **features)
    one = signal(side, id=7, instrument_id=frame.instruments[0].id, venue=frame.instruments[0].venue)
    return Tick(
        started_ms=NOW_MS - 200,
        features=frame,
        decided_ms=NOW_MS,
        decision=decide(NOW_MS, frame, Limits.fresh(), (), SETTINGS, (UPS,)),
        open_signals={7: start(one)},
        conditions={"bybit": Condition.OK, "mexc": Condition.BLIND},
        outbox={},
        ended_ms=NOW_MS + 100,
    )


def test_counts() -> None:
    """Signals, exits, ticks, funnels and the venues that were seen are those of the events."""
    activity = Activity(NOW_MS, ["ups"])
    for event in (SignalGiven(signal()), SignalEnded(signal(), outcome()), TickEnded(tick()), TickEnded(tick())):
        activity.note(event)
    assert (activity.signals, activity.exits, activity.ticks) == (1, 1, 2)
    assert list(activity.durations_ms) == [300, 300]
    assert activity.funnels["ups"].ticks == 2
    assert activity.day.seen == {"bybit": 2, "mexc": 0}
    assert activity.day.best_score == pytest.approx(73.8, abs=0.1)


def test_a_day_begins_anew() -> None:
    """The log counts from then; what is counted since the start goes on."""
    activity = Activity(NOW_MS, ["ups"])
    activity.note(TickEnded(tick()))
    activity.begin_day(NOW_MS + 1000)
    assert (activity.day.ticks, activity.day.since_ms) == (0, NOW_MS + 1000)
    assert activity.ticks == 1


@pytest.mark.parametrize(("side", "price"), [(Side.SHORT, 99.0), (Side.LONG, 99.5)])
def test_the_price_an_entry_would_get(side: Side, price: float) -> None:
    """A SHORT sells at the best bid, a LONG buys at the best ask."""
    activity = Activity(NOW_MS, ["ups"])
    assert activity.current_price(7) is None
    activity.note(TickEnded(tick(side, best_bid=99.0, best_ask=99.5)))
    assert activity.current_price(7) == price
    assert activity.current_price(8) is None, "it is not open"
    activity.note(TickEnded(tick(side, best_bid=float("nan"), best_ask=float("nan"))))
    assert activity.current_price(7) is None


def test_an_instrument_that_is_watched_no_more() -> None:
    """Its price is not known."""
    activity = Activity(NOW_MS, ["ups"])
    activity.note(TickEnded(tick()))
    assert activity.entry_price(replace(signal(), instrument_id="GONE")) is None


def test_a_clock_that_is_set() -> None:
    """Elapsed time stays as it is."""
    activity = Activity(NOW_MS, ["ups"])
    activity.note(TickEnded(tick()))
    activity.shift_clock(-3_600_000)
    assert activity.started_ms == activity.day.since_ms == NOW_MS - 3_600_000
    assert activity.last_tick is not None
    assert activity.last_tick.ended_ms == NOW_MS + 100 - 3_600_000
