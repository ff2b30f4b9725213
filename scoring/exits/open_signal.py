"""The state of an open signal: how it begins, and what is kept from look to look."""

import math
from dataclasses import replace

from scoring.exits.look import Look, moved
from scoring.settings import ScoringSettings
from scoring.signals import DataTimes, ExitReason, Fill, NearMiss, OpenSignal, Settlement, Signal


def start(signal: Signal, funding_rate: float = math.nan) -> OpenSignal:
    """Return the signal's state at its decision; `funding_rate` [fraction per settlement] was seen with it."""
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
    own_s = open_signal.signal.levels.timeout_s
    return open_signal.decided_ms + round(1000 * (settings.signal_timeout_s if math.isnan(own_s) else own_s))


def funded_ms(open_signal: OpenSignal) -> int:
    """Return the time up to which the signal knows the settlements of funding: its decision, or the last of them."""
    return open_signal.settlements[-1].time_ms if open_signal.settlements else open_signal.decided_ms


def shift_clock(open_signal: OpenSignal, step_ms: int) -> OpenSignal:
    """Return the same after the clock was set by `step_ms`: each time moves along, so that elapsed time stays true."""
    signal, times = open_signal.signal, open_signal.signal.data_times
    shifted = {name: time_ms + step_ms for name in DataTimes.__slots__ if (time_ms := getattr(times, name)) is not None}
    names = ("looked_ms", "reachable_ms", "flip_ms", "last_book_ms", "tape_ms", "unknown_until_ms")
    return replace(
        open_signal,
        signal=replace(signal, decided_ms=signal.decided_ms + step_ms, data_times=replace(times, **shifted)),
        settlements=tuple(replace(one, time_ms=one.time_ms + step_ms) for one in open_signal.settlements),
        fills=tuple(replace(one, time_ms=one.time_ms + step_ms) for one in open_signal.fills),
        **moved(open_signal, names, step_ms),
    )


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


def seen(open_signal: OpenSignal, *prices: float) -> OpenSignal:
    """Return the signal with the best and the worst of these prices, those that are NaN left out."""
    direction = open_signal.signal.side.direction
    signed = [direction * price for price in prices if not math.isnan(price)]
    best = direction * max([direction * open_signal.best_price, *signed])
    worst = direction * min([direction * open_signal.worst_price, *signed])
    return replace(open_signal, best_price=best, worst_price=worst)


def filled(open_signal: OpenSignal, time_ms: int) -> OpenSignal:
    """Return the signal after its next target was hit, others being left."""
    share = open_signal.signal.levels.shares[len(open_signal.fills)]
    fill = Fill(share=share, price=open_signal.next_target, time_ms=time_ms, reason=ExitReason.TAKE_PROFIT)
    return replace(open_signal, fills=(*open_signal.fills, fill))


def unknown_until(open_signal: OpenSignal, until_ms: int) -> OpenSignal:
    """Return the signal with the note that what happened up to then is not known."""
    return replace(open_signal, unknown_until_ms=max(open_signal.unknown_until_ms, until_ms))
