"""What was seen of an open signal is kept until it is judged, and candles stand in for what was not seen."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from features.facts.market import Candles
from fetchers.health import Condition
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason
from tests.bot.watched import NAN, Watched, at, bars
from tests.scoring.frames import ideal, signal

#: NOW_MS is 20 s into its minute
BEYOND = [
    (-20, 100, 100, 100, 100),
    (40, 100, 104, 100, 104),
    (100, 104, 104.5, 103.5, 104),
    (160, 104, 104, 99.9, 100),
    (220, 100, 100, 97, 97),
    (280, 97, 97, 97, 97),
]
CALM = [(-20 + 60 * minute, 100, 100.1, 99.9, 100) for minute in range(70)]


def _same(answer: Candles | None, _: int) -> Candles | None:
    return answer


def watched(**changed: object) -> Watched:
    """Return a SHORT from 100, its target at 98 and its stop at 101."""
    return Watched(signal(), **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bid", "ask"), [(101.3, 101.4), (101.4, 101.4), (101.41, 101.4), (NAN, NAN)])
async def test_prints_without_a_usable_quote(bid: float, ask: float) -> None:
    """A stop that was printed in a tick whose quotes are locked, crossed or missing is a stop."""
    one = watched()
    await one.tick(5, prints=[])
    outcome = await one.tick(10, bid, ask, [(8, 101.5)])
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, 101.5, 8)
    assert one.asked == []


async def test_prints_without_a_quote_are_watched() -> None:
    """While prints come without a hole nothing is missed, however long the quotes are locked."""
    one = watched()
    for after_s in range(5, 65, 5):
        await one.tick(after_s, NAN, NAN, [(after_s - 1, 100.0)])
    assert one.asked == []
    outcome = await one.tick(65, 97.9, 97.95, [])
    assert outcome is not None
    assert outcome.note == ""


@pytest.mark.parametrize("fails", [0, 1, 3])
async def test_candles_that_do_not_come_at_once(fails: int) -> None:
    """A blind time is settled once the candles come, and nothing is judged before; what was seen since is kept."""
    one = watched()
    await one.tick(5, prints=[])
    answers: list[Candles | None] = [None] * fails
    one.candles = lambda _: answers.pop() if answers else bars(BEYOND)
    outcome = await one.tick(305, prints=[], continues=False)
    after_s = 305.0
    while outcome is None:
        assert one.state.looked_ms == at(5)
        after_s += 5
        outcome = await one.tick(after_s, 97.0, 97.1, [])
        assert after_s < 400
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, 101, 100)
    assert len(one.asked) == fails + 1
    assert outcome.note == "settled from 1-minute candles after a time without data"


async def test_an_end_the_candles_show_is_not_put_off() -> None:
    """A stop in a minute that has ended needs no newest candle to be one."""
    one = watched()
    await one.tick(5, prints=[])
    one.candles = lambda _: bars(BEYOND[1:4])
    outcome = await one.tick(305)
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, 101, 100)


async def test_asked_again_with_growing_pauses() -> None:
    """While candles fail they are asked for less and less often, at most once a minute after a while."""
    one = watched()
    await one.tick(5, prints=[])
    for after_s in range(305, 905, 5):
        await one.tick(after_s, prints=[], continues=False)
    assert len(one.asked) == pytest.approx(600 / 60 + 4, abs=2)
    assert one.state.looked_ms == at(5)


async def test_what_was_seen_meanwhile_is_judged_in_its_order() -> None:
    """A target reached while the candles failed counts, at its time, if the candles show nothing before it."""
    one = watched()
    await one.tick(5, prints=[])
    await one.tick(65, prints=[(64, 100.0)], continues=False)
    await one.tick(70, 97.8, 97.9, [(68, 97.5)])
    await one.tick(75, 101.5, 101.6, [(73, 101.5)])
    one.candles = lambda _: bars([(-20, 100, 100, 100, 100), (40, 100, 100.5, 99, 100), (100, 101, 101, 101, 101)])
    outcome = await one.tick(135, 101.5, 101.6, [])
    assert outcome is not None
    assert (outcome.reason, outcome.held_s) == (ExitReason.TAKE_PROFIT, 68)


async def test_prints_that_do_not_continue() -> None:
    """The time from the last known print to the first of the reply is settled from candles, whatever quotes came."""
    one = watched()
    await one.tick(65, prints=[(64, 99.95)])
    await one.tick(70)
    await one.tick(75)
    one.candles = lambda _: bars([(40, 100, 101.2, 99.9, 100)])
    outcome = await one.tick(80, prints=[(77, 99.95)], continues=False)
    assert outcome is not None
    assert one.asked == [at(65)]
    assert (outcome.reason, outcome.fill) == (ExitReason.STOP_LOSS, 101)
    assert outcome.note == "settled from 1-minute candles after a gap in the prints"


async def test_prints_that_overlap_leave_no_gap() -> None:
    """A first reply after a restart that reaches back to the last look has shown everything."""
    one = watched()
    await one.tick(5, prints=[])
    one.new_run(one.state, started_ms=at(30))
    outcome = await one.tick(60, prints=[(-3, 105.0), (20, 101.5), (55, 99.9)], continues=False)
    assert outcome is not None
    assert (outcome.reason, outcome.held_s, outcome.note) == (ExitReason.STOP_LOSS, 20, "")
    assert one.asked == []


async def test_prints_that_fail() -> None:
    """While only quotes come, candles are asked for beside them, and their failure does not hold up the quotes."""
    one = watched()
    await one.tick(5, prints=[])
    for after_s in range(10, 60, 5):
        await one.tick(after_s)
    assert one.asked
    assert one.state.looked_ms == at(55)
    one.candles = lambda _: bars([(-20, 100, 100.1, 99.9, 100), (40, 100, 101.3, 99.9, 100)])
    outcome = None
    for after_s in range(60, 125, 5):
        outcome = outcome or await one.tick(after_s)
    assert outcome is not None
    assert (outcome.reason, outcome.note) == (
        ExitReason.STOP_LOSS,
        "settled from 1-minute candles after a time without prints",
    )


@pytest.mark.parametrize(("bid", "ask", "reason"), [(97.8, 97.9, "take_profit"), (101.1, 101.2, "stop_loss")])
async def test_an_end_while_prints_fail(bid: float, ask: float, reason: str) -> None:
    """What was printed meanwhile nobody can tell: an exit by the quotes alone says so, unless candles came."""
    calm = bars([(-20, 100, 100.1, 99.9, 100)])
    for candles, note in ((None, "unknown until 22:14"), (calm, "")):
        one = watched()
        await one.tick(5, prints=[])
        one.candles = partial(_same, candles)
        for after_s in (10, 15, 20, 25):
            assert await one.tick(after_s) is None
        outcome = await one.tick(30, bid, ask)
        assert outcome is not None
        assert (outcome.reason, outcome.note) == (reason, note)


async def test_candles_that_never_come() -> None:
    """They are asked for until two minutes after the time-out; then the outcome is not known."""
    one = watched()
    await one.tick(5, prints=[])
    for after_s in range(305, 3720, 5):
        assert await one.tick(after_s, prints=[], continues=after_s > 305) is None
    outcome = await one.tick(3720, prints=[])
    assert outcome is not None
    assert (outcome.reason, outcome.ideal) == (ExitReason.NOT_KNOWN, None)
    assert outcome.note == "no candles came after a time without data"


@pytest.mark.parametrize("is_blind", [True, False])
async def test_a_call_in_vain_after_the_timeout(is_blind: bool) -> None:
    """It is repeated too: the patience with a venue begins with its first answer in vain, not while it was away."""
    one = watched()
    await one.tick(5, prints=[])
    if is_blind:
        one.conditions["bybit"] = Condition.BLIND
        for after_s in range(60, 7200, 60):
            assert await one.tick(after_s, NAN, NAN) is None
        one.conditions["bybit"] = Condition.OK
    else:
        one.new_run(one.state, started_ms=at(7199))
    assert await one.tick(7200, prints=[], continues=False) is None
    one.candles = lambda _: bars([*CALM[:10], (580, 100, 100, 97.5, 98), *CALM[11:]])
    outcome = None
    for after_s in range(7205, 7320, 5):
        outcome = outcome or await one.tick(after_s, prints=[])
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TAKE_PROFIT, 98, 640)


async def test_long_refresh_interval() -> None:
    """With a tick every 15 s a look is no gap: no candle of the decision's minute stops anything out."""
    one = watched(settings=ScoringSettings(refresh_interval_s=15))
    one.candles = lambda _: bars([(-20, 101.3, 101.3, 99.9, 100)])
    await one.tick(15.02)
    assert (one.asked, one.state.looked_ms) == ([], at(15.02))


@pytest.mark.parametrize("is_listed", [True, False])
async def test_pair_without_quotes(is_listed: bool) -> None:
    """It does not stay open for ever: its time-out comes from the candles up to the last print, or is not known."""
    one = watched()
    await one.tick(5, prints=[])
    outcome = None
    for after_s in range(60, 3600 + 300, 60):
        outcome = outcome or await one.tick(after_s, NAN, NAN, is_listed=is_listed)
    assert outcome is not None
    assert (outcome.reason, outcome.ideal, outcome.held_s) == (ExitReason.NOT_KNOWN, None, 3600)

    one = watched()
    await one.tick(5, prints=[])
    one.candles = lambda since_ms: bars([bar for bar in CALM[:20] if at(bar[0] + 60) > since_ms] or CALM[19:20])
    outcome = None
    for after_s in range(60, 3600 + 300, 60):
        outcome = outcome or await one.tick(after_s, NAN, NAN, is_listed=is_listed)
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TIMEOUT, 100, 3600)
    assert outcome.note.startswith("settled from 1-minute candles")
    assert len(one.asked) < 70


async def test_blind_venue_is_waited_for() -> None:
    """Where the venue itself is away its candles settle the signal once it is back, be it hours later."""
    one = watched()
    await one.tick(5, prints=[])
    one.conditions["bybit"] = Condition.BLIND
    for after_s in range(60, 4 * 3600, 60):
        assert await one.tick(after_s, NAN, NAN) is None
    one.conditions["bybit"] = Condition.OK
    one.candles = lambda _: bars([*CALM[:10], (580, 100, 100, 97.5, 98), *CALM[11:]])
    outcome = await one.tick(4 * 3600, 103, 103.1, [], continues=False)
    outcome = outcome or await one.tick(4 * 3600 + 60, 103, 103.1, [])
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TAKE_PROFIT, 98, 640)


async def test_no_candles_where_there_are_no_prints() -> None:
    """A venue without either is not asked: the next quote settles it, and the exit says that only quotes were seen."""
    one = watched()
    await one.tick(5, publishes_trades=False)
    outcome = await one.tick(600, 97.5, 97.6, publishes_trades=False)
    assert outcome is not None
    assert one.asked == []
    assert outcome.reason is ExitReason.TAKE_PROFIT
    assert outcome.note == "settled from the first quote after a time without data; only quotes were seen"


async def test_near_misses_ask_nobody() -> None:
    """What is followed without asking is judged by the next quote, and given up as not known at its time-out."""
    one = watched(asks=False)
    await one.tick(5)
    await one.tick(500, prints=[(499, 99.9)], continues=False)
    assert one.state.unknown_until_ms == at(500)
    outcome = await one.tick(510, prints=[(505, 98.0), (509, 97.9)])
    assert outcome is not None
    assert (outcome.reason, outcome.held_s) == (ExitReason.TAKE_PROFIT, 509)
    assert outcome.note == "unknown until 22:22; at times only quotes were seen"

    one = watched(asks=False)
    await one.tick(5)
    await one.tick(600, prints=[(599, 99.9)], continues=False)
    for after_s in (1200, 2400, 3600):
        assert await one.tick(after_s, NAN, NAN, is_listed=False) is None
    outcome = await one.tick(3660, NAN, NAN, is_listed=False)
    assert outcome is not None
    assert (outcome.reason, one.asked) == (ExitReason.NOT_KNOWN, [])


async def test_venue_that_was_taken_out() -> None:
    """A signal of a venue that is no longer among EXCHANGES has no result, and is no delisting."""
    one = watched()
    await one.tick(20, 98.3, 98.4, [])
    one.conditions = {"binance": Condition.OK}
    outcome = await one.tick(60, is_listed=False)
    assert outcome is not None
    assert (outcome.reason, outcome.ideal, one.asked) == (ExitReason.NO_LONGER_WATCHED, None, [])


async def test_delisted_pair() -> None:
    """It is settled from candles up to its last print, or has no result; while quotes come it is none."""
    for candles, fill in ((None, math.nan), (bars([*CALM[:2], (100, 100, 100.1, 99.4, 99.5)]), 99.5)):
        one = watched()
        one.universe = replace(one.universe, delisted=frozenset({("bybit", "PEPEUSDT")}))
        assert await one.tick(20, prints=[]) is None
        one.candles = partial(_same, candles)
        outcome = None
        for after_s in range(130, 400, 10):
            outcome = outcome or await one.tick(after_s, NAN, NAN, is_listed=False)
        assert outcome is not None
        assert outcome.reason is ExitReason.DELISTED
        assert outcome.fill == pytest.approx(fill, nan_ok=True)


async def test_delisted_pair_whose_candles_fail_once() -> None:
    """The call is repeated, as any other."""
    one = watched()
    one.universe = replace(one.universe, delisted=frozenset({("bybit", "PEPEUSDT")}))
    await one.tick(20, prints=[])
    assert await one.tick(130, NAN, NAN, is_listed=False) is None
    one.candles = lambda _: bars([*CALM[:2], (100, 100, 101.1, 99.4, 99.5)])
    outcome = await one.tick(140, NAN, NAN, is_listed=False)
    assert outcome is not None
    assert (outcome.reason, outcome.fill) == (ExitReason.STOP_LOSS, 101)


async def test_a_delisting_that_is_announced() -> None:
    """A pair that trades on is followed on, also through a tick whose quotes are locked."""
    one = watched()
    one.universe = replace(one.universe, delisted=frozenset({("bybit", "PEPEUSDT")}))
    await one.tick(5, prints=[])
    assert await one.tick(10, 100.0, 100.0, []) is None
    outcome = await one.tick(15, 97.5, 97.6, [])
    assert outcome is not None
    assert outcome.reason is ExitReason.TAKE_PROFIT


async def test_settlement_while_the_list_lacked_the_pair() -> None:
    """What settles while nothing of the pair is known is charged once it is known again, once."""
    one = watched()
    funding: dict[str, Any] = {"funding_rate": -0.01, "funding_interval_h": 1.0, "next_funding_ms": at(0) + 130_000}
    await one.tick(5, prints=[], **funding)
    for after_s in range(10, 300, 5):
        await one.tick(after_s, NAN, NAN, is_listed=False)
    one.candles = lambda _: bars(CALM[:10])
    outcome = await one.tick(310, prints=[], continues=False, **funding)
    for after_s in range(315, 400, 5):
        outcome = outcome or await one.tick(after_s, 97.5, 97.6, [], **funding)
    assert ideal(outcome).net_percent == pytest.approx(0.9)


async def test_candles_in_pages() -> None:
    """A venue that gives less than was missed is asked on from where its answer ends."""
    one = watched(settings=ScoringSettings(signal_timeout_s=86_400))
    await one.tick(5, prints=[])
    rows = [(-20 + 60 * minute, 100, 100.1 if minute < 1300 else 101.0, 99.9, 100) for minute in range(1400)]
    one.candles = lambda since_ms: bars([row for row in rows if at(row[0] + 60) > since_ms][:500])
    outcome = await one.tick(1390 * 60, prints=[], continues=False)
    assert outcome is not None
    assert len(one.asked) == 3
    assert (outcome.reason, outcome.held_s) == (ExitReason.STOP_LOSS, -20 + 1301 * 60)


async def test_newest_candle_is_waited_for() -> None:
    """Candles without the newest minute are asked for again; a minute later it is taken that nobody traded in it."""
    one = watched()
    await one.tick(5, prints=[])
    one.candles = lambda _: bars(CALM[:3])
    await one.tick(305, prints=[], continues=False)
    assert one.state.looked_ms == at(5)
    for after_s in range(310, 420, 5):
        await one.tick(after_s, prints=[])
    assert one.state.looked_ms == at(415)
    assert one.state.unknown_until_ms >= at(305)


async def test_pauses_begin_anew() -> None:
    """A gap that was settled without its newest minute leaves the next one its own first call and its own patience."""
    one = watched()
    await one.tick(5, prints=[])
    one.candles = lambda _: bars(CALM[:3])
    for after_s in range(305, 385, 5):
        await one.tick(after_s, prints=[], continues=after_s > 305)
    assert one.state.looked_ms == at(380)
    one.asked.clear()
    one.candles = lambda _: bars(CALM[5:8])
    await one.tick(500, prints=[], continues=False)
    assert len(one.asked) == 1
    assert one.state.looked_ms == at(380), "the newest minute is waited for again"


async def test_after_the_gap_is_not_in_the_gap() -> None:
    """A stop printed after the gap, in the minute in which it ends, is one at its print, however late candles come."""
    one = watched()
    await one.tick(41, prints=[(41, 100.0)])
    await one.tick(46, prints=[(44, 100.0)], continues=False)
    await one.tick(51, prints=[(50, 101.4)])
    one.candles = lambda _: bars([(40, 100, 101.4, 99.9, 100), (100, 100, 100.1, 99.9, 100)])
    outcome = await one.tick(101, prints=[])
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, 101.4, 50)


async def test_funding_of_what_waits() -> None:
    """A rate seen while quotes are missing and candles fail is the one that is charged, also after a restart."""
    named: dict[str, Any] = {"funding_interval_h": 1.0, "next_funding_ms": at(66)}
    for restarts in (False, True):
        one = watched()
        await one.tick(5, prints=[], funding_rate=0.0, **named)
        await one.tick(55, NAN, NAN, funding_rate=-0.01, **named)
        await one.tick(65, NAN, NAN, funding_rate=-0.01, **named)
        await one.tick(70, NAN, NAN, funding_rate=0.0, **named)
        assert one.state.looked_ms == at(5)
        if restarts:
            one.new_run(one.state, started_ms=at(71))
        one.candles = lambda _: bars(CALM[:2])
        await one.tick(99, prints=[], continues=False, funding_rate=0.0, **named)
        outcome = await one.tick(101, 97.8, 97.9, [(100, 97.5)], funding_rate=0.0, **named)
        assert outcome is not None
        assert outcome.ideal is not None
        assert outcome.ideal.net_percent == pytest.approx(2 - 0.1 - 1)


async def test_not_stored_not_lost() -> None:
    """A signal whose end could not be stored ends alike at the next tick."""
    one = watched()
    await one.tick(5, prints=[])
    before = one.state
    first = await one.tick(10, prints=[(8, 101.5)])
    assert first is not None

    again = watched(keeps=True)
    await again.tick(5, prints=[])
    assert await again.tick(10, prints=[(8, 101.5)]) == first
    assert again.state == before
    assert await again.tick(15, prints=[]) == first


@pytest.mark.parametrize("step_s", [-3600, -20, 20, 3600])
async def test_clock_that_is_set(step_s: float) -> None:
    """What waits for its judgement moves with the clock: the same fill, held as long, no gap out of nothing."""
    one = watched()
    await one.tick(5, prints=[])
    await one.tick(65, prints=[(64, 100.0)], continues=False)
    one.following.shift_clock(round(1000 * step_s))
    one.candles = lambda _: bars([(step_s + row[0], *row[1:]) for row in CALM[:3]])
    outcome = await one.tick(step_s + 75, 100.9, 100.95, [(step_s + 73, 101.5)])
    assert outcome is not None
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, 101.5, 73)
    assert len(one.asked) == 2
