"""Looks at followed signals that are not judged yet, and the unwatched gaps between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bot.core.tick import View
from features.facts.market import Observation, Trades, read_only
from features.frame import FeatureFrame
from fetchers.base import CandleSource
from scoring.exits import TIMEOUT_LATE_MS, Look, funded_ms, note_funding, shift_look, timeout_ms
from scoring.levels import settlement_times_ms
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal

TICKS_MISSED = 2.5  #: so many may bring nothing before that is a gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A look that is not judged yet."""

    look: Look
    can_ask: bool  # candles may be asked for, and its venue has them
    sees: bool  # a quote, or prints


@dataclass(slots=True)
class Unjudged:
    """Looks that wait for a judgement, oldest first, and when candles are asked for again."""

    waiting: list[Waiting] = field(default_factory=list)
    tape_ms: int = 0  # every print up to here has been seen, or replaced by candles
    ask_ms: int = 0
    failures: int = 0
    asked_ms: int = 0  # the first time in vain, of a venue that is well

    def shift_clock(self, step_ms: int) -> None:
        """Move every time along with a clock that was set by `step_ms`."""
        self.waiting = [replace(one, look=shift_look(one.look, step_ms)) for one in self.waiting]
        self.tape_ms = self.tape_ms and self.tape_ms + step_ms
        self.ask_ms = self.ask_ms and self.ask_ms + step_ms
        self.asked_ms = self.asked_ms and self.asked_ms + step_ms


class Sight:
    """Notes what ticks see, and where nothing was seen for too long.

    `asks` says that candles may be asked for where a time was not watched; without that, the next quote has to do.
    """

    def __init__(
        self, source: CandleSource, settings: ScoringSettings, *, max_data_age_s: float, started_ms: int, asks: bool
    ) -> None:
        self._source = source
        self._settings = settings
        self._gap_ms = 1000 * max(max_data_age_s, TICKS_MISSED * settings.refresh_interval_s)
        self._started_ms = started_ms
        self._asks = asks

    def shift_clock(self, step_ms: int) -> None:
        """Move the start along with a clock that was set by `step_ms`."""
        self._started_ms += step_ms

    def note(self, one: OpenSignal, unjudged: Unjudged, view: View) -> OpenSignal:
        """Put what this tick saw behind what waits already; return the signal with the funding, which need not wait."""
        key, features = one.signal.key, view.features
        column, observations = view.column.get(key), view.seen.get(key, ())
        look = Look(now_ms=features.now_ms, btc_return=features.btc_return)
        if column is None:
            is_unwatched = key[0] not in self._source.status()
            look, can_ask = replace(look, is_unwatched=is_unwatched), self._asks and not is_unwatched
        else:
            look = _sight(one, look, features, column, observations)
            can_ask = self._asks and features.instruments[column].publishes_trades
        has_quote = math.isfinite(look.best_bid) and math.isfinite(look.best_ask)
        noted = note_funding(one, look)
        look = replace(look, funding_rate=math.nan, funding_times_ms=())
        if not can_ask and self._lacks_prints(one, unjudged, look, observations):
            look = replace(look, lacks_prints=True)
        new = Waiting(look=look, can_ask=can_ask, sees=has_quote or (look.tape_ms > 0 and can_ask))
        new = self._with_gap(one, unjudged, new, observations, has_quote=has_quote)
        unjudged.tape_ms = max(unjudged.tape_ms, look.tape_ms)
        if unjudged.waiting and not unjudged.waiting[-1].sees:
            del unjudged.waiting[-1]  # the new one's gap holds it
        unjudged.waiting.append(new)
        return noted

    def _lacks_prints(
        self, one: OpenSignal, unjudged: Unjudged, look: Look, observations: Sequence[Observation]
    ) -> bool:
        prints_ms = unjudged.tape_ms or one.decided_ms
        is_late = look.now_ms - max(prints_ms, look.tape_ms) > self._gap_ms
        return is_late or _hole(observations, prints_ms) is not None

    def _with_gap(
        self,
        one: OpenSignal,
        unjudged: Unjudged,
        new: Waiting,
        observations: Sequence[Observation],
        *,
        has_quote: bool,
    ) -> Waiting:
        """Return the look with the unwatched time before it."""
        look, now_ms = new.look, new.look.now_ms
        seen_ms = max([one.looked_ms, *(earlier.look.now_ms for earlier in unjudged.waiting if earlier.sees)])
        prints_ms = unjudged.tape_ms or one.decided_ms
        due_ms = timeout_ms(one, self._settings)
        hole = _hole(observations, prints_ms) if new.can_ask else None
        lost = "a restart" if one.looked_ms < self._started_ms else "a time without data"
        from_ms, until_ms = seen_ms, 0
        is_long = not new.sees and now_ms - seen_ms > self._gap_ms
        if hole is not None:
            gap = lost if now_ms - seen_ms > self._gap_ms else "a gap in the prints"
            from_ms, until_ms = hole
        elif one.signal.key in self._source.universe.delisted and is_long:
            gap, look = "the end of its trading", replace(look, is_delisted=True)
        elif not has_quote and now_ms >= due_ms + TIMEOUT_LATE_MS:
            gap, from_ms = "a time without quotes", min(seen_ms, due_ms)
        elif now_ms - max(seen_ms, look.tape_ms if new.can_ask else 0) > self._gap_ms:
            gap, from_ms = lost, min(seen_ms, unjudged.tape_ms or seen_ms)
        elif new.can_ask and now_ms - max(prints_ms, look.tape_ms) > self._gap_ms:
            gap, from_ms = "a time without prints", prints_ms
            look = replace(look, is_provisional=True)
        else:
            return new
        return replace(new, look=replace(look, gap=gap, gap_from_ms=from_ms, gap_until_ms=until_ms))


def _sight(
    one: OpenSignal,
    look: Look,
    features: FeatureFrame,
    column: int,
    observations: Sequence[Observation],
) -> Look:
    """Return the look with what this tick saw of the instrument."""
    prints = [trades for trades in observations if isinstance(trades, Trades)]
    time_ms = np.concatenate([trades.time_ms for trades in prints] or [np.empty(0)])
    price = np.concatenate([trades.price for trades in prints] or [np.empty(0)])
    is_later = time_ms > one.decided_ms  # a first look brings prints from before the decision
    return replace(
        look,
        trade_time_ms=read_only(time_ms[is_later], np.int64),
        trade_price=read_only(price[is_later], np.float64),
        tape_ms=max((trades.exchange_ms for trades in prints), default=0),
        best_bid=float(features.best_bid[column]),
        best_ask=float(features.best_ask[column]),
        price=float(features.price[column]),
        ask_share=float(features.ask_share[column]),
        book_ms=int(features.book_ms[column]),
        funding_rate=funding_rate(features, column),
        funding_times_ms=settlement_times_ms(
            funded_ms(one),
            look.now_ms,
            float(features.funding_interval_h[column]),
            int(features.next_funding_ms[column]),
        ),
    )


def funding_rate(features: FeatureFrame, column: int) -> float:
    """Return the funding rate of an instrument [fraction per settlement]."""
    return float(features.funding_rate[column])


def _hole(observations: Sequence[Observation], tape_ms: int) -> tuple[int, int] | None:
    """Return the time (from, until) in which prints were lost, if any were, where all are known up to `tape_ms`."""
    hole: tuple[int, int] | None = None
    for trades in observations:
        if isinstance(trades, Trades):
            first_ms = int(trades.time_ms[0]) if len(trades.time_ms) else trades.exchange_ms
            if not trades.continues and first_ms > tape_ms:
                hole = (hole[0] if hole else tape_ms, first_ms)
            tape_ms = max(tape_ms, trades.exchange_ms)
    return hole
