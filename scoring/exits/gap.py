"""Judge an unwatched time by its 1-minute candles."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from features.facts.market import Candles
from scoring.exits.ending import MINUTE_MS, Ending, first_beyond, not_known, worst_of
from scoring.exits.look import Look, quotes
from scoring.exits.open_signal import filled, seen, timeout_ms, unknown_until
from scoring.exits.trailing import armed, trailing_stop_at
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, OpenSignal, Side

#: how late the price of REACH_SECONDS may be taken, and that of the time-out
REACH_LATE_MS, TIMEOUT_LATE_MS = 10_000, 60_000


class _Minute(NamedTuple):
    open_ms: int
    open: float
    worst: float
    best: float
    close: float

    @property
    def end_ms(self) -> int:
        return self.open_ms + MINUTE_MS


def judge_gap(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, Ending | None]:
    """Return the signal after the look's gap, and its end where it ended in it."""
    if not look.gap:
        return open_signal, None
    before = open_signal = replace(open_signal, flips_running=0)
    if look.is_unsettled and not look.is_delisted:
        return open_signal, not_known(open_signal, look, settings, f"no candles came after {look.gap}")
    if look.candles is None:
        return open_signal, None
    from_ms, until_ms = look.gap_from_ms or open_signal.looked_ms, look.gap_until_ms or look.now_ms
    note = f"settled from 1-minute candles after {look.gap}"
    open_signal, ending, known_ms, last = _walk(open_signal, look, look.candles, from_ms, until_ms, settings)
    if ending is not None:
        return open_signal, ending._replace(note=note)
    if math.isnan(last):
        return open_signal, not_known(open_signal, look, settings, "the candles do not reach back to the last look")
    due_ms, has_quote = timeout_ms(open_signal, settings), not math.isnan(quotes(open_signal.signal.side, look)[1])
    if look.now_ms >= due_ms + TIMEOUT_LATE_MS or (look.is_delisted and not has_quote):
        reason = ExitReason.DELISTED if look.is_delisted else ExitReason.TIMEOUT
        exit_ms, note = min(look.now_ms, due_ms), f"{note}, up to the last of them"
        return open_signal, Ending(reason, last, exit_ms, note=note, is_inside=True)
    if known_ms >= until_ms:
        return replace(open_signal, looked_ms=max(open_signal.looked_ms, until_ms)), None
    if has_quote or look.tape_ms:  # nobody will ask for the rest
        return unknown_until(open_signal, until_ms), None
    return before, None  # the pair may have stopped: its last price is needed once more


def _walk(
    open_signal: OpenSignal, look: Look, candles: Candles, from_ms: int, until_ms: int, settings: ScoringSettings
) -> tuple[OpenSignal, Ending | None, int, float]:
    """Judge the minutes of the gap; return also up to when it is known, and the last close, NaN where none reach it."""
    due_ms, known_ms, last = timeout_ms(open_signal, settings), from_ms, math.nan
    for minute in _minutes(candles, open_signal.signal.side):
        if minute.end_ms <= from_ms or minute.open_ms >= until_ms:
            continue
        if math.isnan(last) and minute.open_ms - from_ms > MINUTE_MS:
            break  # they do not reach back
        if minute.open_ms > known_ms:
            open_signal = unknown_until(open_signal, minute.open_ms)
        if minute.open_ms >= due_ms:
            is_near = math.isnan(last) or minute.open_ms < due_ms + TIMEOUT_LATE_MS
            fill, exit_ms = (minute.open, minute.open_ms) if is_near else (last, due_ms)
            return open_signal, Ending(ExitReason.TIMEOUT, fill, exit_ms, is_inside=True), known_ms, last
        open_signal, ending = _judge_minute(open_signal, minute, look, from_ms, settings)
        if ending is not None:
            exit_ms = min(ending.exit_ms, max(look.now_ms, look.asked_ms))
            return open_signal, ending._replace(exit_ms=exit_ms), known_ms, last
        known_ms, last = minute.end_ms, minute.close
    return open_signal, None, known_ms, last


def _minutes(candles: Candles, side: Side) -> Iterator[_Minute]:
    worst, best = (candles.high, candles.low) if side is Side.SHORT else (candles.low, candles.high)
    columns = (candles.open_ms, candles.open, worst, best, candles.close)
    for open_ms, *prices in zip(*(column.tolist() for column in columns), strict=True):
        yield _Minute(open_ms, *prices)


def _judge_minute(
    open_signal: OpenSignal, minute: _Minute, look: Look, from_ms: int, settings: ScoringSettings
) -> tuple[OpenSignal, Ending | None]:
    """Judge a candle by what we know of its minute.

    One that holds the decision may have its extremes from before: it decides nothing. One that holds the last look has
    what it shows beyond a level from after it, for the signal would have ended had we seen that ourselves; but not what
    it shows beyond a trailing stop, which may have come before the best price. One that goes on after the gap may have
    an extreme from there, if we saw it printed: it is judged with the prints. Unknown times are noted.
    """
    signal, target = open_signal.signal, open_signal.next_target
    against = -signal.side.direction
    until_ms = min(minute.end_ms, look.gap_until_ms or look.now_ms)
    best = against * min(against * minute.best, against * open_signal.best_price)
    stop, trailing_stop = signal.levels.stop, trailing_stop_at(signal, open_signal.best_price, settings)
    levels = (stop, trailing_stop, trailing_stop_at(signal, best, settings))
    is_stop, is_trailed, is_perhaps_trailed = (against * minute.worst >= against * level for level in levels)
    is_target = against * minute.best < against * target
    if minute.open_ms < open_signal.decided_ms:
        is_unknown = is_stop or is_target or is_perhaps_trailed
        return unknown_until(open_signal, until_ms) if is_unknown else open_signal, None
    open_signal = _reached_within(open_signal, minute, from_ms, settings)
    is_worst_later, is_best_later = _printed_later(signal.side, minute, look, until_ms)
    if is_worst_later and (is_stop or is_trailed):
        return unknown_until(open_signal, until_ms), None
    if is_stop or (is_trailed and minute.open_ms >= max(from_ms, open_signal.looked_ms)):
        reason, level = (ExitReason.STOP_LOSS, stop) if is_stop else (ExitReason.TRAILING, trailing_stop)
        is_own = (look.trade_time_ms >= minute.open_ms) & (look.trade_time_ms < minute.end_ms)
        own = look.trade_price[is_own & (look.trade_time_ms > open_signal.decided_ms)]
        fill = worst_of(signal.side, level, minute.open, first_beyond(signal.side, own, level))
        ending = Ending(reason, fill, minute.end_ms, is_ambiguous=is_target, is_inside=True)
        return seen(open_signal, fill), ending
    if is_perhaps_trailed or (is_target and is_best_later):
        open_signal = unknown_until(open_signal, until_ms)
    worst = math.nan if is_worst_later else minute.worst
    if is_target and not is_best_later and not open_signal.is_last_target:
        return _judge_minute(filled(open_signal, minute.end_ms), minute, look, from_ms, settings)
    if is_target and not is_best_later:
        return seen(open_signal, worst, target), Ending(ExitReason.TAKE_PROFIT, target, minute.end_ms, is_inside=True)
    is_past = until_ms < min(minute.end_ms, max(look.now_ms, look.asked_ms))
    # a best price from after the gap must not be trailed by what was seen before it
    return armed(seen(open_signal, worst, math.nan if is_past else minute.best), settings), None


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
