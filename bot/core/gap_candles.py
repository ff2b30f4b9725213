"""Candles of unwatched times: asked for, asked for again, and given up."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bot.core.sight import Unjudged
from features.backoff import backoff
from features.facts.market import Candles, read_only
from fetchers.base import CandleSource
from fetchers.health import Condition
from scoring.exits import MINUTE_MS, Look, timeout_ms
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal

FIRST_RETRY_MS, LAST_RETRY_MS = 5_000, 60_000  #: until candles are asked for again
PAGE = 500  #: candles, fewer than any venue's limit: an answer with less is all there is
TAIL_MS = 60_000  #: how long to ask for the newest candle before it is taken that nothing was traded in its minute
PATIENCE_MS = 120_000  #: with a venue that is well and gives no candles: after the first call in vain, and the time-out
BLIND_PATIENCE_MS = 86_400_000  #: after the time-out, with one that is not well


class GapCandles:
    """Asks the venues for candles."""

    def __init__(self, source: CandleSource, settings: ScoringSettings) -> None:
        self._source = source
        self._settings = settings

    async def fetch(self, one: OpenSignal, unjudged: Unjudged) -> tuple[Candles | None, bool]:
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

    def is_given_up(self, one: OpenSignal, unjudged: Unjudged) -> bool:
        """Return whether no candles of what waits will come any more."""
        now_ms, due_ms = unjudged.waiting[-1].look.now_ms, timeout_ms(one, self._settings)
        if not self._is_well(one):
            return now_ms >= due_ms + BLIND_PATIENCE_MS
        is_delisted = one.signal.key in self._source.universe.delisted
        asked_ms = unjudged.asked_ms or now_ms
        return now_ms - (asked_ms if is_delisted else max(asked_ms, due_ms)) >= PATIENCE_MS

    def _is_well(self, one: OpenSignal) -> bool:
        return self._source.status()[one.signal.venue].condition in (Condition.OK, Condition.DEGRADED)


def with_candles(look: Look, candles: Candles, later: Sequence[Look]) -> Look:
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
