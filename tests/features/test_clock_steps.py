"""A market whose clock is set: what is new is taken at once, and what comes from the future is never believed."""

from typing import Any

import pytest

from features.facts.market import Observation, moved
from features.frame import FeatureFrame, compute_features
from features.missing import Missing
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from scoring.decide import explain
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies import STRATEGIES
from tests.builders import NOW_MS, instrument, order_book, quotes, trades

TICK_MS = 5_000


class Market:
    """One coin, tick by tick."""

    def __init__(self) -> None:
        self.state = MarketState([instrument()], FeatureSettings())

    def tick(self, now_ms: int, price: float = 100.0, last_size: float = 1.0) -> FeatureFrame:
        """Let everything be said at `now_ms`: quotes, a book, eight sells within the last second."""
        prints = [(now_ms - 900 + 100 * k, price - 0.01 * k, last_size if k == 7 else 1.0, True) for k in range(8)]
        self.see(now_ms, quotes(now_ms, bid_price=price * 0.9999, ask_price=price * 1.0001))
        bids, asks = ([(price * (1 + side * 1e-4 * k), 100.0) for k in range(1, 9)] for side in (-1, 1))
        self.state.append([order_book(bids=bids, asks=asks, exchange_ms=now_ms), trades(prints, exchange_ms=now_ms)])
        return compute_features(self.state, now_ms)

    def see(self, now_ms: int, *observations: Observation) -> FeatureFrame:
        """Let these be all that is said."""
        self.state.open_past(now_ms)
        self.state.advance(now_ms)
        self.state.append(observations)
        return compute_features(self.state, now_ms)


def missing(frame: FeatureFrame, *parts: str) -> set[Missing]:
    """Return why parts are missing."""
    return {Missing(frame.missing[part][0]) for part in parts}


@pytest.mark.parametrize("back_s", [3, 60, 600, 3600, 86_400])
def test_a_clock_set_back(back_s: int) -> None:
    """From the first tick on the price is the market's, not that of before, and the old sweep is gone."""
    market = Market()
    for number in range(200):
        frame = market.tick(NOW_MS + number * TICK_MS, last_size=400.0 if number == 199 else 1.0)
    assert frame.sweep_multiple[0] > 5
    back_ms = frame.now_ms - 1000 * back_s
    for number in range(3):
        frame = market.tick(back_ms + number * TICK_MS, 110.0)
        assert frame.price[0] == pytest.approx(110.0)
        assert frame.best_bid[0] == pytest.approx(110.0 * 0.9999)
        assert missing(frame, "price", "spread", "book") == {Missing.PRESENT}
        assert not frame.sweep_multiple[0] > 0


def test_one_tick_an_hour_ahead() -> None:
    """It costs no more than a fresh start: prices at once, flow with its windows."""
    market = Market()
    for number in range(250):
        market.tick(NOW_MS + number * TICK_MS)
    now_ms = NOW_MS + 250 * TICK_MS
    market.see(now_ms + 3_600_000)
    first = market.tick(now_ms + TICK_MS)
    assert missing(first, "price", "spread", "book") == {Missing.PRESENT}
    for number in range(2, 13 * 60 // 5):
        frame = market.tick(now_ms + number * TICK_MS)
        if number == 61 * 1000 // TICK_MS + 1:
            assert missing(frame, "taker_sell_share") == {Missing.PRESENT}
    assert missing(frame, "sweep", "taker_sell_share") == {Missing.PRESENT}
    for number in range(13 * 60 // 5, 17 * 60 // 5):
        frame = market.tick(now_ms + number * TICK_MS)
    assert missing(frame, "momentum") == {Missing.PRESENT}


def test_data_from_the_future() -> None:
    """It is not kept, so what comes after it, at the right time, is taken at once."""
    market = Market()
    ahead_ms = NOW_MS + 3_600_000
    future = quotes(ahead_ms, bid_price=50.0, ask_price=50.1), order_book(exchange_ms=ahead_ms)
    frame = market.see(NOW_MS, *future, trades([(ahead_ms, 50.0, 1.0, True)], exchange_ms=ahead_ms))
    assert missing(frame, "price", "spread", "book", "sweep") == {Missing.NOT_SEEN}
    frame = market.tick(NOW_MS + TICK_MS)
    assert frame.price[0] == pytest.approx(100.0)
    assert missing(frame, "price", "spread", "book") == {Missing.PRESENT}
    assert frame.trades_ms[0] == NOW_MS + TICK_MS


@pytest.mark.parametrize(("ahead_ms", "reason"), [(2_000, Missing.PRESENT), (2_001, Missing.STALE)])
def test_ages_from_minus_two_seconds_on(ahead_ms: int, reason: Missing) -> None:
    """A little ahead is the error of a measured offset; more is not believed, and the gate says why."""
    market = Market()
    market.tick(NOW_MS)
    frame = compute_features(market.state, NOW_MS - ahead_ms)
    assert missing(frame, "price", "spread", "book") == {reason}
    ups = STRATEGIES["ups"]
    verdicts = explain(ups, NOW_MS - ahead_ms, frame, Limits.fresh(), (), ScoringSettings(), 0)
    (age,) = (verdict for verdict in verdicts if verdict.name == "data_age")
    assert age.passed == (reason is Missing.PRESENT)
    assert ("from the future" in age.reason) == (reason is Missing.STALE)


@pytest.mark.parametrize("by_ms", [0, 1, -3_600_123, 50 * 365 * 86_400_000])
def test_moved(by_ms: int) -> None:
    """Every time moves, and nothing else; 0 stays never."""
    records: list[Any] = [
        quotes(NOW_MS, funding_rate=0.1),
        order_book(),
        trades([(NOW_MS - 5, 1.0, 2.0, True)]),
    ]
    for record in records:
        there = moved(record, by_ms)
        assert there.received_ms == record.received_ms + by_ms
        assert (there.exchange_ms == record.exchange_ms + by_ms) if by_ms else there is record
        back = moved(there, -by_ms)
        assert repr(back) == repr(record)
