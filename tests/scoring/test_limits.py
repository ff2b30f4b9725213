"""Limits: state in, state out, and whatever the clock does."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.decide import decide
from scoring.limits import (
    after_outcome,
    after_signal,
    mute_coin,
    mute_venue,
    pause,
    resume,
    seconds_since_last,
    seconds_until,
    shift_clock,
    signals_today,
    signals_within,
    unmute_coin,
    unmute_venue,
)
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, ExitReason, Limits
from storage.codec import from_plain, to_json
from storage.store import Store
from tests.builders import NOW_MS
from tests.scoring.frames import SETTINGS, UPS, limits, outcome, passing, signal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str, zone: str) -> int:
    """Return the epoch milliseconds of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_after_signal() -> None:
    """A signal uses up an id, the coin's cooldown, the burst and the day."""
    after = after_signal(Limits.fresh(), signal(id=7, decided_ms=NOW_MS), SETTINGS)
    assert after.next_id == 8
    assert seconds_since_last(after, NOW_MS + 5000) == {"PEPE": 5.0, "bybit:PEPEUSDT": 5.0}
    assert signals_within(after, NOW_MS + 5000, 300) == 1
    assert signals_today(after, NOW_MS + 5000, "UTC") == 1


def test_seconds_since_last() -> None:
    """The later of signal and exit counts, and a clock that went back gives less than nothing."""
    state = limits(
        last_signal_ms={"A": NOW_MS - 9000, "B": NOW_MS + 1000}, last_exit_ms={"A": NOW_MS - 4000, "C": NOW_MS}
    )
    assert seconds_since_last(state, NOW_MS) == {"A": 4.0, "B": -1.0, "C": 0.0}


@pytest.mark.parametrize(
    ("zone", "day_hours", "inside", "outside"),
    [
        ("Europe/Rome", 25, "2026-10-25T00:00", "2026-10-24T23:59"),
        ("Europe/Rome", 23, "2026-03-29T00:00", "2026-03-28T23:59"),
        ("America/Havana", 23, "2026-03-08T01:00", "2026-03-07T23:59"),
        ("UTC", 24, "2026-06-01T00:00", "2026-05-31T23:59"),
        ("Asia/Kathmandu", 24, "2026-06-01T00:00", "2026-05-31T23:59"),
    ],
)
def test_the_local_day(zone: str, day_hours: int, inside: str, outside: str) -> None:
    """The day is the calendar's: 23, 24 or 25 hours, from its first minute to its last."""
    first = at(inside, zone)
    last = first + day_hours * HOUR_MS - 60_000
    state = limits(signal_times_ms=(at(outside, zone), first))
    assert signals_today(state, last, zone) == 1
    assert signals_today(state, last + 60_000, zone) == 0


def test_the_hour_that_comes_twice() -> None:
    """On the day the clocks go back both passes of the doubled hour are the same day."""
    first_pass = at("2026-10-25T02:30", "Europe/Rome")
    state = limits(signal_times_ms=(first_pass, first_pass + HOUR_MS))
    assert signals_today(state, first_pass + HOUR_MS, "Europe/Rome") == 2


def test_pause_and_resume() -> None:
    """A pause lasts until its time or until resumed, and the guard is none of the user's."""
    assert pause(Limits.fresh(), NOW_MS).paused_until_ms == NOW_MS
    assert pause(Limits.fresh()).paused_until_ms == FOREVER_MS
    assert resume(pause(limits(guard_until_ms=5))) == limits(guard_until_ms=5)


def test_mutes() -> None:
    """Mutes are by coin and by venue, end by themselves or when lifted, and what is over is dropped."""
    state = mute_coin(Limits.fresh(), "PEPE", NOW_MS, NOW_MS + 1000)
    state = mute_venue(state, "mexc", NOW_MS)
    assert (state.muted_coins, state.muted_venues) == ({"PEPE": NOW_MS + 1000}, {"mexc": FOREVER_MS})
    assert mute_coin(state, "WIF", NOW_MS + 1000).muted_coins == {"WIF": FOREVER_MS}
    assert unmute_coin(state, "PEPE", NOW_MS).muted_coins == {}
    assert unmute_coin(state, "WIF", NOW_MS).muted_coins == {"PEPE": NOW_MS + 1000}
    assert unmute_venue(state, "mexc", NOW_MS).muted_venues == {}


@pytest.mark.parametrize(
    ("until_ms", "left"), [(None, 0), (999, 0), (1000, 0), (1500, 0.5), (FOREVER_MS, float("inf"))]
)
def test_seconds_until(until_ms: int | None, left: float) -> None:
    """What is over or never began has nothing left, what is for ever is infinite."""
    assert seconds_until(until_ms, 1000) == left


def stopped(state: Limits, exit_ms: int, **changed: Any) -> Limits:
    """Return the limits after a stop-loss at `exit_ms`."""
    ended = outcome(-1.0, exit_ms=exit_ms, **changed)
    return after_outcome(state, signal(), ended, SETTINGS)


def test_stoploss_guard() -> None:
    """Three stops within an hour pause the next hour, two do not, and a fourth adds its own hour."""
    two = stopped(stopped(Limits.fresh(), NOW_MS), NOW_MS + 1000)
    assert two.guard_until_ms == 0
    three = stopped(two, NOW_MS + HOUR_MS - 1)
    assert three.guard_until_ms == NOW_MS + 2 * HOUR_MS - 1
    assert stopped(three, NOW_MS + HOUR_MS).guard_until_ms == NOW_MS + 2 * HOUR_MS


def test_stoploss_guard_window() -> None:
    """A stop an hour old no longer counts and is dropped; take-profits never count."""
    two = stopped(stopped(Limits.fresh(), NOW_MS), NOW_MS + 1000)
    later = stopped(two, NOW_MS + HOUR_MS)
    assert (later.guard_until_ms, later.stop_times_ms) == (0, (NOW_MS + 1000, NOW_MS + HOUR_MS))
    won = after_outcome(two, signal(), outcome(exit_ms=NOW_MS + 2000), SETTINGS)
    times = {"last_exit_ms": {"PEPE": NOW_MS + 2000}, "last_of_instrument_ms": {"bybit:PEPEUSDT": NOW_MS + 2000}}
    assert won == replace(two, **times)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", [ExitReason.NOT_KNOWN, ExitReason.NO_LONGER_WATCHED])
def test_what_is_not_known_is_no_stop(reason: ExitReason) -> None:
    """It does not count for the guard; the cooldown after an exit holds."""
    two = stopped(stopped(Limits.fresh(), NOW_MS), NOW_MS + 1000)
    ended = outcome(reason=reason, ideal=None, reachable=None, exit_ms=NOW_MS + 2000)
    assert after_outcome(two, signal(), ended, SETTINGS) == stopped(two, NOW_MS + 2000, reason=reason)
    assert after_outcome(two, signal(), ended, SETTINGS).stop_times_ms == two.stop_times_ms


def test_stops_that_come_late() -> None:
    """A stop settled from candles after a restart finds its place among the others."""
    state = stopped(stopped(stopped(Limits.fresh(), NOW_MS + 2000), NOW_MS), NOW_MS + 1000)
    assert state.stop_times_ms == (NOW_MS, NOW_MS + 1000, NOW_MS + 2000)
    assert state.guard_until_ms == NOW_MS + 2000 + HOUR_MS
    assert state.last_exit_ms == {"PEPE": NOW_MS + 2000}


def test_state_stays_small() -> None:
    """A year of signals leaves three days of them."""
    state = Limits.fresh()
    for number in range(365):
        one = signal(id=state.next_id, coin=f"C{number}", decided_ms=NOW_MS + number * DAY_MS)
        state = after_signal(state, one, SETTINGS)
        state = after_outcome(state, one, outcome(reason=ExitReason.TIMEOUT, exit_ms=one.decided_ms + 1000), SETTINGS)
    assert len(state.signal_times_ms) == len(state.last_signal_ms) == 3
    assert len(state.last_exit_ms) <= 4


STEPS = st.lists(
    st.tuples(
        # small steps, hours, days, and the clock set back by any of them
        st.sampled_from([0, 1, 5000, 59_999, 60_000, 300_000, HOUR_MS, 7 * HOUR_MS, DAY_MS, 3 * DAY_MS, 30 * DAY_MS])
        | st.integers(0, 4 * DAY_MS),
        st.sampled_from([1, 1, 1, 1, -1]),
        st.sampled_from(["exit", "restart", ""]),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS, st.sampled_from(["UTC", "Europe/Rome", "America/Havana"]))
def test_no_sequence_breaks_the_limits(steps: list[tuple[int, int, str]], zone: str) -> None:
    """Whatever ticks, exits, restarts and clock jumps come, cooldown, burst and cap of the local day hold."""
    rules = ScoringSettings(timezone=zone, max_daily_trades=4)
    state, now_ms = Limits.fresh(), at("2026-10-24T18:00", "UTC")
    made: list[tuple[int, str]] = []
    for step_ms, direction, event in steps:
        now_ms += direction * step_ms
        times = dict.fromkeys(("price_ms", "book_ms", "trades_ms", "open_interest_ms", "funding_ms"), now_ms)
        decision = decide(now_ms, passing(3, now_ms=now_ms, **times), state, (), rules, (UPS,))
        state = decision.limits
        made += [(one.decided_ms, one.coin) for one in decision.signals]
        if event == "exit":
            state = after_outcome(state, signal(coin="C0"), outcome(-1.0, exit_ms=now_ms), rules)
        elif event == "restart":
            state = from_plain(Limits, orjson.loads(to_json(state)))
    check_kept(made, zone)


@settings(max_examples=20)
@given(STEPS, st.sampled_from(["UTC", "Europe/Rome"]))
def test_no_restart_breaks_the_limits(steps: list[tuple[int, int, str]], zone: str) -> None:
    """The same through the real database, where a bot may also die between its decision and the commit."""
    rules = ScoringSettings(timezone=zone, max_daily_trades=4)
    with TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder) / "sgnl.db", steps[:20], rules))
        with closing(sqlite3.connect(Path(folder) / "sgnl.db")) as database:
            made = list(database.execute("SELECT decided_ms, coin FROM signals ORDER BY id"))
    check_kept(made, zone)


async def live(path: Path, steps: list[tuple[int, int, str]], rules: ScoringSettings) -> None:
    """Tick, end signals and begin anew as the steps say."""
    now_ms = at("2026-10-24T18:00", "UTC")
    store = await Store.open(path)
    for step_ms, direction, event in steps:
        now_ms += direction * step_ms
        saved = await store.load()  # all that a bot goes on from
        open_names = {one.signal.coin for one in saved.open_signals}
        times = dict.fromkeys(("price_ms", "book_ms", "trades_ms", "open_interest_ms", "funding_ms"), now_ms)
        decision = decide(now_ms, passing(3, now_ms=now_ms, **times), saved.limits, open_names, rules, (UPS,))
        if event != "restart" or direction > 0:  # else it dies before the commit
            await store.remember(decision.signals, decision.limits, [])
        if event == "exit" and (followed := (await store.load()).open_signals):
            ended = outcome(-1.0, signal_id=followed[0].signal.id, exit_ms=now_ms)
            await store.record_outcome(ended, after_outcome(decision.limits, followed[0].signal, ended, rules), [])
        if event == "restart":
            await store.close()
            store = await Store.open(path)
    await store.close()


def check_kept(made: list[tuple[int, str]], zone: str) -> None:
    """Check the cooldown of each coin, the burst, and a cap of four a local day."""
    for coin in {coin for _, coin in made}:
        own = sorted(time_ms for time_ms, name in made if name == coin)
        assert all(later - earlier >= 60_000 for earlier, later in pairwise(own))
    times_ms = sorted(time_ms for time_ms, _ in made)
    assert times_ms == [time_ms for time_ms, _ in made]
    assert all(later - earlier >= 300_000 for earlier, later in zip(times_ms, times_ms[2:], strict=False))
    days = [datetime.fromtimestamp(time_ms / 1000, ZoneInfo(zone)).date() for time_ms in times_ms]
    assert all(days.count(day) <= 4 for day in days)


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
def test_shift_clock(step_ms: int) -> None:
    """At a step of the clock every time moves: what is left of each limit stays; what has no end has none after."""
    before = Limits(
        next_id=7,
        last_signal_ms={"A": NOW_MS - 30_000},
        last_exit_ms={"A": NOW_MS - 10_000},
        signal_times_ms=(NOW_MS - 40_000, NOW_MS - 30_000),
        stop_times_ms=(NOW_MS - 10_000,),
        guard_until_ms=NOW_MS + 50_000,
        paused_until_ms=FOREVER_MS,
        muted_coins={"A": NOW_MS + 60_000, "B": FOREVER_MS},
        muted_venues={"mexc": NOW_MS + 70_000},
    )
    after, now_ms = shift_clock(before, step_ms), NOW_MS + step_ms
    assert seconds_since_last(after, now_ms) == seconds_since_last(before, NOW_MS)
    assert signals_within(after, now_ms, 35) == signals_within(before, NOW_MS, 35) == 1
    for name in ("guard_until_ms", "paused_until_ms"):
        assert seconds_until(getattr(after, name), now_ms) == seconds_until(getattr(before, name), NOW_MS)
    assert after.muted_coins == {"A": now_ms + 60_000, "B": FOREVER_MS}
    assert after.muted_venues == {"mexc": now_ms + 70_000}
    assert shift_clock(after, -step_ms) == before
    assert shift_clock(Limits.fresh(), step_ms) == Limits.fresh()


def test_muting_for_an_hour_does_not_shorten_a_mute() -> None:
    """The button under an old alert is pressed on a coin that is muted until unmuted."""
    forever = mute_coin(Limits.fresh(), "PEPE", 0)
    assert mute_coin(forever, "PEPE", 0, 3_600_000).muted_coins == forever.muted_coins
