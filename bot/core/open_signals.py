"""The signals that are followed: what was seen of each and is not judged yet, and the candles it takes to judge it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bot.core.tick import View
from features.backoff import backoff
from features.facts.market import Candles, Observation, Trades, read_only
from features.frame import FeatureFrame
from fetchers.health import Condition
from fetchers.poll_plan import Key
from fetchers.universe import Universe
from fetchers.venue_report import VenueReport
from scoring.exits import (
    MINUTE_MS,
    TIMEOUT_LATE_MS,
    Look,
    follow,
    funded_ms,
    note_funding,
    shift_clock,
    shift_look,
    start,
    timeout_ms,
)
from scoring.levels import settlement_times_ms
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Outcome, Signal

TICKS_MISSED = 2.5  #: so many may bring nothing before that is a gap
FIRST_RETRY_MS, LAST_RETRY_MS = 5_000, 60_000  #: until candles are asked for again
PAGE = 500  #: candles, fewer than any venue's limit: an answer with less is all there is
TAIL_MS = 60_000  #: how long to ask for the newest candle before it is taken that nothing was traded in its minute
PATIENCE_MS = 120_000  #: with a venue that is well and gives no candles: after the first call in vain, and the time-out
BLIND_PATIENCE_MS = 86_400_000  #: after the time-out, with one that is not well


class Source(Protocol):
    """What of the feed is needed here."""

    @property
    def universe(self) -> Universe:
        """What is watched."""

    def status(self) -> Mapping[str, VenueReport]:
        """Return how the venues are doing."""

    async def fetch_candles(self, key: Key, since_ms: int) -> Candles | None:
        """Return 1-minute candles from the minute of `since_ms` on, one page of them; None: no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A look that is not judged yet."""

    look: Look
    can_ask: bool  # candles may be asked for, and its venue has them
    sees: bool  # a quote, or prints


@dataclass(slots=True)
class _Unjudged:
    """What waits for a judgement, oldest first, and when candles are asked for again."""

    waiting: list[_Waiting] = field(default_factory=list)
    tape_ms: int = 0  # every print up to here has been seen, or candles stood in for it
    ask_ms: int = 0
    failures: int = 0
    asked_ms: int = 0  # the first time in vain, of a venue that is well


class OpenSignals:
    """Follows signals to their end, by the same rules and the same polls whatever they are for.

    `asks` says that candles may be asked for where a time was not watched; without that, the next quote has to do.
    """

    def __init__(
        self, source: Source, settings: ScoringSettings, *, max_data_age_s: float, started_ms: int, asks: bool
    ) -> None:
        self._source = source
        self._settings = settings
        self._gap_ms = 1000 * max(max_data_age_s, TICKS_MISSED * settings.refresh_interval_s)
        self._started_ms = started_ms
        self._asks = asks
        self._unjudged: dict[int, _Unjudged] = {}
        self.open: dict[int, OpenSignal] = {}  #: by the signal's id

    def add(self, signals: Iterable[OpenSignal]) -> None:
        """Follow these too."""
        self.open |= {one.signal.id: one for one in signals}

    def begin(self, signals: Iterable[Signal], view: View) -> None:
        """Follow what was just decided on what `view` shows."""
        rates = ((one, _funding_rate(view.features, view.column[one.key])) for one in signals)
        self.add(start(one, rate) for one, rate in rates)

    def remove(self, signal_id: int) -> None:
        """Follow this one no more."""
        del self.open[signal_id]
        self._unjudged.pop(signal_id, None)

    def keys(self) -> set[Key]:
        """Return (venue, id) of the instruments that are followed."""
        return {one.signal.key for one in self.open.values()}

    def names(self) -> set[str]:
        """Return the coins and the instruments that are followed."""
        return {name for one in self.open.values() for name in (one.signal.coin, one.signal.key_name)}

    def shift_clock(self, step_ms: int) -> None:
        """Move every time along with a clock that was set by `step_ms`."""
        self._started_ms += step_ms
        self.open = {signal_id: shift_clock(one, step_ms) for signal_id, one in self.open.items()}
        for unjudged in self._unjudged.values():
            unjudged.waiting = [replace(one, look=shift_look(one.look, step_ms)) for one in unjudged.waiting]
            unjudged.tape_ms = unjudged.tape_ms and unjudged.tape_ms + step_ms
            unjudged.ask_ms = unjudged.ask_ms and unjudged.ask_ms + step_ms
            unjudged.asked_ms = unjudged.asked_ms and unjudged.asked_ms + step_ms

    async def judge(self, view: View) -> list[tuple[OpenSignal, OpenSignal | Outcome]]:
        """Judge each by what this tick saw and what earlier ticks left; return how each was and what it is now.

        One that has ended stays until it is removed, so that nothing is lost where its end cannot be stored.
        """
        judged: list[tuple[OpenSignal, OpenSignal | Outcome]] = []
        for signal_id, before in list(self.open.items()):
            key = before.signal.key
            unjudged = self._unjudged.setdefault(signal_id, _Unjudged(tape_ms=before.tape_ms))
            noted = self._note(before, unjudged, view.features, view.column.get(key), view.seen.get(key, ()))
            followed = await self._judge(noted, unjudged)
            if isinstance(followed, OpenSignal):
                self.open[signal_id] = followed
            judged.append((before, followed))
        return judged

    async def _judge(self, open_signal: OpenSignal, unjudged: _Unjudged) -> OpenSignal | Outcome:
        candles: Candles | None = None
        is_whole = False
        while unjudged.waiting:
            waiting, look = unjudged.waiting[0], unjudged.waiting[0].look
            if look.gap and waiting.can_ask:
                if candles is None:
                    candles, is_whole = await self._candles(open_signal, unjudged)
                if candles is not None:
                    look = _with_candles(look, candles, [later.look for later in unjudged.waiting[1:]])
                if candles is not None and is_whole:
                    unjudged.tape_ms = max(unjudged.tape_ms, look.now_ms)
                elif candles is not None and (ended := self._end_within(open_signal, look, candles)) is not None:
                    return ended
                elif look.is_provisional:
                    look = replace(waiting.look, gap="")  # the quotes have to do
                elif self._is_given_up(open_signal, unjudged):
                    look = replace(waiting.look, is_unsettled=True)
                else:
                    return open_signal
            followed = follow(open_signal, look, self._settings)
            if isinstance(followed, Outcome):
                return followed
            open_signal = followed
            del unjudged.waiting[0]
        return open_signal

    def _end_within(self, open_signal: OpenSignal, look: Look, candles: Candles) -> Outcome | None:
        """Return the end that candles without the newest minute show already; None where that may still decide."""
        ended = follow(open_signal, look, self._settings)
        if not isinstance(ended, Outcome) or ended.ideal is None:
            return None
        return ended if ended.exit_ms <= int(candles.open_ms[-1]) + MINUTE_MS else None

    def _note(
        self,
        one: OpenSignal,
        unjudged: _Unjudged,
        features: FeatureFrame,
        column: int | None,
        observations: Sequence[Observation],
    ) -> OpenSignal:
        """Put what this tick saw behind what waits already; return the signal with the funding, which need not wait."""
        key = one.signal.key
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
        new = _Waiting(look=look, can_ask=can_ask, sees=has_quote or (look.tape_ms > 0 and can_ask))
        new = self._with_gap(one, unjudged, new, observations, has_quote=has_quote)
        unjudged.tape_ms = max(unjudged.tape_ms, look.tape_ms)
        if unjudged.waiting and not unjudged.waiting[-1].sees:
            del unjudged.waiting[-1]  # the new one's gap holds it
        unjudged.waiting.append(new)
        return noted

    def _lacks_prints(
        self, one: OpenSignal, unjudged: _Unjudged, look: Look, observations: Sequence[Observation]
    ) -> bool:
        prints_ms = unjudged.tape_ms or one.decided_ms
        is_late = look.now_ms - max(prints_ms, look.tape_ms) > self._gap_ms
        return is_late or _hole(observations, prints_ms) is not None

    def _with_gap(
        self,
        one: OpenSignal,
        unjudged: _Unjudged,
        new: _Waiting,
        observations: Sequence[Observation],
        *,
        has_quote: bool,
    ) -> _Waiting:
        """Return the look with the time before it that nobody watched."""
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

    async def _candles(self, one: OpenSignal, unjudged: _Unjudged) -> tuple[Candles | None, bool]:
        """Return the candles of all that waits, and whether they are all there will be.

        They are None where none come now; whatever is lacking is asked for again later.
        """
        now_ms = unjudged.waiting[-1].look.now_ms
        if now_ms < unjudged.ask_ms:
            return None, False
        key = one.signal.key
        until_ms = min(now_ms, timeout_ms(one, self._settings) + 2 * MINUTE_MS)
        from_ms = min(waiting.look.gap_from_ms for waiting in unjudged.waiting if waiting.look.gap)
        pages: list[Candles] = []
        page: Candles | None = None
        while from_ms < until_ms:
            page = await self._source.fetch_candles(key, from_ms)
            if page is None or not len(page.open_ms):
                break
            pages.append(page)
            from_ms = max(from_ms, int(page.open_ms[-1]) + MINUTE_MS)
            if len(page.open_ms) < PAGE:
                break
        unjudged.asked_ms = (unjudged.asked_ms or now_ms) if self._is_well(one) else 0
        is_all = page is not None and now_ms - (unjudged.asked_ms or now_ms) >= TAIL_MS
        if pages and (from_ms >= until_ms or is_all):
            unjudged.ask_ms = unjudged.failures = unjudged.asked_ms = 0
            return _joined(pages), True
        unjudged.ask_ms = now_ms + round(backoff(unjudged.failures, first=FIRST_RETRY_MS, longest=LAST_RETRY_MS))
        unjudged.failures += 1
        return (_joined(pages) if pages else None), False

    def _is_given_up(self, one: OpenSignal, unjudged: _Unjudged) -> bool:
        now_ms, due_ms = unjudged.waiting[-1].look.now_ms, timeout_ms(one, self._settings)
        if not self._is_well(one):
            return now_ms >= due_ms + BLIND_PATIENCE_MS
        is_delisted = one.signal.key in self._source.universe.delisted
        asked_ms = unjudged.asked_ms or now_ms
        return now_ms - (asked_ms if is_delisted else max(asked_ms, due_ms)) >= PATIENCE_MS

    def _is_well(self, one: OpenSignal) -> bool:
        return self._source.status()[one.signal.venue].condition in (Condition.OK, Condition.DEGRADED)


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
        funding_rate=_funding_rate(features, column),
        funding_times_ms=settlement_times_ms(
            funded_ms(one),
            look.now_ms,
            float(features.funding_interval_h[column]),
            int(features.next_funding_ms[column]),
        ),
    )


def _funding_rate(features: FeatureFrame, column: int) -> float:
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


def _with_candles(look: Look, candles: Candles, later: Sequence[Look]) -> Look:
    """Return a look with the candles of its gap, and what was printed between it and their coming."""
    return replace(
        look,
        candles=candles,
        asked_ms=later[-1].now_ms if later else look.now_ms,
        later_time_ms=read_only(np.concatenate([[], *(one.trade_time_ms for one in later)]), np.int64),
        later_price=read_only(np.concatenate([[], *(one.trade_price for one in later)]), np.float64),
    )


def _joined(pages: Sequence[Candles]) -> Candles:
    """Return the pages as one, each minute as its last page has it."""
    open_ms = np.concatenate([page.open_ms for page in pages])
    _, last = np.unique(open_ms[::-1], return_index=True)
    kept = len(open_ms) - 1 - last
    open_, high, low, close = (
        read_only(np.concatenate([getattr(page, name) for page in pages])[kept], np.float64)
        for name in ("open", "high", "low", "close")
    )
    minutes = read_only(open_ms[kept], np.int64)
    return replace(pages[-1], open_ms=minutes, open=open_, high=high, low=low, close=close)
