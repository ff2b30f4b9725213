"""What becomes of an open signal: a look at the market in, the signal as it stands or its outcome out (section 5).

Both sides are told at once: a price times `against` grows as it goes against the signal.
"""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from features.market import FUTURE_MS, Candles, FloatArray, IntArray, read_only
from scoring.levels import taker_fee_percent
from scoring.settings import ScoringSettings
from scoring.signals import DataTimes, ExitReason, NearMiss, OpenSignal, Outcome, Result, Side, Signal

#: books in a row on the wrong side
FLIPS = 2
#: [fraction of a price] far below any tick
NOISE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of one instrument since the last look; NaN and empty where nothing was."""

    now_ms: int
    trade_time_ms: IntArray = field(default_factory=lambda: read_only([], np.int64))  #: (k,) ascending
    trade_price: FloatArray = field(default_factory=lambda: read_only([], np.float64))  #: (k,)
    best_bid: float = math.nan
    best_ask: float = math.nan
    ask_share: float = math.nan
    book_ms: int = 0  #: exchange time of the book that `ask_share` is from
    btc_return: float = math.nan  #: [fraction] over the BTC window
    funding_rate: float = math.nan  #: [fraction] per settlement
    funding_times_ms: tuple[int, ...] = ()  #: settlements since the last look: `levels.settlement_times_ms`
    gap: str = ""  #: why nothing was seen since the last look, e.g. "a restart"; "" where there was no gap
    candles: Candles | None = None  #: of the gap, from the minute of the last look on; None where there are none
    is_delisted: bool = False


class _Exit(NamedTuple):
    reason: ExitReason
    fill: float
    exit_ms: int
    is_ambiguous: bool = False
    note: str = ""


class _Minute(NamedTuple):
    open_ms: int
    open: float
    worst: float
    best: float
    close: float

    @property
    def end_ms(self) -> int:
        return self.open_ms + 60_000


def start(signal: Signal) -> OpenSignal:
    """Return the signal as it stands at its decision."""
    entry = signal.levels.entry
    return OpenSignal(signal=signal, looked_ms=signal.decided_ms, best_price=entry, worst_price=entry)


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


def shift_clock(open_signal: OpenSignal, step_ms: int) -> OpenSignal:
    """Return the signal after the clock was set by `step_ms`: every time in it moves, so elapsed time stays true."""
    signal = open_signal.signal
    times = signal.data_times
    moved = {name: time_ms + step_ms for name in DataTimes.__slots__ if (time_ms := getattr(times, name)) is not None}
    return replace(
        open_signal,
        signal=replace(signal, decided_ms=signal.decided_ms + step_ms, data_times=replace(times, **moved)),
        looked_ms=open_signal.looked_ms + step_ms,
        last_book_ms=open_signal.last_book_ms and open_signal.last_book_ms + step_ms,
    )


def follow(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> OpenSignal | Outcome:
    """Judge one look at an open signal: first what candles tell of a gap, then prints and quote.

    A stop comes before all else, then the take-profit, trailing, BTC pump, liquidity flip, timeout and delisting. It
    fills at the worse of itself and the exit side's quote (the best ask of a SHORT), the first take-profit at itself,
    the rest at the exit side's quote: where there is none they wait for it.
    """
    judged, ending = _judge_candles(open_signal, look, settings)
    if ending is None:
        judged, ending = _judge_quotes(judged, look, settings)
    paid, funding_note = _funding_paid_percent(open_signal, look, ending.exit_ms if ending else look.now_ms)
    judged = replace(judged, funding_paid_percent=open_signal.funding_paid_percent + paid)
    if ending is None:
        return replace(judged, looked_ms=max(look.now_ms, open_signal.looked_ms))
    return _outcome(judged, ending, "; ".join(filter(None, (ending.note, funding_note))), settings)


def _judge_candles(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, _Exit | None]:
    candles = look.candles
    if candles is None:
        return open_signal, None
    is_short = open_signal.signal.side is Side.SHORT
    worst, best = (candles.high, candles.low) if is_short else (candles.low, candles.high)
    columns = (candles.open_ms, candles.open, worst, best, candles.close)
    for open_ms, *prices in zip(*(column.tolist() for column in columns), strict=True):
        minute = _Minute(open_ms, *prices)
        if minute.end_ms <= open_signal.looked_ms:
            continue
        open_signal, ending = _judge_minute(open_signal, minute, settings)
        if ending is not None:
            note = f"settled from 1-minute candles after {look.gap}"
            return open_signal, ending._replace(exit_ms=min(ending.exit_ms, look.now_ms), note=note)
    return open_signal, None


def _judge_minute(
    open_signal: OpenSignal, minute: _Minute, settings: ScoringSettings
) -> tuple[OpenSignal, _Exit | None]:
    signal, levels = open_signal.signal, open_signal.signal.levels
    against = -signal.side.direction
    age_ms = minute.open_ms - signal.decided_ms
    if age_ms >= 1000 * settings.signal_timeout_s:
        return open_signal, _Exit(ExitReason.TIMEOUT, minute.open, minute.open_ms)
    if open_signal.reachable_entry is None and age_ms >= 1000 * settings.reach_s:
        open_signal = replace(open_signal, reachable_entry=minute.open)
    # part of the minute of the decision came before it: only its worst price and its last count
    holds_decision = age_ms < 0
    best = minute.close if holds_decision else minute.best
    is_target = against * best < against * levels.take_profits[0]
    trailing_stop = float(_trailing_stop(signal, np.array(open_signal.best_price), settings))
    for reason, level in ((ExitReason.STOP_LOSS, levels.stop), (ExitReason.TRAILING, trailing_stop)):
        if against * minute.worst >= against * level:
            fill = level if holds_decision else _worse(signal.side, level, minute.open)
            return _seen(open_signal, fill), _Exit(reason, fill, minute.end_ms, is_target or holds_decision)
    if is_target:
        fill = levels.take_profits[0]
        return _seen(open_signal, minute.worst, fill), _Exit(ExitReason.TAKE_PROFIT, fill, minute.end_ms)
    return _seen(open_signal, minute.worst, best), None


def _judge_quotes(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> tuple[OpenSignal, _Exit | None]:
    signal = open_signal.signal
    entry_quote, exit_quote = _quotes(signal.side, look)
    note = f"settled from the first quote after {look.gap}" if look.gap else ""
    is_later = look.trade_time_ms > signal.decided_ms
    times_ms, prices = look.trade_time_ms[is_later], look.trade_price[is_later]
    hit, before = _stop_or_target(signal, look, times_ms, prices)
    if hit is not None:
        return _seen(open_signal, *prices[:before].tolist(), hit.fill), hit._replace(note=note)

    is_trailed = _is_trailed(open_signal, prices, exit_quote, settings)
    open_signal = _count_flips(_seen(open_signal, *prices.tolist(), exit_quote), look, settings)
    age_ms = look.now_ms - signal.decided_ms
    rules = (
        (ExitReason.TRAILING, is_trailed),
        (ExitReason.BTC_PUMP, -signal.side.direction * look.btc_return >= settings.max_btc_pump_percent / 100),
        (ExitReason.LIQUIDITY_FLIP, open_signal.flips_running >= FLIPS),
        (ExitReason.TIMEOUT, age_ms >= 1000 * settings.signal_timeout_s),
        (ExitReason.DELISTED, look.is_delisted),
    )
    broken = [reason for reason, is_broken in rules if is_broken]
    if broken and not math.isnan(exit_quote):
        return open_signal, _Exit(broken[0], exit_quote, look.now_ms, note=note)
    if look.is_delisted:
        note = "delisted without a quote: filled at the worst price seen"
        return open_signal, _Exit(ExitReason.DELISTED, open_signal.worst_price, look.now_ms, note=note)
    if open_signal.reachable_entry is None and age_ms >= 1000 * settings.reach_s and not math.isnan(entry_quote):
        open_signal = replace(open_signal, reachable_entry=entry_quote)
    is_armed = not np.isnan(_trailing_stop(signal, np.array(open_signal.best_price), settings))
    return replace(open_signal, is_trailing_armed=bool(is_armed)), None


def _stop_or_target(signal: Signal, look: Look, times_ms: IntArray, prices: FloatArray) -> tuple[_Exit | None, int]:
    # and how many prints came before it
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
        fill = _worse(signal.side, stop, exit_quote)
        return _Exit(ExitReason.STOP_LOSS, fill, exit_ms, is_ambiguous=is_target), before
    return _Exit(ExitReason.TAKE_PROFIT, target, exit_ms), before


def _quotes(side: Side, look: Look) -> tuple[float, float]:
    # where the side enters, and where it leaves
    return (look.best_bid, look.best_ask) if side is Side.SHORT else (look.best_ask, look.best_bid)


def _is_trailed(open_signal: OpenSignal, prices: FloatArray, exit_quote: float, settings: ScoringSettings) -> bool:
    # each print, and the quote after them, against the best price before it
    against = -open_signal.signal.side.direction
    seen = np.array([open_signal.best_price, *prices.tolist(), exit_quote])
    best = against * np.minimum.accumulate(against * seen[:-1])
    return bool((against * seen[1:] >= against * _trailing_stop(open_signal.signal, best, settings)).any())


def _trailing_stop(signal: Signal, best_price: FloatArray, settings: ScoringSettings) -> FloatArray:
    # NaN until armed; a hair toward the price, so that a float's noise never outlasts a touch
    against = -signal.side.direction
    armed_at = signal.levels.entry * (1 - against * (settings.trail_activation_percent / 100 - NOISE))
    level = best_price * (1 + against * (settings.trail_distance_percent / 100 - NOISE))
    is_armed = settings.trailing_enabled & (against * best_price <= against * armed_at)
    return np.where(is_armed, level, np.nan)


def _count_flips(open_signal: OpenSignal, look: Look, settings: ScoringSettings) -> OpenSignal:
    is_new = look.book_ms > open_signal.last_book_ms and not math.isnan(look.ask_share)
    if not is_new or not -FUTURE_MS <= look.now_ms - look.book_ms <= 1000 * settings.max_data_age_s:
        return open_signal
    own_share = look.ask_share if open_signal.signal.side is Side.SHORT else 1 - look.ask_share
    flips = open_signal.flips_running + 1 if own_share <= settings.liquidity_flip_ask_share else 0
    return replace(open_signal, flips_running=flips, last_book_ms=look.book_ms)


def _seen(open_signal: OpenSignal, *prices: float) -> OpenSignal:
    direction = open_signal.signal.side.direction
    signed = [direction * price for price in prices if not math.isnan(price)]
    best = direction * max([direction * open_signal.best_price, *signed])
    worst = direction * min([direction * open_signal.worst_price, *signed])
    return replace(open_signal, best_price=best, worst_price=worst)


def _worse(side: Side, price: float, quote: float) -> float:
    if math.isnan(quote):
        return price
    return max(price, quote) if side is Side.SHORT else min(price, quote)


def _funding_paid_percent(open_signal: OpenSignal, look: Look, until_ms: int) -> tuple[float, str]:
    settled = sum(open_signal.looked_ms < time_ms <= until_ms for time_ms in look.funding_times_ms)
    if settled and math.isnan(look.funding_rate):
        return 0.0, "funding unknown"
    return (100 * open_signal.signal.side.direction * look.funding_rate * settled if settled else 0.0), ""


def _outcome(open_signal: OpenSignal, ending: _Exit, note: str, settings: ScoringSettings) -> Outcome:
    signal, entry = open_signal.signal, open_signal.signal.levels.entry
    costs = 2 * taker_fee_percent(signal.venue, settings) + open_signal.funding_paid_percent
    direction = signal.side.direction
    return Outcome(
        signal_id=signal.id,
        reason=ending.reason,
        exit_ms=ending.exit_ms,
        fill=ending.fill,
        ideal=_result(signal, entry, ending.fill, costs),
        reachable=_reachable(open_signal, ending.fill, costs),
        mae_percent=max(0.0, 100 * direction * (entry - open_signal.worst_price) / entry),
        mfe_percent=max(0.0, 100 * direction * (open_signal.best_price - entry) / entry),
        held_s=max(0, ending.exit_ms - signal.decided_ms) / 1000,
        is_ambiguous=ending.is_ambiguous,
        note=note,
    )


def _reachable(open_signal: OpenSignal, fill: float, costs_percent: float) -> Result | None:
    signal, entry = open_signal.signal, open_signal.reachable_entry
    if entry is None or signal.side.direction * (entry - signal.levels.stop) <= 0:
        return None  # nobody enters at the stop
    return _result(signal, entry, fill, costs_percent)


def _result(signal: Signal, entry: float, fill: float, costs_percent: float) -> Result:
    gross = 100 * signal.side.direction * (fill - entry) / entry
    risk = 100 * abs(signal.levels.stop - entry) / entry
    net = gross - costs_percent
    return Result(entry=entry, gross_percent=gross, net_percent=net, r=net / risk)
