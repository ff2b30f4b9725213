"""Limits that earlier decisions and the user's commands set: state in, state out.

Signals never go back in time: while the clock is behind the last signal there are none (`signals_today`). So the
times kept are ascending, and those that no limit looks at any more can be dropped whatever the clock does next.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, ExitReason, Limits, Outcome, Signal

#: longer than today and yesterday on the day the clocks go back
KEEP_S = 3 * 86_400


def seconds_since_last(limits: Limits, now_ms: int) -> dict[str, float]:
    """Return the seconds since the last signal or exit by coin and instrument; negative where the clock went back."""
    times = limits.last_signal_ms | limits.last_of_instrument_ms
    for coin, exit_ms in limits.last_exit_ms.items():
        times[coin] = max(exit_ms, times.get(coin, exit_ms))
    return {name: (now_ms - time_ms) / 1000 for name, time_ms in times.items()}


def names_in_use(limits: Limits, now_ms: int, cooldown_s: float) -> set[str]:
    """Return the coins that are muted, and the coins and instruments that are cooling."""
    muted = {coin for coin, until_ms in limits.muted_coins.items() if until_ms > now_ms}
    return muted | {name for name, age_s in seconds_since_last(limits, now_ms).items() if age_s < cooldown_s}


def signals_within(limits: Limits, now_ms: int, window_s: float) -> int:
    """Return how many signals the last `window_s` seconds have seen."""
    return sum(time_ms > now_ms - 1000 * window_s for time_ms in limits.signal_times_ms)


def signals_today(limits: Limits, now_ms: int, timezone: str) -> float:
    """Return how many signals this day of `timezone` has seen; infinite while the clock is behind the last one."""
    if limits.signal_times_ms and now_ms < limits.signal_times_ms[-1]:
        return math.inf
    today = _local_date(now_ms, timezone)
    return sum(_local_date(time_ms, timezone) == today for time_ms in limits.signal_times_ms)


def seconds_until(until_ms: int | None, now_ms: int) -> float:
    """Return the seconds left, 0 where it is over or never began, infinite for FOREVER_MS."""
    if until_ms is None or until_ms <= now_ms:
        return 0.0
    return math.inf if until_ms >= FOREVER_MS else (until_ms - now_ms) / 1000


def after_signal(limits: Limits, signal: Signal, settings: ScoringSettings) -> Limits:
    """Return the limits with `signal` counted and with what no limit looks at any more dropped."""
    keep_s = max(KEEP_S, settings.cooldown_s, settings.burst_window_s)
    oldest_ms = signal.decided_ms - round(1000 * keep_s)
    return replace(
        limits,
        next_id=signal.id + 1,
        last_signal_ms=_later(limits.last_signal_ms, oldest_ms) | {signal.coin: signal.decided_ms},
        last_exit_ms=_later(limits.last_exit_ms, oldest_ms),
        last_of_instrument_ms=_later(limits.last_of_instrument_ms, oldest_ms) | {signal.key_name: signal.decided_ms},
        signal_times_ms=(*(time for time in limits.signal_times_ms if time > oldest_ms), signal.decided_ms),
    )


def after_outcome(limits: Limits, signal: Signal, outcome: Outcome, settings: ScoringSettings) -> Limits:
    """Return the limits with the exit counted; enough stop-losses close together start the guard's pause."""
    exit_ms = max(outcome.exit_ms, limits.last_exit_ms.get(signal.coin, 0))
    limits = replace(
        limits,
        last_exit_ms=limits.last_exit_ms | {signal.coin: exit_ms},
        last_of_instrument_ms=limits.last_of_instrument_ms
        | {signal.key_name: max(exit_ms, limits.last_of_instrument_ms.get(signal.key_name, 0))},
    )
    if outcome.reason is not ExitReason.STOP_LOSS:
        return limits
    guard_ms = round(1000 * settings.stoploss_guard_s)
    stops = sorted((*limits.stop_times_ms, outcome.exit_ms))  # those settled from candles may come late
    stops = [time_ms for time_ms in stops if time_ms > stops[-1] - guard_ms]
    until_ms = stops[-1] + guard_ms if len(stops) >= settings.stoploss_guard_count else 0
    return replace(limits, stop_times_ms=tuple(stops), guard_until_ms=max(limits.guard_until_ms, until_ms))


def newest_ms(limits: Limits) -> int:
    """Return the newest time at which anything in the limits happened, 0 where nothing has."""
    counted = (limits.last_signal_ms, limits.last_exit_ms, limits.last_of_instrument_ms)
    times_ms = [time_ms for times in counted for time_ms in times.values()]
    return max([0, *times_ms, *limits.signal_times_ms, *limits.stop_times_ms])


def shift_clock(limits: Limits, step_ms: int) -> Limits:
    """Return the limits after the clock was set by `step_ms`: every time in them moves, so what is left stays true."""

    def moved(time_ms: int) -> int:
        return time_ms + step_ms if 0 < time_ms < FOREVER_MS else time_ms

    def each(times_ms: Mapping[str, int]) -> dict[str, int]:
        return {key: moved(time_ms) for key, time_ms in times_ms.items()}

    return replace(
        limits,
        last_signal_ms=each(limits.last_signal_ms),
        last_exit_ms=each(limits.last_exit_ms),
        last_of_instrument_ms=each(limits.last_of_instrument_ms),
        signal_times_ms=tuple(map(moved, limits.signal_times_ms)),
        stop_times_ms=tuple(map(moved, limits.stop_times_ms)),
        guard_until_ms=moved(limits.guard_until_ms),
        paused_until_ms=None if limits.paused_until_ms is None else moved(limits.paused_until_ms),
        muted_coins=each(limits.muted_coins),
        muted_venues=each(limits.muted_venues),
    )


def pause(limits: Limits, until_ms: int = FOREVER_MS) -> Limits:
    """Return the limits with no signals before `until_ms`."""
    return replace(limits, paused_until_ms=until_ms)


def resume(limits: Limits) -> Limits:
    """Return the limits without the user's pause; the stop-loss guard's stays."""
    return replace(limits, paused_until_ms=None)


def mute_coin(limits: Limits, coin: str, now_ms: int, until_ms: int = FOREVER_MS) -> Limits:
    """Return the limits with `coin` muted, and without the mutes that are over; never for less long than it was."""
    until_ms = max(until_ms, limits.muted_coins.get(coin, until_ms))
    return replace(limits, muted_coins=_later(limits.muted_coins, now_ms) | {coin: until_ms})


def unmute_coin(limits: Limits, coin: str, now_ms: int) -> Limits:
    """Return the limits without the mute of `coin`, and without the mutes that are over."""
    return replace(limits, muted_coins=_later(limits.muted_coins | {coin: now_ms}, now_ms))


def mute_venue(limits: Limits, venue: str, now_ms: int, until_ms: int = FOREVER_MS) -> Limits:
    """Return the limits with `venue` muted, and without the mutes that are over."""
    return replace(limits, muted_venues=_later(limits.muted_venues, now_ms) | {venue: until_ms})


def unmute_venue(limits: Limits, venue: str, now_ms: int) -> Limits:
    """Return the limits without the mute of `venue`, and without the mutes that are over."""
    return replace(limits, muted_venues=_later(limits.muted_venues | {venue: now_ms}, now_ms))


def _later(times_ms: Mapping[str, int], than_ms: int) -> dict[str, int]:
    return {key: time_ms for key, time_ms in times_ms.items() if time_ms > than_ms}


def _local_date(time_ms: int, timezone: str) -> date:
    return datetime.fromtimestamp(time_ms / 1000, ZoneInfo(timezone)).date()
