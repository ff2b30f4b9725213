"""What becomes of an open signal: a look at the market in, the signal as it stands or its outcome out (section 5).

Both sides are judged at once: a price times `against` grows as it goes against the signal.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from features.facts.market import FUTURE_MS, Candles, FloatArray, IntArray, read_only
from scoring.levels import taker_fee_percent
from scoring.settings import ScoringSettings
from scoring.signals import (
    DataTimes,
    ExitReason,
    NearMiss,
    OpenSignal,
    Outcome,
    Result,
    Settlement,
    Side,
    Signal,
    Unreachable,
)

#: books in a row on the wrong side, and the longest time between two of them
FLIPS, FLIP_WITHIN_MS = 2, 30_000
#: how late the price of REACH_SECONDS may be taken, and that of the time-out
REACH_LATE_MS, TIMEOUT_LATE_MS = 10_000, 60_000
MINUTE_MS = 60_000
#: [fraction of a price] far below any tick
NOISE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one tick saw of one instrument; NaN and empty where it saw nothing."""

    now_ms: int
    trade_time_ms: IntArray = field(default_factory=lambda: read_only([], np.int64))  #: (k,) ascending
    trade_price: FloatArray = field(default_factory=lambda: read_only([], np.float64))  #: (k,)
    tape_ms: int = 0  #: every print up to here has been seen; 0: no reply with prints came, not even an empty one
    lacks_prints: bool = False  #: some before it were not seen, and are not asked for
    best_bid: float = math.nan
    best_ask: float = math.nan
    price: float = math.nan  #: P; the mid of the quote where it is NaN
    ask_share: float = math.nan
    book_ms: int = 0  #: exchange time of the book that `ask_share` is from
    btc_return: float = math.nan  #: [fraction] over the BTC window
    funding_rate: float = math.nan  #: [fraction] per settlement
    funding_times_ms: tuple[int, ...] = ()  #: settlements since the tick before: `levels.settlement_times_ms`
    gap: str = ""  #: why a time before this look was not watched, e.g. "a restart"; "" where all was
    gap_from_ms: int = 0  #: where that time begins; 0: at the last look
    gap_until_ms: int = 0  #: where it ends, such as at the first print; 0: at this look
    candles: Candles | None = None  #: of the gap, from the minute it begins in; None: the venue has none
    asked_ms: int = 0  #: when the candles came; 0: at this look
    later_time_ms: IntArray = field(default_factory=lambda: read_only([], np.int64))  #: of prints seen until then
    later_price: FloatArray = field(default_factory=lambda: read_only([], np.float64))
    is_unsettled: bool = False  #: the venue has candles, but none came of the gap however often it was asked
    is_provisional: bool = False  #: no prints came for as long as a gap: without candles the quotes have to do
    is_delisted: bool = False
    is_unwatched: bool = False  #: the venue is no longer among EXCHANGES


class _Exit(NamedTuple):
    reason: ExitReason
    fill: float  # NaN: no result
    exit_ms: int
    is_ambiguous: bool = False
    note: str = ""
    is_inside: bool = False  # at a time inside the minute that ends at `exit_ms`


class _Minute(NamedTuple):
    open_ms: int
    open: float
    worst: float
    best: float
    close: float

    @property
    def end_ms(self) -> int:
        return self.open_ms + MINUTE_MS


def start(signal: Signal, funding_rate: float = math.nan) -> OpenSignal:
    """Return the signal as it stands at its decision; `funding_rate` [fraction per settlement] was seen with it."""
    entry, decided_ms = signal.levels.entry, signal.decided_ms
    return OpenSignal(
        signal=signal,
        looked_ms=decided_ms,
        best_price=entry,
        worst_price=entry,
        last_funding_rate=funding_rate,
    )


def timeout_ms(open_signal: OpenSignal, settings: ScoringSettings) -> int:
    """Return when the signal's time is up."""
    return open_signal.decided_ms + round(1000 * settings.signal_timeout_s)


def funded_ms(open_signal: OpenSignal) -> int:
    """Return the time up to which the signal knows the settlements of funding: its decision, or the last of them."""
    return open_signal.settlements[-1].time_ms if open_signal.settlements else open_signal.decided_ms


def shift_clock(open_signal: OpenSignal, step_ms: int) -> OpenSignal:
    """Return the same after the clock was set by `step_ms`: each time moves along, so that elapsed time stays true."""
    signal, times = open_signal.signal, open_signal.signal.data_times
    moved = {name: time_ms + step_ms for name in DataTimes.__slots__ if (time_ms := getattr(times, name)) is not None}
    names = ("looked_ms", "reachable_ms", "flip_ms", "last_book_ms", "tape_ms", "unknown_until_ms")
    return replace(
        open_signal,
        signal=replace(signal, decided_ms=signal.decided_ms + step_ms, data_times=replace(times, **moved)),
        settlements=tuple(replace(one, time_ms=one.time_ms + step_ms) for one in open_signal.settlements),
        **_moved(open_signal, names, step_ms),
    )


def shift_look(look: Look, step_ms: int) -> Look:
    """Return a look that is not judged yet after the clock was set by `step_ms`."""
    return replace(
        look,
        trade_time_ms=look.trade_time_ms + step_ms,
        funding_times_ms=tuple(time_ms + step_ms for time_ms in look.funding_times_ms),
        **_moved(look, ("now_ms", "tape_ms", "book_ms", "gap_from_ms", "gap_until_ms"), step_ms),
    )


def _moved(record: OpenSignal | Look, names: tuple[str, ...], step_ms: int) -> dict[str, Any]:
    times = {name: getattr(record, name) for name in names}
    return {name: time_ms + step_ms for name, time_ms in times.items() if time_ms}  # 0 and None are no times


def start_near_miss(near_miss: NearMiss, near_miss_id: int = 0) -> OpenSignal | None:
    """Return a near miss as if it were a signal, to see what it would have made; None without levels."""
    if near_miss.levels is None:
        return None
    nothing = DataTimes(price_ms=None, book_ms=None, trades_ms=None, open_interest_ms=None, funding_ms=None)
    return start(
        Signal(
            id=near_miss_id,
            side=near_miss.levels.side,
            venue=near_miss.venue,
            instrument_id=near_miss.instrument_id,
            coin=near_miss.coin,
            pair="",
            tick_size=math.nan,
            decided_ms=near_miss.decided_ms,
            levels=near_miss.levels,
            score=near_miss.score,
            sub_scores={},
            contributions={},
            features={},
            verdicts=(),
            reasons=(),
            missing={},
            borrowed="",
            sellable_usdt=math.nan,
            data_times=nothing,
            code_hash="",
            config_hash="",
        )
    )


def follow(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> OpenSignal | Outcome:
    """Judge one look: first what candles show of the time that was not watched, then the prints and the quote.

    A stop comes before all else, then the take-profit, trailing, BTC pump, liquidity flip, time-out, and the end of
    the pair. A stop and a trailing stop fill at the worst of their level, the first print at or beyond it, and the exit
    side's quote then seen (the best ask of a SHORT), the first take-profit at itself, the rest at the exit side's
    quote: where there is none they wait for it. Where nobody can tell what happened the outcome has no result.
    """
    judged, ending = _judge_gap(note_funding(open_signal, look), look, settings)
    if ending is None:
        judged, ending = _judge_sight(judged, look, settings)
    if ending is None:
        ending = _judge_silence(judged, look, settings)
    # nobody can tell what came while only quotes did; an end at the first quote after a gap says so itself
    if look.candles is None and look.gap and (ending is None or not ending.note):
        judged = _unknown_until(judged, look.gap_until_ms or look.now_ms)
    if look.candles is None and look.is_provisional and ending is not None:
        judged = _unknown_until(judged, ending.exit_ms)
    return judged if ending is None else _outcome(judged, ending, settings)


def _judge_gap(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, _Exit | None]:
    if not look.gap:
        return open_signal, None
    before = open_signal = replace(open_signal, flips_running=0)
    if look.is_unsettled and not look.is_delisted:
        return open_signal, _not_known(open_signal, look, settings, f"no candles came after {look.gap}")
    if look.candles is None:
        return open_signal, None
    from_ms, until_ms = look.gap_from_ms or open_signal.looked_ms, look.gap_until_ms or look.now_ms
    note = f"settled from 1-minute candles after {look.gap}"
    due_ms, known_ms, last = timeout_ms(open_signal, settings), from_ms, math.nan
    for minute in _minutes(look.candles, open_signal.signal.side):
        if minute.end_ms <= from_ms or minute.open_ms >= until_ms:
            continue
        if math.isnan(last) and minute.open_ms - from_ms > MINUTE_MS:
            break  # they do not reach back
        if minute.open_ms > known_ms:
            open_signal = _unknown_until(open_signal, minute.open_ms)
        if minute.open_ms >= due_ms:
            is_near = math.isnan(last) or minute.open_ms < due_ms + TIMEOUT_LATE_MS
            fill, exit_ms = (minute.open, minute.open_ms) if is_near else (last, due_ms)
            return open_signal, _Exit(ExitReason.TIMEOUT, fill, exit_ms, note=note, is_inside=True)
        open_signal, ending = _judge_minute(open_signal, minute, look, from_ms, settings)
        if ending is not None:
            exit_ms = min(ending.exit_ms, max(look.now_ms, look.asked_ms))
            return open_signal, ending._replace(exit_ms=exit_ms, note=note)
        known_ms, last = minute.end_ms, minute.close
    if math.isnan(last):
        return open_signal, _not_known(open_signal, look, settings, "the candles do not reach back to the last look")
    has_quote = not math.isnan(_quotes(open_signal.signal.side, look)[1])
    if look.now_ms >= due_ms + TIMEOUT_LATE_MS or (look.is_delisted and not has_quote):
        reason = ExitReason.DELISTED if look.is_delisted else ExitReason.TIMEOUT
        exit_ms, note = min(look.now_ms, due_ms), f"{note}, up to the last of them"
        return open_signal, _Exit(reason, last, exit_ms, note=note, is_inside=True)
    if known_ms >= until_ms:
        return replace(open_signal, looked_ms=max(open_signal.looked_ms, until_ms)), None
    if has_quote or look.tape_ms:  # nobody will ask for the rest
        return _unknown_until(open_signal, until_ms), None
    return before, None  # the pair may have stopped: its last price is needed once more


def _minutes(candles: Candles, side: Side) -> Iterator[_Minute]:
    worst, best = (candles.high, candles.low) if side is Side.SHORT else (candles.low, candles.high)
    columns = (candles.open_ms, candles.open, worst, best, candles.close)
    for open_ms, *prices in zip(*(column.tolist() for column in columns), strict=True):
        yield _Minute(open_ms, *prices)


def _judge_minute(
    open_signal: OpenSignal, minute: _Minute, look: Look, from_ms: int, settings: ScoringSettings
) -> tuple[OpenSignal, _Exit | None]:
    """Judge a candle by what we know of its minute.

    One that holds the decision may have its extremes from before: it decides nothing. One that holds the last look has
    what it shows beyond a level from after it, for the signal would have ended had we seen that ourselves; but not what
    it shows beyond a trailing stop, which may have come before the best price. One that goes on after the gap may have
    an extreme from there, if we saw it printed: it is judged with the prints. Where nobody can tell, the time is noted.
    """
    signal, target = open_signal.signal, open_signal.signal.levels.take_profits[0]
    against = -signal.side.direction
    until_ms = min(minute.end_ms, look.gap_until_ms or look.now_ms)
    best = against * min(against * minute.best, against * open_signal.best_price)
    stop, trailing_stop = signal.levels.stop, _trailing_stop_at(signal, open_signal.best_price, settings)
    levels = (stop, trailing_stop, _trailing_stop_at(signal, best, settings))
    is_stop, is_trailed, is_perhaps_trailed = (against * minute.worst >= against * level for level in levels)
    is_target = against * minute.best < against * target
    if minute.open_ms < open_signal.decided_ms:
        is_unknown = is_stop or is_target or is_perhaps_trailed
        return _unknown_until(open_signal, until_ms) if is_unknown else open_signal, None
    open_signal = _reached_within(open_signal, minute, from_ms, settings)
    is_worst_later, is_best_later = _printed_later(signal.side, minute, look, until_ms)
    if is_worst_later and (is_stop or is_trailed):
        return _unknown_until(open_signal, until_ms), None
    if is_stop or (is_trailed and minute.open_ms >= max(from_ms, open_signal.looked_ms)):
        reason, level = (ExitReason.STOP_LOSS, stop) if is_stop else (ExitReason.TRAILING, trailing_stop)
        is_own = (look.trade_time_ms >= minute.open_ms) & (look.trade_time_ms < minute.end_ms)
        own = look.trade_price[is_own & (look.trade_time_ms > open_signal.decided_ms)]
        fill = _worst(signal.side, level, minute.open, _first_beyond(signal.side, own, level))
        ending = _Exit(reason, fill, minute.end_ms, is_ambiguous=is_target, is_inside=True)
        return _seen(open_signal, fill), ending
    if is_perhaps_trailed or (is_target and is_best_later):
        open_signal = _unknown_until(open_signal, until_ms)
    worst = math.nan if is_worst_later else minute.worst
    if is_target and not is_best_later:
        return _seen(open_signal, worst, target), _Exit(ExitReason.TAKE_PROFIT, target, minute.end_ms, is_inside=True)
    is_past = until_ms < min(minute.end_ms, max(look.now_ms, look.asked_ms))
    # a best price from after the gap must not be trailed by what was seen before it
    return _armed(_seen(open_signal, worst, math.nan if is_past else minute.best), settings), None


def _reached_within(open_signal: OpenSignal, minute: _Minute, from_ms: int, settings: ScoringSettings) -> OpenSignal:
    """Return the signal with the minute's open as its reachable entry, if that is the price of REACH_SECONDS."""
    against, reach_ms = -open_signal.signal.side.direction, open_signal.decided_ms + round(1000 * settings.reach_s)
    is_in_time = reach_ms <= minute.open_ms <= reach_ms + REACH_LATE_MS and minute.open_ms >= from_ms
    is_stopped = against * minute.open >= against * open_signal.signal.levels.stop
    if open_signal.reachable_entry is not None or is_stopped or not is_in_time:
        return open_signal
    return replace(open_signal, reachable_entry=minute.open, reachable_ms=minute.open_ms)


def _printed_later(side: Side, minute: _Minute, look: Look, until_ms: int) -> tuple[bool, bool]:
    """Return whether the worst and the best price of a minute were printed in it after the gap, before candles came."""
    times_ms = np.concatenate([look.trade_time_ms, look.later_time_ms])
    prices = np.concatenate([look.trade_price, look.later_price])
    against = -side.direction * prices[(times_ms >= until_ms) & (times_ms < minute.end_ms)]
    worst, best = -side.direction * minute.worst, -side.direction * minute.best
    return bool((against >= worst).any()), bool((against <= best).any())


def _judge_sight(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, _Exit | None]:
    signal = open_signal.signal
    entry_quote, exit_quote = _quotes(signal.side, look)
    age_ms = look.now_ms - open_signal.decided_ms
    is_later = look.trade_time_ms > open_signal.decided_ms
    times_ms, prices = look.trade_time_ms[is_later], look.trade_price[is_later]
    if look.gap and look.candles is None and age_ms >= 1000 * settings.signal_timeout_s + TIMEOUT_LATE_MS:
        return open_signal, None  # a quote from long after the time-out is no price of it
    has_prints = look.tape_ms > 0 or len(prices) > 0
    tape_ms = max(open_signal.tape_ms, look.tape_ms)
    open_signal = replace(
        open_signal,
        saw_prints=open_signal.saw_prints or has_prints,
        lacked_prints=open_signal.lacked_prints or look.lacks_prints,
        tape_ms=tape_ms,
    )
    note = f"settled from the first quote after {look.gap}" if look.gap else ""
    hit, before = _stop_or_target(open_signal, look, times_ms, prices)
    if hit is not None:
        note = note if before == len(prices) else ""
        return _seen(open_signal, *prices[:before].tolist(), hit.fill), hit._replace(note=note)

    open_signal, trailed = _trailed(open_signal, times_ms, prices, look, settings)
    open_signal = _count_flips(_seen(open_signal, *prices.tolist(), exit_quote), look, settings)
    if trailed is not None:
        return _seen(open_signal, trailed.fill), trailed
    rules = (
        (ExitReason.BTC_PUMP, -signal.side.direction * look.btc_return >= settings.max_btc_pump_percent / 100),
        (ExitReason.LIQUIDITY_FLIP, open_signal.flips_running >= FLIPS),
        (ExitReason.TIMEOUT, age_ms >= 1000 * settings.signal_timeout_s),
        (ExitReason.DELISTED, look.is_delisted),
    )
    broken = [reason for reason, is_broken in rules if is_broken]
    if broken and not math.isnan(exit_quote):
        return open_signal, _Exit(broken[0], exit_quote, look.now_ms, note=note)
    is_in_reach = 0 <= age_ms - 1000 * settings.reach_s <= REACH_LATE_MS
    if open_signal.reachable_entry is None and is_in_reach and not math.isnan(entry_quote):
        open_signal = replace(open_signal, reachable_entry=entry_quote, reachable_ms=look.now_ms)
    if has_prints or not math.isnan(exit_quote):
        open_signal = replace(open_signal, looked_ms=max(look.now_ms, open_signal.looked_ms))
    return _armed(open_signal, settings), None


def _judge_silence(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> _Exit | None:
    """Return the end of what gives no price any more, so that nothing stays open for ever."""
    due_ms = timeout_ms(open_signal, settings)
    if look.is_unwatched:
        note = "its venue is no longer among EXCHANGES"
        return _Exit(ExitReason.NO_LONGER_WATCHED, math.nan, min(look.now_ms, due_ms), note=note)
    if look.is_delisted:
        return _Exit(ExitReason.DELISTED, math.nan, min(look.now_ms, due_ms), note="no price was seen at its end")
    if look.gap and look.candles is None and look.now_ms >= due_ms + TIMEOUT_LATE_MS:
        return _not_known(open_signal, look, settings, f"no price was seen at its time-out, for {look.gap}")
    return None


def _not_known(open_signal: OpenSignal, look: Look, settings: ScoringSettings, note: str) -> _Exit:
    exit_ms = min(look.now_ms, timeout_ms(open_signal, settings))
    return _Exit(ExitReason.NOT_KNOWN, math.nan, exit_ms, note=note)


def _stop_or_target(
    open_signal: OpenSignal, look: Look, times_ms: IntArray, prices: FloatArray
) -> tuple[_Exit | None, int]:
    # and how many prints came before it
    signal = open_signal.signal
    against, stop, target = -signal.side.direction, signal.levels.stop, signal.levels.take_profits[0]
    entry_quote, exit_quote = _quotes(signal.side, look)
    stops, targets = against * prices >= against * stop, against * prices < against * target
    is_stop = bool(stops.any()) or against * entry_quote >= against * stop
    is_target = bool(targets.any()) or against * exit_quote <= against * target
    if not (is_stop or is_target):
        return None, len(prices)
    hits = stops if is_stop else targets
    before = int(np.argmax(hits)) if hits.any() else len(prices)
    exit_ms = int(times_ms[before]) if hits.any() else look.now_ms
    if is_stop:
        fill = _worst(signal.side, stop, exit_quote, _first_beyond(signal.side, prices, stop))
        return _Exit(ExitReason.STOP_LOSS, fill, exit_ms, is_ambiguous=is_target), before
    return _Exit(ExitReason.TAKE_PROFIT, target, exit_ms), before


def _quotes(side: Side, look: Look) -> tuple[float, float]:
    # where the side enters, and where it leaves
    return (look.best_bid, look.best_ask) if side is Side.SHORT else (look.best_ask, look.best_bid)


def _trailed(
    open_signal: OpenSignal, times_ms: IntArray, prices: FloatArray, look: Look, settings: ScoringSettings
) -> tuple[OpenSignal, _Exit | None]:
    """Judge each print, and the quote after them, against the best price before it.

    Prints that come late, from before the last look, may be older than the best price: only that of their own counts.
    """
    side = open_signal.signal.side
    against, exit_quote = -side.direction, _quotes(side, look)[1]
    seen = np.array([open_signal.best_price, *prices.tolist(), exit_quote])
    best = against * np.fmin.accumulate(against * seen[:-1])
    is_late = np.append(times_ms <= open_signal.looked_ms, False)
    own = against * np.fmin.accumulate(against * np.array([math.nan, *prices.tolist()]))
    level = _trailing_stop(open_signal.signal, np.where(is_late, own, best), settings)
    hits = against * seen[1:] >= against * level
    perhaps = against * seen[1:] >= against * _trailing_stop(open_signal.signal, best, settings)
    first = int(np.argmax(hits)) if hits.any() else len(hits)
    if perhaps[:first].any():
        open_signal = _unknown_until(open_signal, open_signal.looked_ms)
    if first == len(hits):
        return open_signal, None
    exit_ms = int(times_ms[first]) if first < len(prices) else look.now_ms
    fill = _worst(side, float(level[first]), float(seen[first + 1]), exit_quote)
    return open_signal, _Exit(ExitReason.TRAILING, fill, exit_ms)


def _trailing_stop(signal: Signal, best_price: FloatArray, settings: ScoringSettings) -> FloatArray:
    # NaN until armed; a hair toward the price, so that a float's noise never outlasts a touch
    against = -signal.side.direction
    armed_at = signal.levels.entry * (1 - against * (settings.trail_activation_percent / 100 - NOISE))
    level = best_price * (1 + against * (settings.trail_distance_percent / 100 - NOISE))
    is_armed = settings.trailing_enabled & (against * best_price <= against * armed_at)
    return np.where(is_armed, level, np.nan)


def _trailing_stop_at(signal: Signal, best_price: float, settings: ScoringSettings) -> float:
    return float(_trailing_stop(signal, np.array(best_price), settings))


def _armed(open_signal: OpenSignal, settings: ScoringSettings) -> OpenSignal:
    level = _trailing_stop_at(open_signal.signal, open_signal.best_price, settings)
    return replace(open_signal, is_trailing_armed=not math.isnan(level))


def _count_flips(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> OpenSignal:
    """Count the fresh books in a row, a tick to 30 s apart, that the wrong side rules while P is beyond the entry."""
    is_new = look.book_ms > open_signal.last_book_ms and not math.isnan(look.ask_share)
    if not is_new or not -FUTURE_MS <= look.now_ms - look.book_ms <= 1000 * settings.max_data_age_s:
        return open_signal
    open_signal = replace(open_signal, last_book_ms=look.book_ms)
    side = open_signal.signal.side
    own_share = look.ask_share if side is Side.SHORT else 1 - look.ask_share
    price = (look.best_bid + look.best_ask) / 2 if math.isnan(look.price) else look.price
    is_losing = -side.direction * (price - open_signal.signal.levels.entry) > 0
    if not (own_share <= settings.liquidity_flip_ask_share and is_losing):
        return replace(open_signal, flips_running=0)
    since_ms = look.book_ms - open_signal.flip_ms
    if open_signal.flips_running and since_ms < 1000 * settings.refresh_interval_s:
        return open_signal  # hardly another book
    is_running = open_signal.flips_running > 0 and since_ms <= FLIP_WITHIN_MS
    return replace(open_signal, flips_running=open_signal.flips_running + 1 if is_running else 1, flip_ms=look.book_ms)


def _seen(open_signal: OpenSignal, *prices: float) -> OpenSignal:
    direction = open_signal.signal.side.direction
    signed = [direction * price for price in prices if not math.isnan(price)]
    best = direction * max([direction * open_signal.best_price, *signed])
    worst = direction * min([direction * open_signal.worst_price, *signed])
    return replace(open_signal, best_price=best, worst_price=worst)


def _unknown_until(open_signal: OpenSignal, until_ms: int) -> OpenSignal:
    return replace(open_signal, unknown_until_ms=max(open_signal.unknown_until_ms, until_ms))


def _worst(side: Side, *prices: float) -> float:
    known = [price for price in prices if not math.isnan(price)]
    return max(known) if side is Side.SHORT else min(known)


def _first_beyond(side: Side, prices: FloatArray, level: float) -> float:
    hits = -side.direction * prices >= -side.direction * level
    return float(prices[np.argmax(hits)]) if hits.any() else math.nan


def note_funding(open_signal: OpenSignal, look: Look) -> OpenSignal:
    """Keep the settlements with the last rate seen before them; once they are over venues show the next one's."""
    rate = open_signal.last_funding_rate
    since_ms = funded_ms(open_signal)
    new = (Settlement(time_ms=time_ms, rate=rate) for time_ms in look.funding_times_ms if time_ms > since_ms)
    return replace(
        open_signal,
        settlements=(*open_signal.settlements, *new),
        last_funding_rate=rate if math.isnan(look.funding_rate) else look.funding_rate,
    )


def _outcome(open_signal: OpenSignal, ending: _Exit, settings: ScoringSettings) -> Outcome:
    signal, entry = open_signal.signal, open_signal.signal.levels.entry
    held_until_ms = ending.exit_ms - 1 if ending.is_inside else ending.exit_ms
    rates = [one.rate for one in open_signal.settlements if one.time_ms <= held_until_ms]
    paid = open_signal.funding_paid_percent + sum(
        100 * signal.side.direction * rate for rate in rates if not math.isnan(rate)
    )
    costs = 2 * taker_fee_percent(signal, settings) + paid
    direction, has_result = signal.side.direction, not math.isnan(ending.fill)
    reachable, unreachable = _reachable(open_signal, ending, costs, settings)
    unknown_until_ms = open_signal.unknown_until_ms
    is_by_quotes = has_result and not ending.is_inside and (open_signal.lacked_prints or not open_signal.saw_prints)
    notes = (
        ending.note,
        f"unknown until {_clock(unknown_until_ms, settings)}" if has_result and unknown_until_ms else "",
        f"{'at times ' if open_signal.saw_prints else ''}only quotes were seen" if is_by_quotes else "",
        "funding unknown" if has_result and any(map(math.isnan, rates)) else "",
    )
    return Outcome(
        signal_id=signal.id,
        reason=ending.reason,
        exit_ms=ending.exit_ms,
        fill=ending.fill,
        ideal=_result(signal, entry, ending.fill, costs) if has_result else None,
        reachable=reachable,
        reachable_ms=None if reachable is None else open_signal.reachable_ms,
        unreachable=unreachable,
        mae_percent=max(0.0, 100 * direction * (entry - open_signal.worst_price) / entry),
        mfe_percent=max(0.0, 100 * direction * (open_signal.best_price - entry) / entry),
        held_s=max(0, ending.exit_ms - open_signal.decided_ms) / 1000,
        is_ambiguous=ending.is_ambiguous,
        note="; ".join(filter(None, notes)),
        is_by_quotes=is_by_quotes,
    )


def _clock(time_ms: int, settings: ScoringSettings) -> str:
    # rounded up: what is said to be known is known
    time_s = -(-time_ms // MINUTE_MS) * MINUTE_MS / 1000
    return f"{datetime.fromtimestamp(time_s, ZoneInfo(settings.timezone)):%H:%M}"


def _reachable(
    open_signal: OpenSignal, ending: _Exit, costs_percent: float, settings: ScoringSettings
) -> tuple[Result | None, Unreachable]:
    if math.isnan(ending.fill):
        return None, Unreachable.NO
    if open_signal.reachable_entry is not None:
        return _result(open_signal.signal, open_signal.reachable_entry, ending.fill, costs_percent), Unreachable.NO
    is_before = ending.exit_ms < open_signal.decided_ms + 1000 * settings.reach_s
    return None, Unreachable.ENDED_BEFORE if is_before else Unreachable.NOT_SEEN


def _result(signal: Signal, entry: float, fill: float, costs_percent: float) -> Result:
    planned = signal.levels.entry
    gross = 100 * signal.side.direction * (fill - entry) / entry
    risk = 100 * abs(signal.levels.stop - planned) / planned
    net = gross - costs_percent
    return Result(entry=entry, gross_percent=gross, net_percent=net, r=net / risk)
