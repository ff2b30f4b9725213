"""Every rule of an exit against scripted prices, with fills, fees, MAE and MFE worked out by hand.

The scripts are written for a SHORT from 100, its target at 98 and its stop at 101; for a LONG they are mirrored at 100.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.facts.market import Candles, read_only
from scoring.exits import Look, follow, shift_clock, shift_look, start, start_near_miss
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, NearMiss, OpenSignal, Outcome, Side, Unreachable
from tests.builders import NOW_MS
from tests.scoring.frames import NAN, SETTINGS, ideal, levels, signal

SIDES = pytest.mark.parametrize("side", list(Side))
TRAILING = ScoringSettings(trailing_enabled=True)
#: what both fees cost
FEES = 0.1
BY_QUOTES = "only quotes were seen"
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


LAST = Look(now_ms=NOW_MS + 3_600_000, best_bid=99.9, best_ask=100.0, tape_ms=NOW_MS + 3_599_000)


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
    assert ideal(outcome).gross_percent == pytest.approx(2.0)
    assert ideal(outcome).net_percent == pytest.approx(1.9)
    assert ideal(outcome).r == pytest.approx(1.9)
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
    assert ideal(outcome).gross_percent == pytest.approx(100 - fill)
    assert ideal(outcome).r == pytest.approx(100 - fill - FEES)
    assert outcome.mae_percent == pytest.approx(fill - 100)
    assert outcome.mfe_percent == pytest.approx(0.5)


@SIDES
def test_stop_gapped_through(side: Side) -> None:
    """Nothing was traded between 100.5 and 103: a stop order is filled at the 103."""
    outcome = ended(side, look(side, 5, [(1, 100.5), (2, 103.0), (3, 100.6)], bid=100.6, ask=100.7))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, mirrored(side, 103), 2)
    assert ideal(outcome).r == pytest.approx(-3.1)
    unquoted = ended(side, look(side, 5, [(2, 101.5)], bid=NAN, ask=NAN))
    assert (unquoted.reason, unquoted.fill) == (ExitReason.STOP_LOSS, mirrored(side, 101.5))


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
    assert ideal(outcome).gross_percent == pytest.approx(1.05)
    assert ideal(outcome).r == pytest.approx(0.95)
    assert outcome.mfe_percent == pytest.approx(1.5)


@SIDES
def test_trailing_within_one_interval(side: Side) -> None:
    """The prints of one interval are taken in their order: up first and down later is no trail.

    The fill is the worst of the level, the print beyond it and the quote then seen.
    """
    still_open(side, look(side, 5, [(1, 99.5), (2, 98.5)], bid=98.5, ask=98.6), settings=TRAILING)
    outcome = ended(side, look(side, 5, [(1, 98.5), (2, 99.5)], bid=99.4, ask=99.5), settings=TRAILING)
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TRAILING, mirrored(side, 99.5), 2)
    back = look(side, 10, [(6, 98.95), (8, 98.2)], bid=98.1, ask=98.15)
    outcome = ended(side, look(side, 5, [(1, 98.5)], bid=98.6, ask=98.7), back, settings=TRAILING)
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TRAILING, mirrored(side, 98.95), 6)
    unquoted = look(side, 10, [(6, 98.95)], bid=NAN, ask=NAN)
    outcome = ended(side, look(side, 5, [(1, 98.5)], bid=98.6, ask=98.7), unquoted, settings=TRAILING)
    assert (outcome.reason, outcome.fill) == (ExitReason.TRAILING, mirrored(side, 98.95))


@SIDES
def test_trailing_and_late_prints(side: Side) -> None:
    """A print from before the last look may be older than the best price seen there: it trails only its own best."""
    armed = look(side, 10, bid=98.4, ask=98.5)
    state = still_open(side, armed, look(side, 15, [(3, 99.6)], bid=98.4, ask=98.5), settings=TRAILING)
    assert state.unknown_until_ms == NOW_MS + 10_000
    outcome = ended(side, armed, look(side, 15, [(2, 98.4), (3, 99.6)], bid=98.4, ask=98.5), settings=TRAILING)
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TRAILING, mirrored(side, 99.6), 3)
    calm = look(side, 15, [(3, 98.6)], bid=98.4, ask=98.5)
    assert still_open(side, armed, calm, settings=TRAILING).unknown_until_ms == 0


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
    assert ideal(outcome).net_percent == pytest.approx(-0.3)


@SIDES
def test_liquidity_flip(side: Side) -> None:
    """Two fresh books in a row on the wrong side, 5 to 30 s apart and P beyond the entry, end it at the quote."""

    def flipped(after_s: float, share: float = 0.35, bid: float = 100.1, **changed: Any) -> Look:
        return look(side, after_s, bid=bid, ask=bid + 0.1, ask_share=share, **changed)

    outcome = ended(side, flipped(5), flipped(10))
    assert outcome.reason is ExitReason.LIQUIDITY_FLIP
    assert outcome.fill == pytest.approx(mirrored(side, 100.2))
    assert ended(side, flipped(5), flipped(35)).reason is ExitReason.LIQUIDITY_FLIP
    assert still_open(side, flipped(5), flipped(7, 0.36), flipped(12)).flips_running == 1
    same = flipped(10, book_ms=NOW_MS + 5000)
    assert still_open(side, flipped(5), same).flips_running == 1
    stale = flipped(30, book_ms=NOW_MS + 14_999)
    assert still_open(side, flipped(5), stale).flips_running == 1
    ahead = flipped(10, book_ms=NOW_MS + 12_001)
    assert still_open(side, flipped(5), ahead).flips_running == 1
    assert still_open(side, flipped(5), look(side, 10)).flips_running == 1


@SIDES
def test_flips_that_do_not_count(side: Side) -> None:
    """Books hardly apart, twenty minutes apart, with P on the winning side, or around a gap are no two in a row."""

    def flipped(after_s: float, bid: float = 100.1, **changed: Any) -> Look:
        return look(side, after_s, bid=bid, ask=bid + 0.1, ask_share=0.3, **changed)

    assert still_open(side, flipped(5), flipped(9.9)).flips_running == 1
    assert ended(side, flipped(5), flipped(9.9), flipped(10)).reason is ExitReason.LIQUIDITY_FLIP
    without_books = [look(side, after_s, book_ms=NOW_MS + 5000) for after_s in range(10, 1205, 5)]
    assert still_open(side, flipped(5), *without_books, flipped(1205)).flips_running == 1
    assert still_open(side, flipped(5), flipped(35.1)).flips_running == 1
    assert still_open(side, flipped(5, bid=99.8), flipped(10, bid=99.8)).flips_running == 0
    assert still_open(side, flipped(5), flipped(10, bid=99.8), flipped(15)).flips_running == 1
    assert still_open(side, flipped(5), flipped(25, gap="a time without data")).flips_running == 1


def test_emergencies_of_a_long() -> None:
    """They are the mirror image, spelled out: Bitcoin falls, or two books hold 65 % asks while P is below the entry."""

    def seen(after_s: float, bid: float = 99.7, **changed: Any) -> Look:
        now_ms = NOW_MS + round(1000 * after_s)
        return Look(now_ms=now_ms, book_ms=now_ms, best_bid=bid, best_ask=bid + 0.1, **changed)

    outcome = ended(Side.LONG, seen(5, btc_return=-0.005))
    assert (outcome.reason, outcome.fill) == (ExitReason.BTC_PUMP, 99.7)
    still_open(Side.LONG, seen(5, btc_return=0.02), seen(10, btc_return=-0.0049))

    outcome = ended(Side.LONG, seen(5, ask_share=0.65), seen(10, ask_share=0.7))
    assert (outcome.reason, outcome.fill) == (ExitReason.LIQUIDITY_FLIP, 99.7)
    assert still_open(Side.LONG, seen(5, ask_share=0.65), seen(10, ask_share=0.64)).flips_running == 0
    assert still_open(Side.LONG, seen(5, ask_share=0.3), seen(10, ask_share=0.3)).flips_running == 0
    winning = (seen(5, 100.1, ask_share=0.7), seen(10, 100.1, ask_share=0.7))
    assert still_open(Side.LONG, *winning).flips_running == 0


@SIDES
def test_timeout(side: Side) -> None:
    """An hour after the decision it ends at the quote."""
    still_open(side, look(side, 3599.9))
    outcome = ended(side, look(side, 3600, bid=99.2, ask=99.3))
    assert (outcome.reason, outcome.fill) == (ExitReason.TIMEOUT, mirrored(side, 99.3))
    assert outcome.held_s == 3600
    assert ideal(outcome).gross_percent == pytest.approx(0.7)


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
    """A pair that is traded no more ends at the quote or the last candle; without a price there is no result."""
    outcome = ended(side, look(side, 5, bid=99.4, ask=99.5, is_delisted=True))
    assert (outcome.reason, outcome.fill, outcome.note) == (ExitReason.DELISTED, mirrored(side, 99.5), BY_QUOTES)
    nothing: dict[str, Any] = {"bid": NAN, "ask": NAN, "is_delisted": True, "gap": "the end of its trading"}
    bars = candles(side, [(-20, 100, 100.2, 99.8, 100), (40, 100, 100.3, 99.7, 99.9)])
    last = ended(side, look(side, 5), look(side, 400, candles=bars, **nothing))
    assert (last.reason, last.fill, last.ideal is None) == (ExitReason.DELISTED, mirrored(side, 99.9), False)
    gone = ended(side, look(side, 5, [(1, 100.6)]), look(side, 400, **nothing))
    assert (gone.reason, gone.ideal, gone.reachable) == (ExitReason.DELISTED, None, None)
    assert math.isnan(gone.fill)
    assert gone.note == "no price was seen at its end"


@SIDES
def test_no_longer_watched(side: Side) -> None:
    """Whose venue is no longer among EXCHANGES has no result, whatever was seen before."""
    outcome = ended(side, look(side, 20, bid=98.3, ask=98.4), look(side, 25, bid=NAN, ask=NAN, is_unwatched=True))
    assert (outcome.reason, outcome.ideal, outcome.reachable) == (ExitReason.NO_LONGER_WATCHED, None, None)
    assert outcome.exit_ms == NOW_MS + 25_000


@SIDES
def test_funding(side: Side) -> None:
    """What settles up to the exit is paid at the last rate seen before: 1.9 less 1; then venues show the next rate."""
    settled: dict[str, Any] = {"funding_rate": 0.00005, "funding_times_ms": (NOW_MS + 7000,)}
    before, after = look(side, 5, funding_rate=-0.01), look(side, 10, **settled)
    outcome = ended(side, before, after, look(side, 15, [(14, 97.9)]))
    assert ideal(outcome).net_percent == pytest.approx(0.9)
    missing = look(side, 10, funding_times_ms=settled["funding_times_ms"])
    outcome = ended(side, before, missing, look(side, 15, [(14, 97.9)]))
    assert ideal(outcome).net_percent == pytest.approx(0.9)
    early = ended(side, before, look(side, 10, [(6, 97.9)], **settled))
    assert ideal(early).net_percent == pytest.approx(1.9)
    twice = look(side, 15, [(14, 97.9)], funding_times_ms=(NOW_MS + 7000, NOW_MS + 12_000))
    outcome = ended(side, before, after, twice)
    assert ideal(outcome).net_percent == pytest.approx(0.9 + 0.005), "each settlement once, each at its own rate"


@SIDES
def test_funding_unknown(side: Side) -> None:
    """A settlement before any rate was seen is not guessed, and is said at the end, however much later."""
    settled = look(side, 5, funding_times_ms=(NOW_MS + 3000,), funding_rate=0.0001)
    outcome = ended(side, settled, look(side, 10), look(side, 15, [(14, 97.9)]))
    assert ideal(outcome).net_percent == pytest.approx(1.9)
    assert outcome.note == "funding unknown"
    assert ended(side, look(side, 5, [(2, 97.9)], funding_times_ms=(NOW_MS + 3000,))).note == ""


@SIDES
def test_reachable_price(side: Side) -> None:
    """A person enters at the first quote 15 s on; its R is in units of the planned risk of 1 %."""
    early, reach = look(side, 14.9, bid=99.7, ask=99.8), look(side, 16, bid=99.5, ask=99.6)
    outcome = ended(side, early, reach, look(side, 21, bid=99.0, ask=99.1), look(side, 26, [(25, 97.9)]))
    assert outcome.reachable is not None
    entry = mirrored(side, 99.5)
    assert (outcome.reachable.entry, outcome.reachable_ms) == (entry, NOW_MS + 16_000)
    assert outcome.reachable.gross_percent == pytest.approx(100 * 1.5 / entry)
    assert outcome.reachable.r == pytest.approx(100 * 1.5 / entry - FEES)
    assert ideal(outcome).r == pytest.approx(1.9)


@SIDES
def test_reachable_price_near_the_stop(side: Side) -> None:
    """The nearer the price came to the stop the more a target makes, and no more than that."""
    near = look(side, 16, bid=100.99, ask=100.995)
    won, lost = look(side, 30, [(29, 97.9)]), look(side, 30, bid=101, ask=101.01)
    for end, r in ((won, 2.99), (lost, -0.02)):
        outcome = ended(side, near, end)
        assert outcome.reachable is not None
        assert outcome.reachable.r == pytest.approx(100 * r / mirrored(side, 100.99) - FEES)


@SIDES
def test_reachable_price_too_late(side: Side) -> None:
    """A price seen over 10 s late is nobody's: the row is missing, with its reason."""
    end = look(side, 700, [(699, 97.9)])
    just = ended(side, look(side, 5), look(side, 25), end)
    assert (just.reachable_ms, just.unreachable) == (NOW_MS + 25_000, Unreachable.NO)
    late = ended(side, look(side, 5), look(side, 25.1), end)
    assert (late.reachable, late.reachable_ms, late.unreachable) == (None, None, Unreachable.NOT_SEEN)
    blind = ended(side, look(side, 5), look(side, 605, bid=98.3, ask=98.4, gap="a time without data"), end)
    assert (blind.reachable, blind.unreachable) == (None, Unreachable.NOT_SEEN)


@SIDES
def test_nobody_could_enter(side: Side) -> None:
    """What ended within the 15 s was reached by nobody; of what ended later without a quote in time nobody knows."""
    early = ended(side, look(side, 5, [(4, 97.9)]))
    assert (early.reachable, early.unreachable) == (None, Unreachable.ENDED_BEFORE)
    printed = ended(side, look(side, 14.8), look(side, 19.9, [(19.5, 101.0)], bid=100.9, ask=101.0))
    assert (printed.reachable, printed.unreachable) == (None, Unreachable.NOT_SEEN)
    unseen = ended(side, look(side, 16, bid=NAN, ask=NAN), look(side, 21, [(20, 97.9)]))
    assert (unseen.reachable, unseen.unreachable) == (None, Unreachable.NOT_SEEN)


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
    # the first minute after the 15 s opened too late to be the price of them
    assert outcome.unreachable is Unreachable.NOT_SEEN


@SIDES
def test_reachable_price_in_a_gap(side: Side) -> None:
    """The open of a minute that begins 15 to 25 s after the decision is a price a person could reach."""
    reach = ScoringSettings(reach_s=35)
    bars = candles(side, [(-20, 100, 100.2, 99.8, 100), (40, 99.9, 100.6, 97.0, 99.5)])
    outcome = ended(side, look(side, 105, gap="a restart", candles=bars), settings=reach)
    assert outcome.reachable is not None
    assert (outcome.reachable.entry, outcome.reachable_ms) == (mirrored(side, 99.9), NOW_MS + 40_000)


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
    """What the minute of the decision shows may be from before: it decides nothing, and that is said where it matters.

    These signals come after a fall: here 1.3 % within the minute, and never more than 0.2 % up afterwards.
    """
    bars = [(-20, 101.3, 101.3, 97.5, 100), (40, 100, 100.2, 99.6, 99.7)]
    state = still_open(side, look(side, 5), look(side, 90, gap="a restart", candles=candles(side, bars)))
    assert state.unknown_until_ms == NOW_MS + 40_000
    outcome = ended(side, look(side, 5), look(side, 90, gap="a restart", candles=candles(side, bars)), LAST)
    assert outcome.note == "unknown until 22:14"
    calm = candles(side, [(-20, 100, 100.5, 99, 99), *bars[1:]])
    assert still_open(side, look(side, 90, gap="a restart", candles=calm)).unknown_until_ms == 0
    running = look(side, 35, gap="a restart", candles=candles(side, bars[:1]))
    assert still_open(side, look(side, 5), running).unknown_until_ms == NOW_MS + 35_000


@SIDES
def test_minute_of_the_last_look(side: Side) -> None:
    """The signal would have ended had we seen a level reached: what its minute shows beyond one came afterwards."""
    bars = candles(side, [(40, 100, 104, 99, 100), (100, 100, 100.1, 99.9, 100)])
    outcome = ended(side, look(side, 45), look(side, 110, gap="a restart", candles=bars))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, mirrored(side, 101), 100)
    # but a trailing stop may have been passed before it was armed
    armed = look(side, 45, [(42, 99.5), (44, 98.5)], bid=98.5, ask=98.6)
    bars = candles(side, [(40, 99.5, 99.5, 98.4, 98.6), (100, 98.6, 98.7, 98.5, 98.6)])
    state = still_open(
        side, armed, look(side, 110, bid=98.5, ask=98.6, gap="a restart", candles=bars), settings=TRAILING
    )
    assert state.unknown_until_ms == NOW_MS + 100_000
    assert state.best_price == mirrored(side, 98.4)


@SIDES
def test_minute_in_which_a_gap_ends(side: Side) -> None:
    """What was printed in it after the gap is judged as a print, though the gap may hold as much."""
    bars = candles(side, [(40, 100, 101.4, 99.9, 100)])
    gap: dict[str, Any] = {"gap": "a gap in the prints", "gap_from_ms": NOW_MS + 41_000, "candles": bars}
    gap |= {"gap_until_ms": NOW_MS + 44_000, "asked_ms": NOW_MS + 100_000}
    before = look(side, 41, [(41, 100.0)])
    times, prices = read_only([NOW_MS + 80_000], np.int64), read_only([mirrored(side, 101.4)], np.float64)
    later: dict[str, Any] = {"later_time_ms": times, "later_price": prices}
    state = still_open(side, before, look(side, 46, [(44, 100.0)], **gap, **later))
    assert (state.looked_ms, state.unknown_until_ms) == (NOW_MS + 46_000, NOW_MS + 44_000)
    outcome = ended(side, before, look(side, 46, [(44, 100.0)], **gap))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.STOP_LOSS, mirrored(side, 101), 100)
    # a target that may have come after the stop that was printed is none
    both = gap | {"candles": candles(side, [(40, 100, 101.4, 97.8, 100)])}
    assert still_open(side, before, look(side, 46, [(44, 100.0)], **both, **later)).unknown_until_ms == NOW_MS + 44_000
    # a best price that may be from after this look is not trailed by its prints and its quote
    for asked_ms in (0, NOW_MS + 100_000):
        fallen = gap | {"candles": candles(side, [(40, 99.0, 99.0, 98.5, 98.6)]), "asked_ms": asked_ms}
        state = still_open(side, before, look(side, 46, [(44, 99.0)], 98.6, 98.7, **fallen), settings=TRAILING)
        assert (state.best_price, state.unknown_until_ms) == (mirrored(side, 98.7), NOW_MS + 44_000)


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
    assert outcome.note == f"settled from the first quote after a restart; unknown until 22:16; {BY_QUOTES}"


@SIDES
def test_gap_without_candles(side: Side) -> None:
    """Where the venue has no candles the next quote settles it, and says so."""
    outcome = ended(side, look(side, 900, bid=97.5, ask=97.6, gap="LBank was blind"))
    assert outcome.reason is ExitReason.TAKE_PROFIT
    assert outcome.note == f"settled from the first quote after LBank was blind; {BY_QUOTES}"
    assert outcome.reachable is None
    outcome = ended(side, look(side, 3659, gap="LBank was blind"))
    assert (outcome.reason, outcome.held_s) == (ExitReason.TIMEOUT, 3659)
    passed = look(side, 900, gap="LBank was blind")
    assert still_open(side, passed).unknown_until_ms == NOW_MS + 900_000
    outcome = ended(side, passed, look(side, 905, bid=97.5, ask=97.6))
    assert outcome.note == f"unknown until 22:29; {BY_QUOTES}"
    late = ended(side, look(side, 3660, bid=97.5, ask=97.6, gap="LBank was blind"))
    assert (late.reason, late.ideal, late.held_s) == (ExitReason.NOT_KNOWN, None, 3600)
    assert late.note == "no price was seen at its time-out, for LBank was blind"


@SIDES
def test_timeout_in_a_gap(side: Side) -> None:
    """A gap beyond the time-out ends the signal as the first minute after it opens."""
    bars = [(-20 + 60 * k, 99.5, 99.6, 99.4, 99.5) for k in range(61)] + [(3640, 99.3, 105, 90, 99)]
    outcome = ended(side, look(side, 7200, gap="a restart", candles=candles(side, bars)))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TIMEOUT, mirrored(side, 99.3), 3640)


@SIDES
def test_candles_end_before_the_timeout(side: Side) -> None:
    """A pair whose prints ended is settled at its time-out from the last of them, or waits for it."""
    bars = candles(side, [(-20, 100, 100.1, 99.9, 100), (40, 100, 100.1, 99.4, 99.5)])
    early = look(side, 600, bid=NAN, ask=NAN, gap="a time without data", candles=bars)
    assert still_open(side, early).looked_ms == NOW_MS, "its last price may be needed once more"
    outcome = ended(side, look(side, 3660, bid=NAN, ask=NAN, gap="a time without data", candles=bars))
    assert (outcome.reason, outcome.fill, outcome.held_s) == (ExitReason.TIMEOUT, mirrored(side, 99.5), 3600)
    assert outcome.note == "settled from 1-minute candles after a time without data, up to the last of them"


@SIDES
def test_candles_that_do_not_reach_back(side: Side) -> None:
    """Candles that begin later than the minute after the last look leave the outcome open: not known, no figures."""
    bars = [(80 * 60 + 40 + 60 * k, 97.0, 97.1, 96.9, 97.0) for k in range(1000)]
    outcome = ended(side, look(side, 18 * 3600, gap="a restart", candles=candles(side, bars)))
    assert (outcome.reason, outcome.ideal, outcome.reachable) == (ExitReason.NOT_KNOWN, None, None)
    assert (outcome.held_s, math.isnan(outcome.fill)) == (3600, True)
    assert outcome.note == "the candles do not reach back to the last look"
    next_minute = candles(side, [(40, 100, 100.1, 99.9, 100)])
    state = still_open(side, look(side, 95, gap="a restart", candles=next_minute))
    assert state.unknown_until_ms == NOW_MS + 40_000
    later = look(side, 150, gap="a restart", candles=candles(side, [(100, 100, 100.1, 99.9, 100)]))
    assert ended(side, later).reason is ExitReason.NOT_KNOWN


@SIDES
def test_hole_in_the_candles(side: Side) -> None:
    """A minute left out between others is said to be unknown, and the next one goes on."""
    bars = candles(side, [(40, 100, 100.1, 99.9, 100), (160, 100, 101.5, 99.9, 100)])
    outcome = ended(side, look(side, 30), look(side, 215, gap="a restart", candles=bars))
    assert (outcome.reason, outcome.held_s) == (ExitReason.STOP_LOSS, 215)
    assert "unknown until 22:16" in outcome.note


@SIDES
def test_trailing_in_a_gap(side: Side) -> None:
    """What was armed before a gap trails through its minutes: 0.4 % off 98.5 is 98.894."""
    armed = look(side, 5, [(1, 98.5)], bid=98.5, ask=98.6)
    bars = candles(side, [(40, 98.6, 99.0, 98.55, 98.8)])
    outcome = ended(side, armed, look(side, 105, gap="a restart", candles=bars), settings=TRAILING)
    assert outcome.reason is ExitReason.TRAILING
    assert outcome.fill == pytest.approx(mirrored(side, 98.5) * (1.004 if side is Side.SHORT else 0.996))


@SIDES
def test_trailing_within_one_candle(side: Side) -> None:
    """Which of its ends came first nobody can tell: a retreat from the best price of the same minute is not known."""
    for highest, unknown_until_ms in ((99.3, NOW_MS + 100_000), (98.8, 0)):
        bars = candles(side, [(-20, 100, 100, 99.9, 100), (40, highest, highest, 98.5, 98.6)])
        gap = look(side, 100, bid=98.5, ask=98.6, gap="a restart", candles=bars)
        state = still_open(side, gap, settings=TRAILING)
        assert (state.is_trailing_armed, state.unknown_until_ms) == (True, unknown_until_ms)


@SIDES
def test_funding_in_a_gap(side: Side) -> None:
    """What settles as or after the minute of the exit ends is not paid."""
    bars = candles(side, [(-20, 100, 100, 100, 100), (40, 99, 99, 98.5, 98.6), (100, 98.5, 98.6, 97, 97.5)])
    for settled_s, net in ((90, 1.87), (100, 1.87), (159.999, 1.87), (160, 1.9), (900, 1.9)):
        settled: dict[str, Any] = {"funding_times_ms": (NOW_MS + round(1000 * settled_s),)}
        gap = look(side, 1000, gap="a restart", candles=bars, **settled)
        outcome = ended(side, look(side, 5, funding_rate=-0.0003), gap)
        assert ideal(outcome).net_percent == pytest.approx(net)


@SIDES
def test_clock_set_back(side: Side) -> None:
    """A look at an earlier time than the last forgets nothing that has been judged."""
    state = still_open(side, look(side, 10), look(side, 4))
    assert state.looked_ms == NOW_MS + 10_000


@SIDES
@pytest.mark.parametrize("step_s", [-3600, -5, 0.5, 3600])
def test_shift_clock(side: Side, step_s: float) -> None:
    """With the clock set between two looks it ends as it would have: the same fills, held as long."""
    looks = [
        look(side, 5, funding_rate=-0.01),
        look(side, 16, [(14, 99.5)], funding_times_ms=(NOW_MS + 9000,), ask_share=0.3, bid=100.2, ask=100.3),
        look(side, 21, [(20.5, 100.1)], ask_share=0.3, bid=100.2, ask=100.3),
    ]
    step_ms = round(1000 * step_s)
    expected = ended(side, *looks)
    state = shift_clock(still_open(side, *looks[:2]), step_ms)
    outcome = follow(state, shift_look(looks[2], step_ms), SETTINGS)
    assert isinstance(outcome, Outcome)
    assert outcome.reachable_ms is not None
    times: dict[str, Any] = {"exit_ms": outcome.exit_ms - step_ms, "reachable_ms": outcome.reachable_ms - step_ms}
    assert replace(outcome, **times) == expected
    assert state.decided_ms == NOW_MS + step_ms


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
    assert ideal(outcome).r == pytest.approx(1.9)
    bare = NearMiss(
        decided_ms=NOW_MS, venue="bybit", instrument_id="X", coin="X", score=70.0, entry=NAN, failed=("book", "score")
    )
    assert start_near_miss(bare) is None
