"""A market with planted legs, tick by tick: what levels sees of the LONG of docs/levels.md and of its mirror image."""

from collections.abc import Callable, Sequence

import numpy as np

from features.candle_settings import CandleSettings
from features.facts.market import Candles, Instrument, Observation, read_only
from features.frame import FeatureFrame, compute_features
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from tests.builders import instrument, order_book, quotes, trades
from tests.features.phenomena.candle_series import Series, long_setup

QUARTER_MS = 900_000
ROWS = 180  #: candles before the price comes into the zone: more than the warm-up
CLOSE_MS = 1_790_000_100_000 // QUARTER_MS * QUARTER_MS  #: when the last of them closed


def with_history(series: Series, rows: int) -> Series:
    """Return `rows` of the series with a quiet market before it, which has no swings."""
    lacking = ROWS - rows

    def led(values: np.ndarray, first: np.ndarray) -> np.ndarray:
        return np.concatenate([np.tile(first, (lacking, 1)), values[:rows]])

    first = series.open[:1]
    # slowly away from the first price, so that no plateau begins
    return Series(
        open=led(series.open, first),
        high=led(series.high, series.high[:1]),
        low=led(series.low, series.low[:1]),
        close=led(series.close, first),
    )


def candles_of(series: Series, one: Instrument) -> Candles:
    """Return the series as closed candles of an instrument, the last of which closed at CLOSE_MS."""
    count = len(series.close)
    columns = {name: read_only(getattr(series, name)[:, 0], np.float64) for name in ("open", "high", "low", "close")}
    return Candles(
        venue=one.venue,
        id=one.id,
        open_ms=read_only(CLOSE_MS - QUARTER_MS * np.arange(count, 0, -1), np.int64),
        received_ms=CLOSE_MS + 12_000,
        interval_s=900,
        volume_base=read_only(np.ones(count), np.float64),
        **columns,
    )


class Planted:
    """Instruments whose legs are known up to CLOSE_MS, and prices that come tick by tick."""

    def __init__(self, series: Sequence[Series], instruments: Sequence[Instrument] | None = None) -> None:
        default = [instrument(id=f"L{place}USDT", base=f"L{place}", tick_size=0.001) for place in range(len(series))]
        self.instruments = [
            *(instruments or default),
            instrument(id="BTCUSDT", base="BTC", coin="BTC", is_eligible=False),
        ]
        # Bitcoin's return is known from the second tick on
        self.state = MarketState(self.instruments, FeatureSettings(btc_window_s=5.0), CandleSettings())
        self.now_ms = CLOSE_MS + 12_000
        self.state.open_past(self.now_ms)
        self.state.advance(self.now_ms)
        self.state.append([candles_of(one, whose) for one, whose in zip(series, self.instruments, strict=False)])

    def tick(self, *prices: float, spread: float = 0.002) -> FeatureFrame:
        """Return the frame of a tick 5 s later at these mid prices."""
        self.now_ms += 5_000
        self.state.advance(self.now_ms)
        seen: list[Observation] = []
        for one, price in zip(self.instruments, (*prices, 60_000.0), strict=True):
            bid, ask = np.array([price - spread / 2]), np.array([price + spread / 2])
            row = {"funding_rate": 0.0, "mark_price": price, "index_price": price, "funding_interval_h": 8.0}
            seen.append(quotes(self.now_ms, venue=one.venue, ids=(one.id,), bid_price=bid, ask_price=ask, **row))
            steps = np.arange(1, 21) * spread
            seen.append(_book(one, price, steps, self.now_ms))
            seen.append(trades(venue=one.venue, id=one.id, exchange_ms=self.now_ms))
        self.state.append(seen)
        return compute_features(self.state, self.now_ms)


def _book(one: Instrument, price: float, steps: np.ndarray, now_ms: int) -> Observation:
    quantity = 10_000 / price * (1 + now_ms % 7)
    return order_book(
        venue=one.venue,
        id=one.id,
        bids=[(price + steps[0] / 2 - step, quantity) for step in steps.tolist()],
        asks=[(price - steps[0] / 2 + step, quantity) for step in steps.tolist()],
        exchange_ms=now_ms,
    )


def planted(rows: int = 59, change: Callable[[Series], Series] = lambda series: series) -> Planted:
    """Return the LONG and its mirror image, with `rows` of their candles closed."""
    long = with_history(change(long_setup()), rows)
    return Planted([long, long.mirrored(100.0)])
