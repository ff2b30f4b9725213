"""Every rule of an exit against scripted prices, with fills, fees, MAE and MFE worked out by hand.

The scripts are written for a SHORT from 100, its target at 98 and its stop at 101; for a LONG they are mirrored at 100.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from features.market import Candles, read_only
from scoring.exits import Look, follow, start, start_near_miss
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, NearMiss, OpenSignal, Outcome, Side
from tests.builders import NOW_MS
from tests.scoring.frames import NAN, SETTINGS, levels, signal

SIDES = pytest.mark.parametrize("side", list(Side))
TRAILING = ScoringSettings(trailing_enabled=True)
#: what both fees cost
FEES = 0.1
MINUTE_MS = 60_000

Prints = Sequence[tuple[float, float]]  #: (seconds after the decision, price)
Bars = Sequence[tuple[float, float, float, float, float]]  #: (seconds after the decision, open, high, low, close)


def mirrored(side: Side, price: float) -> float:
    """Return the price, for a LONG as far on the other side of 100."""
    return price if side is Side.SHORT else 200 - price


def look(
    side: Side, after_s: float, prints: Prints = (), bid: float = 99.9, ask: float = 100.0, **changed: Any
) -> Look:
    """Return a look so many seconds after the decision, mirrored for a LONG."""
    now_ms = NOW_MS + round(1000 * after_s)
    record: dict[str, Any] = {"now_ms": now_ms, "best_bid": bid, "best_ask": ask, "book_ms": now_ms} | changed
    if side is Side.LONG:
        record |= {"best_bid": 200 - ask, "best_ask": 200 - bid}
        record |= {name: -record[name] for name in ("btc_return", "funding_rate") if name in record}
        record |= {"ask_share": 1 - record["ask_share"]} if "ask_share" in record else {}
    return Look(
        trade_time_ms=read_only([NOW_MS + round(1000 * time_s) for time_s, _ in prints], np.int64),
        trade_price=read_only([mirrored(side, price) for _, price in prints], np.float64),
        **record,
    )


def candles(side: Side, bars: Bars) -> Candles:
    """Return 1-minute candles, mirrored for a LONG."""
    times, opens, highs, lows, closes = zip(*bars, strict=True)
    if side is Side.LONG:
        opens, highs, lows, closes = (tuple(200 - price for price in one) for one in (opens, lows, highs, closes))
    return Candles(
        venue="bybit",
        id="PEPEUSDT",
        open_ms=read_only([NOW_MS + round(1000 * time_s) for time_s in times], np.int64),
        open=read_only(list(opens), np.float64),
        high=read_only(list(highs), np.float64),
        low=read_only(list(lows), np.float64),
        close=read_only(list(closes), np.float64),
        received_ms=NOW_MS,
    )


def followed(side: Side, *looks: Look, settings: ScoringSettings = SETTINGS) -> OpenSignal | Outcome:
    """Return what becomes of a fresh signal after `looks`, which it has to outlive but for the last."""
    state: OpenSignal | Outcome = start(signal(side))
    for one in looks:
        assert isinstance(state, OpenSignal)
        state = follow(state, one, settings)
    return state


def ended(side: Side, *looks: Look, settings: ScoringSettings = SETTINGS) -> Outcome:
    """Return the outcome that the last of `looks` brings."""
    outcome = followed(side, *looks, settings=settings)
    assert isinstance(outcome, Outcome)
    return outcome


def still_open(side: Side, *looks: Look, settings: ScoringSettings = SETTINGS) -> OpenSignal:
    """Return the signal that outlives `looks`."""
    state = followed(side, *looks, settings=settings)
    assert isinstance(state, OpenSignal)
    return state


@SIDES
def test_nothing_happens(side: Side) -> None:
    """Inside the levels the signal stays open, remembers its extremes and how far it has been judged."""
    state = still_open(side, look(side, 5, [(1, 100.5), (2, 99.2)], bid=99.5, ask=99.6))
    assert state.looked_ms == NOW_MS + 5000
    assert state.worst_price == mirrored(side, 100.5)
    assert state.best_price == mirrored(side, 99.2)


@SIDES
def test_take_profit_by_a_print(side: Side) -> None:
    """A print beyond the target fills at the target: 2 % gross, 1.9 net, 1.9 R; the print itself is not ours."""
    outcome = ended(side, look(side, 5, [(1, 100.4), (2.5, 97.5), (3, 95.0)], bid=97.4, ask=97.6))
    assert (outcome.reason, outcome.fill) == (ExitReason.TAKE_PROFIT, mirrored(side, 98))
    assert outcome.exit_ms == NOW_MS + 2500
    assert outcome.held_s == 2.5
    assert outcome.ideal.gross_percent == pytest.approx(2.0)
    assert outcome.ideal.net_percent == pytest.approx(1.9)
    assert outcome.ideal.r == pytest.approx(1.9)
    assert outcome.mae_percent == pytest.approx(0.4)
    assert outcome.mfe_percent == pytest.approx(2.0)
    assert not outcome.is_ambiguous
    assert outcome.note == ""


@SIDES
def test_take_profit_needs_more_than_a_touch(side: Side) -> None:
    """A print at the target may have been somebody else's; a quote at it is there to be taken."""
    still_open(side, look(side, 5, [(1, 98.0)], bid=98.0, ask=98.1))
    outcome = ended(side, look(side, 5, bid=97.9, ask=98.0))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TAKE_PROFIT, mirrored(side, 98), 5.0)


@SIDES
@pytest.mark.parametrize(("ask", "fill"), [(100.9, 101.0), (101.3, 101.3), (NAN, 101.0)])
def test_stop_by_a_print(side: Side, ask: float, fill: float) -> None:
    """A print at the stop fills at the worse of the stop and the exit side's quote then seen."""
    outcome = ended(side, look(side, 5, [(1, 99.5), (2, 101.0), (3, 102.0)], bid=100.8, ask=ask))
    assert (outcome.reason, outcome.fill) == (ExitReason.STOP_LOSS, mirrored(side, fill))
    assert outcome.exit_ms == NOW_MS + 2000
    assert outcome.ideal.gross_percent == pytest.approx(100 - fill)
    assert outcome.ideal.r == pytest.approx(100 - fill - FEES)
    assert outcome.mae_percent == pytest.approx(fill - 100)
    assert outcome.mfe_percent == pytest.approx(0.5)


@SIDES
def test_stop_by_the_quote(side: Side) -> None:
    """The entry side's quote at the stop is the stop, at the time of the look."""
    outcome = ended(side, look(side, 5, bid=101.0, ask=101.1))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, mirrored(side, 101.1), 5.0)
    still_open(side, look(side, 5, bid=100.9, ask=101.5))


@SIDES
def test_stop_and_target_in_one_interval(side: Side) -> None:
    """When both were hit since the last look the stop counts, whichever came first, and it is marked."""
    outcome = ended(side, look(side, 5, [(1, 97.0), (2, 101.0)], bid=99.0, ask=99.1))
    assert (outcome.reason, outcome.fill) == (ExitReason.STOP_LOSS, mirrored(side, 101))
    assert outcome.is_ambiguous
    by_quote = ended(side, look(side, 5, [(1, 101.0)], bid=97.5, ask=97.6))
    assert (by_quote.reason, by_quote.is_ambiguous) == (ExitReason.STOP_LOSS, True)


@SIDES
def test_prints_from_before_the_decision(side: Side) -> None:
    """A print up to the decision is not ours to be stopped by."""
    still_open(side, look(side, 5, [(-3, 101.5), (0, 97.0)]))


@SIDES
def test_trailing(side: Side) -> None:
    """Armed 0.8 % in profit, it leaves 0.4 % off the best of 98.5, at the quote; here 1.05 % gross, 0.95 R."""
    first = look(side, 5, [(1, 99.2)], bid=99.2, ask=99.3)
    armed = still_open(side, first, settings=TRAILING)
    assert armed.is_trailing_armed
    second = look(side, 10, [(6, 98.5)], bid=98.6, ask=98.7)
    outcome = ended(side, first, second, look(side, 15, [(11, 98.894)], bid=98.9, ask=98.95), settings=TRAILING)
    assert (outcome.reason, outcome.fill) == (ExitReason.TRAILING, mirrored(side, 98.95))
    assert outcome.ideal.gross_percent == pytest.approx(1.05)
    assert outcome.ideal.r == pytest.approx(0.95)
    assert outcome.mfe_percent == pytest.approx(1.5)


@SIDES
def test_trailing_within_one_interval(side: Side) -> None:
    """The prints of one interval are taken in their order: up first and down later is no trail."""
    still_open(side, look(side, 5, [(1, 99.5), (2, 98.5)], bid=98.5, ask=98.6), settings=TRAILING)
    outcome = ended(side, look(side, 5, [(1, 98.5), (2, 99.5)], bid=99.4, ask=99.5), settings=TRAILING)
    assert (outcome.reason, outcome.fill) == (ExitReason.TRAILING, mirrored(side, 99.5))


@SIDES
def test_trailing_not_armed(side: Side) -> None:
    """Short of its activation, and when it is off, nothing trails."""
    prints = [(1, 99.21), (2, 100.0)]
    assert not still_open(side, look(side, 5, prints), settings=TRAILING).is_trailing_armed
    still_open(side, look(side, 5, [(1, 98.5), (2, 99.5)], bid=99.4, ask=99.5))


@SIDES
@pytest.mark.parametrize(("btc_return", "leaves"), [(0.005, True), (0.00499, False), (-0.02, False), (NAN, False)])
def test_btc_pump(side: Side, btc_return: float, leaves: bool) -> None:
    """Bitcoin moving half a percent against the signal ends it at the quote."""
    one = look(side, 5, bid=100.1, ask=100.2, btc_return=btc_return)
    if not leaves:
        still_open(side, one)
        return
    outcome = ended(side, one)
    assert (outcome.reason, outcome.fill) == (ExitReason.BTC_PUMP, mirrored(side, 100.2))
    assert outcome.ideal.net_percent == pytest.approx(-0.3)


@SIDES
def test_liquidity_flip(side: Side) -> None:
    """Two fresh books running on the wrong side end it; one, or the same one twice, does not."""
    flipped = [look(side, after_s, ask_share=0.35) for after_s in (5, 10)]
    outcome = ended(side, *flipped)
    assert (outcome.reason, outcome.fill) == (ExitReason.LIQUIDITY_FLIP, mirrored(side, 100.0))
    between = look(side, 7, ask_share=0.36)
    assert still_open(side, flipped[0], between, flipped[1]).flips_running == 1
    same = look(side, 10, ask_share=0.35, book_ms=NOW_MS + 5000)
    assert still_open(side, flipped[0], same).flips_running == 1
    stale = look(side, 30, ask_share=0.35, book_ms=NOW_MS + 14_999)
    assert still_open(side, flipped[0], stale).flips_running == 1
    assert still_open(side, flipped[0], look(side, 10)).flips_running == 1


@SIDES
def test_timeout(side: Side) -> None:
    """An hour after the decision it ends at the quote."""
    still_open(side, look(side, 3599.9))
    outcome = ended(side, look(side, 3600, bid=99.2, ask=99.3))
    assert (outcome.reason, outcome.fill) == (ExitReason.TIMEOUT, mirrored(side, 99.3))
    assert outcome.held_s == 3600
    assert outcome.ideal.gross_percent == pytest.approx(0.7)


@SIDES
def test_no_quote_no_exit(side: Side) -> None:
    """What fills at the quote waits for one."""
    waiting = look(side, 3600, bid=NAN, ask=NAN, btc_return=0.01)
    outcome = ended(side, waiting, look(side, 3605, bid=99.2, ask=99.3))
    assert (outcome.reason, outcome.held_s) == (ExitReason.TIMEOUT, 3605)


@SIDES
def test_stop_goes_before_everything(side: Side) -> None:
    """With a stop and every other reason at once it is a stop."""
    one = look(side, 3600, [(3599, 101.0)], bid=101.0, ask=101.2, btc_return=0.01, is_delisted=True)
    assert ended(side, one).reason is ExitReason.STOP_LOSS


@SIDES
def test_delisting(side: Side) -> None:
    """A delisted pair ends at its last quote, and without one at the worst price seen, which is said."""
    outcome = ended(side, look(side, 5, bid=99.4, ask=99.5, is_delisted=True))
    assert (outcome.reason, outcome.fill, outcome.note) == (ExitReason.DELISTED, mirrored(side, 99.5), "")
    gone = ended(side, look(side, 5, [(1, 100.6)]), look(side, 10, bid=NAN, ask=NAN, is_delisted=True))
    assert gone.fill == mirrored(side, 100.6)
    assert gone.note == "delisted without a quote: filled at the worst price seen"


@SIDES
def test_funding(side: Side) -> None:
    """Settlements up to the exit are paid, those after it are not: 1.9 less 0.03 for a rate that goes against us."""
    settled: dict[str, Any] = {"funding_rate": -0.0003, "funding_times_ms": (NOW_MS + 3000,)}
    state = still_open(side, look(side, 5, **settled))
    assert state.funding_paid_percent == pytest.approx(0.03)
    outcome = ended(side, look(side, 5, **settled), look(side, 10, [(6, 97.9)]))
    assert outcome.ideal.net_percent == pytest.approx(1.87)
    before = ended(side, look(side, 5, [(2, 97.9)], **settled))
    assert before.ideal.net_percent == pytest.approx(1.9)


@SIDES
def test_funding_unknown(side: Side) -> None:
    """A settlement at an unknown rate is said, not guessed."""
    outcome = ended(side, look(side, 5, [(4, 97.9)], funding_times_ms=(NOW_MS + 3000,)))
    assert outcome.ideal.net_percent == pytest.approx(1.9)
    assert outcome.note == "funding unknown"


@SIDES
def test_reachable_price(side: Side) -> None:
    """A person enters at the first quote 15 s on: from 99.5 the target is 1.5075 % away at a risk of 1.5075 %."""
    early, reach = look(side, 14.9, bid=99.7, ask=99.8), look(side, 16, bid=99.5, ask=99.6)
    outcome = ended(side, early, reach, look(side, 21, bid=99.0, ask=99.1), look(side, 26, [(25, 97.9)]))
    assert outcome.reachable is not None
    assert outcome.reachable.entry == mirrored(side, 99.5)
    entry = mirrored(side, 99.5)
    assert outcome.reachable.gross_percent == pytest.approx(100 * 1.5 / entry)
    assert outcome.reachable.r == pytest.approx((100 * 1.5 / entry - FEES) / (100 * 1.5 / entry))
    assert outcome.ideal.r == pytest.approx(1.9)


@SIDES
def test_nobody_could_enter(side: Side) -> None:
    """What ended before its first quote 15 s on was reached by nobody, though the quote comes with the end."""
    assert ended(side, look(side, 5, [(4, 97.9)])).reachable is None
    assert ended(side, look(side, 16, [(15.5, 97.9)])).reachable is None
    assert ended(side, look(side, 16, bid=NAN, ask=NAN), look(side, 21, [(20, 97.9)])).reachable is None


# NOW_MS is 20 s into its minute: the candles of a gap begin at -20, 40, 100 and so on


@SIDES
def test_gap_settled_from_candles(side: Side) -> None:
    """A restart: the second minute after the last look held the target, at the end of that minute."""
    bars = [
        (-20, 100, 100.2, 99.8, 100),
        (40, 99.9, 100.6, 99.0, 99.5),
        (100, 99.5, 99.7, 97.5, 98.2),
        (160, 98, 101.5, 98, 101),
    ]
    outcome = ended(side, look(side, 200, bid=101, ask=101.1, gap="a restart", candles=candles(side, bars)))
    assert (outcome.reason, outcome.fill) == (ExitReason.TAKE_PROFIT, mirrored(side, 98))
    assert outcome.held_s == 160
    assert outcome.mae_percent == pytest.approx(0.6)
    assert outcome.mfe_percent == pytest.approx(2.0)
    assert outcome.note == "settled from 1-minute candles after a restart"
    assert not outcome.is_ambiguous
    # a person could have entered as the first minute after the 15 s opened
    assert outcome.reachable is not None
    assert outcome.reachable.entry == mirrored(side, 99.9)


@SIDES
def test_both_in_one_candle(side: Side) -> None:
    """Stop and target in one minute: the stop, marked, at the worse of the stop and the minute's open."""
    bars = [(40, 99.5, 101.2, 97.0, 99)]
    outcome = ended(side, look(side, 105, gap="a restart", candles=candles(side, bars)))
    assert (outcome.reason, outcome.fill, outcome.is_ambiguous) == (ExitReason.STOP_LOSS, mirrored(side, 101), True)
    gapped = ended(side, look(side, 105, gap="a restart", candles=candles(side, [(40, 101.7, 102, 101, 101.5)])))
    assert (gapped.fill, gapped.is_ambiguous) == (mirrored(side, 101.7), False)


@SIDES
def test_minute_of_the_decision(side: Side) -> None:
    """Of the minute of the decision the best price may be from before: only its close speaks for the signal."""
    still_open(side, look(side, 45, gap="a restart", candles=candles(side, [(-20, 100, 100.5, 97, 99)])))
    won = ended(side, look(side, 45, gap="a restart", candles=candles(side, [(-20, 100, 100.5, 97, 97.5)])))
    assert won.reason is ExitReason.TAKE_PROFIT
    lost = ended(side, look(side, 45, gap="a restart", candles=candles(side, [(-20, 103, 103, 97, 99)])))
    assert (lost.reason, lost.fill, lost.is_ambiguous) == (ExitReason.STOP_LOSS, mirrored(side, 101), True)


@SIDES
def test_candles_judged_before(side: Side) -> None:
    """A minute that ended before the last look has been judged by what was seen in it."""
    bars = candles(side, [(-20, 100, 105, 90, 100), (40, 100, 100.1, 99.9, 100)])
    state = still_open(side, look(side, 50), look(side, 105, gap="a restart", candles=bars))
    assert state.looked_ms == NOW_MS + 105_000


@SIDES
def test_candles_then_quote(side: Side) -> None:
    """Where the candles hold no exit the quote after them is judged, and the gap is said."""
    bars = candles(side, [(40, 100, 100.1, 99.9, 100)])
    outcome = ended(side, look(side, 105, bid=101.2, ask=101.3, gap="a restart", candles=bars))
    assert (outcome.reason, outcome.fill) == (ExitReason.STOP_LOSS, mirrored(side, 101.3))
    assert outcome.note == "settled from the first quote after a restart"


@SIDES
def test_gap_without_candles(side: Side) -> None:
    """Where the venue has no candles the next quote settles it, and says so."""
    outcome = ended(side, look(side, 900, bid=97.5, ask=97.6, gap="LBank was blind"))
    assert (outcome.reason, outcome.note) == (
        ExitReason.TAKE_PROFIT,
        "settled from the first quote after LBank was blind",
    )
    assert outcome.reachable is None


@SIDES
def test_timeout_in_a_gap(side: Side) -> None:
    """A gap beyond the timeout ends the signal as the first minute after it opens."""
    bars = [(3580, 99.5, 99.6, 99.4, 99.5), (3640, 99.3, 105, 90, 99)]
    outcome = ended(side, look(side, 7200, gap="a restart", candles=candles(side, bars)))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TIMEOUT, mirrored(side, 99.3), 3640)


@SIDES
def test_trailing_in_a_gap(side: Side) -> None:
    """What was armed before a gap trails through its minutes: 0.4 % off 98.5 is 98.894."""
    armed = look(side, 5, [(1, 98.5)], bid=98.5, ask=98.6)
    bars = candles(side, [(40, 98.6, 99.0, 98.55, 98.8)])
    outcome = ended(side, armed, look(side, 105, gap="a restart", candles=bars), settings=TRAILING)
    assert outcome.reason is ExitReason.TRAILING
    assert outcome.fill == pytest.approx(mirrored(side, 98.5) * (1.004 if side is Side.SHORT else 0.996))


@SIDES
def test_funding_in_a_gap(side: Side) -> None:
    """A settlement after the minute of the exit is not paid."""
    settled: dict[str, Any] = {"funding_rate": -0.0003, "funding_times_ms": (NOW_MS + 90_000, NOW_MS + 900_000)}
    bars = candles(side, [(40, 99, 99, 98.5, 98.6), (100, 98.5, 98.6, 97, 97.5)])
    outcome = ended(side, look(side, 1000, gap="a restart", candles=bars, **settled))
    assert outcome.ideal.net_percent == pytest.approx(1.87)


@SIDES
def test_clock_set_back(side: Side) -> None:
    """A look at an earlier time than the last forgets nothing that has been judged."""
    state = still_open(side, look(side, 10), look(side, 4))
    assert state.looked_ms == NOW_MS + 10_000


def test_near_miss_is_followed_alike() -> None:
    """A near miss is followed like a signal, from its own levels; without levels there is nothing to follow."""
    miss = NearMiss(
        decided_ms=NOW_MS,
        venue="bybit",
        instrument_id="PEPEUSDT",
        coin="PEPE",
        score=70.0,
        entry=100.0,
        failed=("score",),
        levels=levels(),
    )
    state = start_near_miss(miss)
    assert state is not None
    outcome = follow(state, look(Side.SHORT, 5, [(1, 97.9)]), SETTINGS)
    assert isinstance(outcome, Outcome)
    assert outcome.signal_id == 0
    assert outcome.ideal.r == pytest.approx(1.9)
    bare = NearMiss(
        decided_ms=NOW_MS, venue="bybit", instrument_id="X", coin="X", score=70.0, entry=NAN, failed=("book", "score")
    )
    assert start_near_miss(bare) is None
