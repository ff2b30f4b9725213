"""Judge one look: its prints one by one, then its quote; end what gives no price any more."""

import math
from dataclasses import replace

import numpy as np

from features.facts.market import FUTURE_MS, FloatArray, IntArray
from scoring.exits.ending import Ending, first_beyond, not_known, worst_of
from scoring.exits.gap import REACH_LATE_MS, TIMEOUT_LATE_MS
from scoring.exits.look import Look, quotes
from scoring.exits.open_signal import filled, seen, timeout_ms, unknown_until
from scoring.exits.trailing import armed, trailing_stop
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, OpenSignal, Side

#: books in a row on the wrong side, and the longest time between two of them
FLIPS, FLIP_WITHIN_MS = 2, 30_000


def judge_sight(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, Ending | None]:
    """Return the signal after the look's prints and quote, and its end where they end it."""
    signal = open_signal.signal
    entry_quote, exit_quote = quotes(signal.side, look)
    age_ms, due_ms = look.now_ms - open_signal.decided_ms, timeout_ms(open_signal, settings)
    is_later = look.trade_time_ms > open_signal.decided_ms
    times_ms, prices = look.trade_time_ms[is_later], look.trade_price[is_later]
    if look.gap and look.candles is None and look.now_ms >= due_ms + TIMEOUT_LATE_MS:
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
    while hit is not None and hit.reason is ExitReason.TAKE_PROFIT and not open_signal.is_last_target:
        open_signal = filled(open_signal, hit.exit_ms)
        hit, before = _stop_or_target(open_signal, look, times_ms, prices)
    if hit is not None:
        note = note if before == len(prices) else ""
        return seen(open_signal, *prices[:before].tolist(), hit.fill), hit._replace(note=note)

    open_signal, trailed = _judge_trailing(open_signal, times_ms, prices, look, settings)
    open_signal = _count_flips(seen(open_signal, *prices.tolist(), exit_quote), look, settings)
    if trailed is not None:
        return seen(open_signal, trailed.fill), trailed
    rules = (
        (ExitReason.BTC_PUMP, -signal.side.direction * look.btc_return >= settings.max_btc_pump_percent / 100),
        (ExitReason.LIQUIDITY_FLIP, open_signal.flips_running >= FLIPS),
        (ExitReason.TIMEOUT, look.now_ms >= due_ms),
        (ExitReason.DELISTED, look.is_delisted),
    )
    broken = [reason for reason, is_broken in rules if is_broken]
    if broken and not math.isnan(exit_quote):
        return open_signal, Ending(broken[0], exit_quote, look.now_ms, note=note)
    is_in_reach = 0 <= age_ms - 1000 * settings.reach_s <= REACH_LATE_MS
    if open_signal.reachable_entry is None and is_in_reach and not math.isnan(entry_quote):
        open_signal = replace(open_signal, reachable_entry=entry_quote, reachable_ms=look.now_ms)
    if has_prints or not math.isnan(exit_quote):
        open_signal = replace(open_signal, looked_ms=max(look.now_ms, open_signal.looked_ms))
    return armed(open_signal, settings), None


def judge_silence(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> Ending | None:
    """Return the end of what gives no price any more, so that nothing stays open for ever."""
    due_ms = timeout_ms(open_signal, settings)
    if look.is_unwatched:
        note = "its venue is no longer among EXCHANGES"
        return Ending(ExitReason.NO_LONGER_WATCHED, math.nan, min(look.now_ms, due_ms), note=note)
    if look.is_delisted:
        return Ending(ExitReason.DELISTED, math.nan, min(look.now_ms, due_ms), note="no price was seen at its end")
    if look.gap and look.candles is None and look.now_ms >= due_ms + TIMEOUT_LATE_MS:
        return not_known(open_signal, look, settings, f"no price was seen at its time-out, for {look.gap}")
    return None


def _stop_or_target(
    open_signal: OpenSignal, look: Look, times_ms: IntArray, prices: FloatArray
) -> tuple[Ending | None, int]:
    """Return the stop or take-profit that was hit, and how many prints came before it."""
    signal = open_signal.signal
    against, stop, target = -signal.side.direction, signal.levels.stop, open_signal.next_target
    entry_quote, exit_quote = quotes(signal.side, look)
    stops, targets = against * prices >= against * stop, against * prices < against * target
    is_stop = bool(stops.any()) or against * entry_quote >= against * stop
    is_target = bool(targets.any()) or against * exit_quote <= against * target
    if not (is_stop or is_target):
        return None, len(prices)
    hits = stops if is_stop else targets
    before = int(np.argmax(hits)) if hits.any() else len(prices)
    exit_ms = int(times_ms[before]) if hits.any() else look.now_ms
    if is_stop:
        fill = worst_of(signal.side, stop, exit_quote, first_beyond(signal.side, prices, stop))
        return Ending(ExitReason.STOP_LOSS, fill, exit_ms, is_ambiguous=is_target), before
    return Ending(ExitReason.TAKE_PROFIT, target, exit_ms), before


def _judge_trailing(
    open_signal: OpenSignal, times_ms: IntArray, prices: FloatArray, look: Look, settings: ScoringSettings
) -> tuple[OpenSignal, Ending | None]:
    """Judge each print, and the quote after them, against the best price before it.

    Prints that come late, from before the last look, may be older than the best price: only that of their own counts.
    """
    side = open_signal.signal.side
    against, exit_quote = -side.direction, quotes(side, look)[1]
    seen = np.array([open_signal.best_price, *prices.tolist(), exit_quote])
    best = against * np.fmin.accumulate(against * seen[:-1])
    is_late = np.append(times_ms <= open_signal.looked_ms, False)
    own = against * np.fmin.accumulate(against * np.array([math.nan, *prices.tolist()]))
    level = trailing_stop(open_signal.signal, np.where(is_late, own, best), settings)
    hits = against * seen[1:] >= against * level
    perhaps = against * seen[1:] >= against * trailing_stop(open_signal.signal, best, settings)
    first = int(np.argmax(hits)) if hits.any() else len(hits)
    if perhaps[:first].any():
        open_signal = unknown_until(open_signal, open_signal.looked_ms)
    if first == len(hits):
        return open_signal, None
    exit_ms = int(times_ms[first]) if first < len(prices) else look.now_ms
    fill = worst_of(side, float(level[first]), float(seen[first + 1]), exit_quote)
    return open_signal, Ending(ExitReason.TRAILING, fill, exit_ms)


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
