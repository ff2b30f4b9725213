"""From a tick's features and prints to what `exits.follow` wants to know of one open signal."""

from collections.abc import Iterable

import numpy as np

from features.frame import FeatureFrame
from features.market import Candles, Observation, OrderBook, Trades, read_only
from fetchers.plan import Key
from scoring.exits import Look
from scoring.levels import settlement_times_ms
from scoring.signals import OpenSignal


def note_looks(seen: dict[Key, list[OrderBook | Trades]], observations: Iterable[Observation]) -> None:
    """Add to the books and prints of each instrument what has arrived."""
    for one in observations:
        if isinstance(one, OrderBook | Trades):
            seen.setdefault((one.venue, one.id), []).append(one)


def look_at(
    open_signal: OpenSignal,
    features: FeatureFrame,
    column: int | None,
    observations: Iterable[Observation],
    *,
    gap: str = "",
    candles: Candles | None = None,
) -> Look:
    """Return what was seen since the last look; `column` None: the instrument is no longer listed."""
    if column is None:
        return Look(now_ms=features.now_ms, gap=gap, candles=candles, is_delisted=True)
    instrument = features.instruments[column]
    prints = [
        trades for trades in observations if isinstance(trades, Trades) and (trades.venue, trades.id) == instrument.key
    ]
    time_ms = np.concatenate([trades.time_ms for trades in prints] or [np.empty(0, np.int64)])
    price = np.concatenate([trades.price for trades in prints] or [np.empty(0)])
    since_ms = open_signal.signal.decided_ms  # a first look brings prints from before the decision
    return Look(
        now_ms=features.now_ms,
        trade_time_ms=read_only(time_ms[time_ms > since_ms], np.int64),
        trade_price=read_only(price[time_ms > since_ms], np.float64),
        best_bid=float(features.best_bid[column]),
        best_ask=float(features.best_ask[column]),
        ask_share=float(features.ask_share[column]),
        book_ms=int(features.book_ms[column]),
        btc_return=features.btc_return,
        funding_rate=float(features.funding_rate[column]),
        funding_times_ms=settlement_times_ms(
            open_signal.looked_ms,
            features.now_ms,
            float(features.funding_interval_h[column]),
            int(features.next_funding_ms[column]),
        ),
        gap=gap,
        candles=candles,
    )
