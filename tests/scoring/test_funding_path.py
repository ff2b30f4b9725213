"""Funding from the venues' own replies to what a signal costs: the interval is never guessed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from features.facts.market import Quotes
from features.frame import FeatureFrame, compute_features
from features.missing import Missing
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from fetchers.parsing.build_records import Arrival
from fetchers.venues import binance, bybit, lbank, mexc
from scoring.levels import compute_levels, settlement_times_ms
from scoring.settings import ScoringSettings
from tests.builders import instrument

HOUR_MS = 3_600_000
DAY_MS = 19_700 * 24 * HOUR_MS
RATE = -0.005  #: a SHORT pays it

Reply = Callable[[int, float | None, int], Quotes]  #: now, interval [h], next settlement -> the bulk reply


def of_binance(now_ms: int, interval_h: float | None, next_ms: int) -> Quotes:
    """Return premiumIndex."""
    row = {"symbol": "MOGUSDT", "markPrice": "1.0", "indexPrice": "1.0", "lastFundingRate": str(RATE), "time": now_ms}
    row |= {"nextFundingTime": next_ms} if next_ms else {}
    intervals = None if interval_h is None else {"MOGUSDT": interval_h}
    return binance.parse_premium_index([row], intervals, Arrival(received_ms=now_ms))


def of_bybit(now_ms: int, interval_h: float | None, next_ms: int) -> Quotes:
    """Return tickers."""
    row = {"symbol": "MOGUSDT", "markPrice": "1.0", "fundingRate": str(RATE)}
    row |= {} if interval_h is None else {"fundingIntervalHour": f"{interval_h:g}"}
    row |= {"nextFundingTime": str(next_ms) if next_ms else ""}
    payload = {"retCode": 0, "result": {"category": "linear", "list": [row]}, "time": now_ms}
    return bybit.parse_tickers(payload, Arrival(received_ms=now_ms))


def of_mexc(now_ms: int, interval_h: float | None, next_ms: int) -> Quotes:
    """Return funding_rate."""
    row: dict[str, Any] = {"symbol": "MOGUSDT", "fundingRate": RATE, "timestamp": now_ms}
    row |= {} if interval_h is None else {"collectCycle": interval_h}
    row |= {"nextSettleTime": next_ms} if next_ms else {}
    return mexc.parse_funding({"success": True, "code": 0, "data": [row]}, Arrival(received_ms=now_ms))


def of_lbank(now_ms: int, interval_h: float | None, next_ms: int) -> Quotes:
    """Return marketData."""
    row = {"symbol": "MOGUSDT", "markedPrice": "1.0", "fundingRate": str(RATE), "lastTime": str(now_ms // 1000)}
    row |= {} if interval_h is None else {"positionFeeTime": str(round(3600 * interval_h))}
    row |= {"nextFeeTime": str(next_ms)} if next_ms else {}
    return lbank.parse_market_data({"data": [row], "result": "true"}, Arrival(received_ms=now_ms))


VENUES: dict[str, Reply] = {"binance": of_binance, "bybit": of_bybit, "mexc": of_mexc, "lbank": of_lbank}
each_venue = pytest.mark.parametrize("venue", VENUES)


def frame_of(venue: str, now_ms: int, interval_h: float | None, next_ms: int) -> FeatureFrame:
    """Return the features after one bulk reply."""
    state = MarketState([instrument(venue=venue, id="MOGUSDT")], FeatureSettings())
    state.advance(now_ms)
    prices = Quotes(
        venue=venue,
        ids=("MOGUSDT",),
        exchange_ms=np.array([now_ms]),
        received_ms=now_ms,
        bid_price=np.array([0.99]),
        ask_price=np.array([1.01]),
    )
    state.append([VENUES[venue](now_ms, interval_h, next_ms), prices])
    return compute_features(state, now_ms)


def cost_percent(frame: FeatureFrame) -> float:
    """Return what a SHORT would cost, fees and funding."""
    return float(compute_levels(frame.now_ms, frame, ScoringSettings(), -1).cost_percent[0])


@each_venue
@pytest.mark.parametrize("interval_h", [1.0, 4.0, 8.0])
def test_interval_and_settlement(venue: str, interval_h: float) -> None:
    """Two minutes before a settlement the coin is costed and followed at its own interval, whatever that is."""
    next_ms = DAY_MS + round(interval_h * HOUR_MS)
    now_ms = next_ms - 120_000
    frame = frame_of(venue, now_ms, interval_h, next_ms)
    assert frame.funding_interval_h[0] == interval_h
    assert frame.next_funding_ms[0] == next_ms
    assert frame.funding_rate[0] == RATE
    assert frame.funding_rate_8h[0] == pytest.approx(RATE * 8 / interval_h)
    assert cost_percent(frame) == pytest.approx(0.1 + 0.5)

    later = frame_of(venue, next_ms + 600_000, interval_h, next_ms + round(interval_h * HOUR_MS))
    interval_h, following_ms = float(later.funding_interval_h[0]), int(later.next_funding_ms[0])
    assert settlement_times_ms(now_ms, later.now_ms, interval_h, following_ms) == (next_ms,)
    assert later.funding_rate[0] == RATE


@each_venue
def test_an_odd_settlement(venue: str) -> None:
    """A venue that settles at 02:30 does so for us: its own time goes before whole intervals of the day."""
    next_ms = DAY_MS + 2 * HOUR_MS + HOUR_MS // 2
    frame = frame_of(venue, next_ms - 120_000, 8.0, next_ms)
    assert cost_percent(frame) == pytest.approx(0.1 + 0.5)
    assert settlement_times_ms(next_ms - 120_000, next_ms, 8.0, int(frame.next_funding_ms[0])) == (next_ms,)


@each_venue
def test_no_named_settlement(venue: str) -> None:
    """Without the venue's time it is by the interval from midnight UTC."""
    frame = frame_of(venue, DAY_MS + 4 * HOUR_MS - 120_000, 4.0, 0)
    assert frame.next_funding_ms[0] == 0
    assert cost_percent(frame) == pytest.approx(0.1 + 0.5)
    assert cost_percent(frame_of(venue, DAY_MS + 4 * HOUR_MS - 120_000, 8.0, 0)) == pytest.approx(0.1)


@each_venue
def test_an_interval_never_seen(venue: str) -> None:
    """It is missing, not eight hours: no f8, and no costs where something may settle."""
    frame = frame_of(venue, DAY_MS - 120_000, None, 0)
    assert np.isnan(frame.funding_interval_h[0])
    assert np.isnan(frame.funding_rate_8h[0])
    assert frame.missing["funding"][0] == Missing.NOT_SEEN
    assert np.isnan(cost_percent(frame))


def test_one_settlement_is_not_two() -> None:
    """The measured offset wavers by milliseconds; the settlement's time does not."""
    next_ms = DAY_MS + 4 * HOUR_MS
    for offset_ms in (-700.0, -3.0, 0.0, 12.5, 29_000.0):
        arrival = Arrival(received_ms=next_ms - 60_000, clock_offset_ms=offset_ms)
        assert arrival.to_the_minute(np.array([float(next_ms), np.nan])).tolist() == [next_ms, 0]
