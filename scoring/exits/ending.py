"""How a signal ends, and the outcome that is made of it: results net of fees and funding, with what is not known."""

import math
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from features.facts.market import FloatArray
from scoring.exits.look import Look
from scoring.exits.open_signal import timeout_ms
from scoring.levels import taker_fee_percent
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, Fill, OpenSignal, Outcome, Result, Side, Signal, Unreachable

MINUTE_MS = 60_000


class Ending(NamedTuple):
    """Why, where and when a signal ends."""

    reason: ExitReason
    fill: float  # NaN: no result
    exit_ms: int
    is_ambiguous: bool = False
    note: str = ""
    is_inside: bool = False  # at a time inside the minute that ends at `exit_ms`


def not_known(open_signal: OpenSignal, look: Look, settings: ScoringSettings, note: str) -> Ending:
    """Return an end that cannot be judged."""
    exit_ms = min(look.now_ms, timeout_ms(open_signal, settings))
    return Ending(ExitReason.NOT_KNOWN, math.nan, exit_ms, note=note)


def worst_of(side: Side, *prices: float) -> float:
    """Return the worst of the known prices at which the side could leave."""
    known = [price for price in prices if not math.isnan(price)]
    return max(known) if side is Side.SHORT else min(known)


def first_beyond(side: Side, prices: FloatArray, level: float) -> float:
    """Return the first price at or beyond a level against the side, NaN where there is none."""
    hits = -side.direction * prices >= -side.direction * level
    return float(prices[np.argmax(hits)]) if hits.any() else math.nan


def outcome_of(open_signal: OpenSignal, ending: Ending, settings: ScoringSettings) -> Outcome:
    """Return the outcome of a signal that ends so."""
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
        ideal=_result(signal, entry, _mean_fill(open_signal, ending), costs) if has_result else None,
        reachable=reachable,
        reachable_ms=None if reachable is None else open_signal.reachable_ms,
        unreachable=unreachable,
        mae_percent=max(0.0, 100 * direction * (entry - open_signal.worst_price) / entry),
        mfe_percent=max(0.0, 100 * direction * (open_signal.best_price - entry) / entry),
        held_s=max(0, ending.exit_ms - open_signal.decided_ms) / 1000,
        is_ambiguous=ending.is_ambiguous,
        note="; ".join(filter(None, notes)),
        is_by_quotes=is_by_quotes,
        fills=_fills(open_signal, ending),
    )


def _clock(time_ms: int, settings: ScoringSettings) -> str:
    # rounded up: what is said to be known is known
    time_s = -(-time_ms // MINUTE_MS) * MINUTE_MS / 1000
    return f"{datetime.fromtimestamp(time_s, ZoneInfo(settings.timezone)):%H:%M}"


def _reachable(
    open_signal: OpenSignal, ending: Ending, costs_percent: float, settings: ScoringSettings
) -> tuple[Result | None, Unreachable]:
    if math.isnan(ending.fill):
        return None, Unreachable.NO
    if open_signal.reachable_entry is not None:
        fill = _mean_fill(open_signal, ending)
        return _result(open_signal.signal, open_signal.reachable_entry, fill, costs_percent), Unreachable.NO
    is_before = ending.exit_ms < open_signal.decided_ms + 1000 * settings.reach_s
    return None, Unreachable.ENDED_BEFORE if is_before else Unreachable.NOT_SEEN


def _fills(open_signal: OpenSignal, ending: Ending) -> tuple[Fill, ...]:
    # what closed the shares, the last by the end; () where there was one target
    if len(open_signal.signal.levels.take_profits) == 1 or math.isnan(ending.fill):
        return open_signal.fills
    left = 1.0 - sum(one.share for one in open_signal.fills)
    return (
        *open_signal.fills,
        Fill(share=left, price=ending.fill, time_ms=ending.exit_ms, reason=ending.reason),
    )


def _mean_fill(open_signal: OpenSignal, ending: Ending) -> float:
    # the gross result is linear in the price: that of the mean is the mean of the shares' results
    fills = _fills(open_signal, ending)
    return sum(one.share * one.price for one in fills) if fills else ending.fill


def _result(signal: Signal, entry: float, fill: float, costs_percent: float) -> Result:
    planned = signal.levels.entry
    gross = 100 * signal.side.direction * (fill - entry) / entry
    risk = 100 * abs(signal.levels.stop - planned) / planned
    net = gross - costs_percent
    return Result(entry=entry, gross_percent=gross, net_percent=net, r=net / risk)
