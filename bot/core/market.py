"""The market from tick to tick: its state, the books and prints of late, and what a restart goes on from."""

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from loguru import logger

from bot.core.arrived import Arrived
from bot.core.tick import View
from features.candle_settings import CandleSettings
from features.facts.market import Candles, FloatArray, IntArray, Observation, OrderBook
from features.frame import compute_features
from features.settings import FeatureSettings
from features.state.candle_store import CandleStore
from features.state.market_state import MarketState
from features.state.snapshot import Snapshot, restore, take_windows
from fetchers.base import MarketFeed
from fetchers.poll_plan import Key
from scoring.capture import Capture, capture
from scoring.settings import ScoringSettings
from scoring.signals import Limits, Signal
from storage.store import Store

APPENDED_AT_ONCE = 250  #: histories come by the thousand
ROWS_AS_ONE = 50  #: candles of a long reply that cost as much as another observation


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """The known past of one instrument, oldest first, (k,) each; NaN where it was not known."""

    time_ms: IntArray
    price: FloatArray  #: [USDT]
    open_interest: FloatArray  #: [base]

    def between(self, from_ms: int, to_ms: int) -> "PriceHistory | None":
        """Return that stretch, None where nothing is known in it."""
        inside = (self.time_ms >= from_ms) & (self.time_ms <= to_ms)
        if not np.isfinite(self.price[inside]).any():
            return None
        return PriceHistory(
            time_ms=self.time_ms[inside], price=self.price[inside], open_interest=self.open_interest[inside]
        )


class Market:
    """Takes what the feed brings; answers for the present and for the past that it keeps."""

    def __init__(
        self, feed: MarketFeed, settings: FeatureSettings, candle_settings: CandleSettings | None = None
    ) -> None:
        self._feed = feed
        self._settings = settings
        self._candle_settings = candle_settings
        self._universe = feed.universe
        self._seen = Arrived()
        # by when they were judged, with two books of what a signal was decided on, each as old as may be looked at
        self._recent: deque[tuple[float, Arrived]] = deque([(math.inf, self._seen)])
        self.state = MarketState((), settings, candle_settings)
        self.kept_coins: dict[Key, str] = {}  #: how the last run named its instruments
        self.books: dict[Key, OrderBook] = {}  #: the last one of each instrument, for charts

    def begin_tick(self, now_ms: int) -> None:
        """Open the tick's row, for the instruments that are watched now."""
        if self._feed.universe is not self._universe or not self.state.instruments:
            self._universe = self._feed.universe
            self.state = self.state.with_instruments(self._universe.instruments)
        self.state.open_past(now_ms)
        self.state.advance(now_ms)
        oldest_ms = now_ms - 2 * 1000 * self._settings.max_data_age_s
        while self._recent[0][0] < oldest_ms:
            self._recent.popleft()

    async def append(self, observations: Sequence[Observation]) -> None:
        """Take what has arrived, in portions: other tasks run between two long steps."""
        self._seen.add(observations)
        for portion in _portions(observations):
            self.state.append(portion)
            await asyncio.sleep(0)

    def view(self, now_ms: int) -> View:
        """Return the market as it is seen now."""
        return View(features=compute_features(self.state, now_ms), column=self.state.column, seen=self._seen)

    def last_view(self, now_ms: int) -> View:
        """Return the market as it is judged now; what comes from here on is judged the next time."""
        view = self.view(now_ms)
        self._recent[-1] = now_ms, self._seen
        self._begin_arrivals()
        return view

    def keep_books(self) -> None:
        """Keep the books that were judged last for charts."""
        self.books |= self._recent[-2][1].books()

    def end_tick(self) -> None:
        """Close the tick's row."""
        self.state.close_row()

    def capture(self, signal: Signal, view: View, limits: Limits, settings: ScoringSettings) -> Capture:
        """Return all that a signal was decided on."""
        return capture(signal, self.state, view.features, limits, settings, [one for _, one in self._recent])

    def renew(self) -> None:
        """Begin the windows anew: the clock was set, and may have been wrong before or be wrong now."""
        candles = self.state.candles  # by the venues' own clocks
        self.state = MarketState(self.state.instruments, self._settings, self._candle_settings)
        self.state.candles = candles
        self._recent.clear()
        self._begin_arrivals()

    def _begin_arrivals(self) -> None:
        self._seen = Arrived()
        self._recent.append((math.inf, self._seen))

    def windows(self, *, with_candles: bool = False) -> Snapshot:
        """Return what a restart goes on from."""
        return take_windows(self.state, with_candles=with_candles)

    async def resume(self, store: Store, now_ms: int) -> None:
        """Go on with the market as it was, where anything of it is still inside a window."""
        try:
            saved = await store.windows.load()
            state = None if saved is None else restore(saved)
        except ValueError as error:
            logger.warning("the windows begin empty: {}", error)
            return
        if state is None:
            return
        self.kept_coins = {one.key: one.coin for one in state.instruments}
        if state.settings != self._settings:
            logger.info("the windows begin empty: they were kept for other settings")
            return
        age_ms = now_ms - int(state.tick_ms.max())
        if 0 <= age_ms <= 1000 * self._settings.book_window_s:  # one from the future would hold up every tick
            logger.info("the windows go on from {:.0f} s ago", age_ms / 1000)
            if state.candles is None or state.candles.settings != self._candle_settings:
                wanted = self._candle_settings
                state.candles = None if wanted is None else CandleStore(state.instruments.tick_size, wanted)
            self.state = state
        else:
            logger.info("the windows begin empty: those kept are {:.0f} s old", age_ms / 1000)

    async def price_history(self, key: Key, needed_ms: int | None = None, lead_ms: int = 0) -> PriceHistory | None:
        """Return what is kept of an instrument, or the venue's candles where that begins after `needed_ms`.

        The candles begin `lead_ms` earlier still.
        """
        state = self.state
        column, rows = state.column.get(key), state.rows(0, math.inf)
        is_kept = needed_ms is None or (len(rows) and state.tick_ms[rows[0]] <= needed_ms)
        if needed_ms is not None and not is_kept and key[0] in self._feed.status():
            candles = await self._feed.fetch_candles(key, needed_ms - lead_ms)
            if candles is not None and len(candles.open_ms):
                return PriceHistory(
                    time_ms=candles.open_ms, price=candles.close, open_interest=np.full(len(candles.close), np.nan)
                )
        if column is None or not np.isfinite(state.price_at[rows, column]).any():
            return None
        return PriceHistory(
            time_ms=state.tick_ms[rows],
            price=state.price_at[rows, column],
            open_interest=state.open_interest_at[rows, column],
        )


def _portions(observations: Sequence[Observation]) -> Iterator[Sequence[Observation]]:
    rows = [len(one.open_ms) if isinstance(one, Candles) else 0 for one in observations]
    portion = np.cumsum([1 + count // ROWS_AS_ONE for count in rows]) // APPENDED_AT_ONCE
    starts = np.flatnonzero(np.diff(portion, prepend=-1)).tolist()
    for first, last in pairwise([*starts, len(observations)]):
        yield observations[first:last]
