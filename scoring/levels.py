"""Entry, take-profit and stop on the venue's tick, and what they are worth after costs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.facts.instruments import Instruments
from features.facts.market import FloatArray, IntArray
from features.frame import FeatureFrame
from features.missing import Missing
from scoring.prices import distance_ticks, price_ticks, tick_price
from scoring.score import clip01
from scoring.settings import ScoringSettings
from scoring.signals import Levels, Side, Signal

#: volatility per square root of a minute at which the stop is still nearest, and above that by which it is farthest
CALM, WILD = 0.001, 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFrame:
    """The levels of n instruments, (n,) each; prices and distances in whole ticks, 0 where they are not known."""

    direction: IntArray  #: 1 where the signal would be LONG, -1 where SHORT
    entry: IntArray
    take_profit: IntArray  #: distance from the entry
    stop: IntArray  #: distance from the entry
    spread: IntArray
    take_profit_percent: FloatArray  #: NaN where there is no entry
    stop_percent: FloatArray
    taker_fee_percent: FloatArray  #: one way
    cost_percent: FloatArray  #: NaN where a rate is needed and missing
    further: tuple[IntArray, ...] = ()  #: distances of further take-profits, each (n,) and beyond the one before
    shares: tuple[float, ...] = (1.0,)  #: of the position that each take-profit closes
    timeout_s: float = math.nan  #: NaN: SIGNAL_TIMEOUT_SECONDS


def compute_levels(
    now_ms: int,
    features: FeatureFrame,
    settings: ScoringSettings,
    direction: ArrayLike,
    timeout_s: float | None = None,
) -> LevelFrame:
    """Compute the levels of a signal on each instrument: a SHORT enters at the best bid, a LONG at the best ask.

    `direction` is -1 where it would be SHORT, 1 where LONG. `timeout_s` is how long it may be held, where a strategy
    has a time of its own.
    The stop is SL_PERCENT_MIN from the entry in a quiet market and SL_PERCENT_MAX in a wild one. Both distances are
    rounded down to whole ticks, so both levels move toward the entry.
    """
    tick_size = features.instruments.tick_size
    bid, ask = price_ticks(features.best_bid, tick_size), price_ticks(features.best_ask, tick_size)
    directions = np.broadcast_to(np.asarray(direction, np.int64), bid.shape)
    # never better than the quote, where a venue's book is finer than its tick: a bid goes down, an ask up
    quote = np.where(directions < 0, features.best_bid, features.best_ask)
    entry = price_ticks(quote, tick_size, lambda ticks: directions * np.ceil(directions * ticks))
    take_profit = distance_ticks(entry, settings.take_profit_percent)
    stop = distance_ticks(entry, stop_percent(features.volatility_minute, settings))
    price = np.where(entry > 0, entry, np.nan)
    fee = _taker_fees_percent(features.instruments, settings)
    return LevelFrame(
        direction=directions,
        entry=entry,
        take_profit=take_profit,
        stop=stop,
        spread=np.where((bid > 0) & (ask > 0), ask - bid, 0),
        take_profit_percent=100 * take_profit / price,
        stop_percent=100 * stop / price,
        taker_fee_percent=fee,
        cost_percent=2 * fee
        + _expected_funding_percent(
            now_ms, features, settings.signal_timeout_s if timeout_s is None else timeout_s, directions
        ),
    )


def stop_percent(volatility_minute: ArrayLike, settings: ScoringSettings) -> FloatArray:
    """Return the stop's distance [%] for sigma60, the volatility per square root of a minute [fraction]."""
    low, high = settings.stop_percent_min, settings.stop_percent_max
    return low + (high - low) * clip01((np.asarray(volatility_minute, float) - CALM) / WILD)


def settlement_times_ms(
    after_ms: int, until_ms: int, funding_interval_h: float, next_funding_ms: int = 0
) -> tuple[int, ...]:
    """Return the settlements later than `after_ms` and not later than `until_ms` [epoch ms].

    They are whole intervals from the one that the venue names, `next_funding_ms`, before it or after it; where it names
    none (0), from midnight UTC. Where the interval is NaN, which is not known, only the named one is.
    """
    if math.isnan(funding_interval_h):
        return (next_funding_ms,) if after_ms < next_funding_ms <= until_ms else ()
    interval_ms = round(funding_interval_h * 3_600_000)
    first_ms = after_ms + interval_ms - (after_ms - next_funding_ms) % interval_ms
    return tuple(range(first_ms, until_ms + 1, interval_ms))


def taker_fee_percent(signal: Signal, settings: ScoringSettings) -> float:
    """Return the taker fee of one way [%] that a signal's levels were made with."""
    fee = signal.levels.taker_fee_percent
    return settings.taker_fee_percent.get(signal.venue, settings.default_taker_fee_percent) if math.isnan(fee) else fee


def _taker_fees_percent(instruments: Instruments, settings: ScoringSettings) -> FloatArray:
    # the user's own, but what the venue publishes for a contract where that is more: some have a fee of their own
    mine = instruments.venue.look_up(settings.taker_fee_percent, otherwise=settings.default_taker_fee_percent)
    return np.maximum(mine, instruments.taker_fee_percent)


def levels_at(frame: LevelFrame, column: int, tick_size: float) -> Levels | None:
    """Return one instrument's levels as prices; None where they are unknown or too near to the entry."""
    entry, take_profit, stop = (int(ticks[column]) for ticks in (frame.entry, frame.take_profit, frame.stop))
    cost = float(frame.cost_percent[column])
    if take_profit == 0 or stop == 0 or np.isnan(cost):
        return None
    direction = int(frame.direction[column])
    net_win = float(frame.take_profit_percent[column]) - cost
    net_loss = float(frame.stop_percent[column]) + cost
    return Levels(
        side=Side.of(direction),
        entry=tick_price(entry, tick_size),
        take_profits=tuple(
            tick_price(entry + direction * int(distance), tick_size)
            for distance in (take_profit, *(ticks[column] for ticks in frame.further))
        ),
        stop=tick_price(entry - direction * stop, tick_size),
        take_profit_percent=float(frame.take_profit_percent[column]),
        stop_percent=float(frame.stop_percent[column]),
        cost_percent=cost,
        net_take_profit_percent=net_win,
        net_stop_percent=net_loss,
        break_even_win_rate=break_even_win_rate(net_win, net_loss),
        taker_fee_percent=float(frame.taker_fee_percent[column]),
        shares=frame.shares,
        timeout_s=frame.timeout_s,
    )


def r_by_targets(levels: Levels) -> tuple[float, ...]:
    """Return what it makes, in units of its risk before costs, where 0, 1 ... of the targets are hit and then the stop.

    With several targets one of them seldom pays for the stop of the rest.
    """
    risk = abs(levels.entry - levels.stop)
    gains = [
        share * abs(price - levels.entry) / risk
        for price, share in zip(levels.take_profits, levels.shares, strict=True)
    ]
    left = [1.0 - sum(levels.shares[:hit]) for hit in range(len(gains))]
    return (*(sum(gains[:hit]) - rest for hit, rest in enumerate(left)), sum(gains))


def break_even_win_rate(net_win_percent: float, net_loss_percent: float) -> float:
    """Return the share of wins [0…1] at which they cancel the losses; 1 where wins do not pay, 0 where losses do."""
    if net_win_percent <= 0:
        return 1.0
    return max(0.0, net_loss_percent) / (net_win_percent + max(0.0, net_loss_percent))


def _expected_funding_percent(now_ms: int, features: FeatureFrame, timeout_s: float, direction: IntArray) -> FloatArray:
    # at today's rate, what settles before the timeout; a missing rate counts only where something does
    is_stale = features.missing["funding"] != Missing.PRESENT
    rate = np.where(is_stale, np.nan, features.funding_rate)
    settlements = _settlements(now_ms, now_ms + round(1000 * timeout_s), features)
    return np.where(settlements == 0, 0.0, 100 * direction * rate * settlements)


def _settlements(after_ms: int, until_ms: int, features: FeatureFrame) -> FloatArray:
    # How many `settlement_times_ms` there are of each instrument, NaN where that is not known.
    interval_ms, next_ms = features.funding_interval_h * 3_600_000, features.next_funding_ms
    by_interval = np.floor((until_ms - next_ms) / interval_ms) - np.floor((after_ms - next_ms) / interval_ms)
    return np.where(np.isnan(interval_ms) & (next_ms > until_ms), 0.0, by_interval)
