"""Features over extracts of real recordings: sane throughout, and equal to what one computes by hand."""

from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from features.facts.market import Observation, OrderBook, Trades
from features.frame import FEATURES, FeatureFrame
from features.missing import Missing
from tests.recordings import FRAMES, RawBook, frame_ticks, raw_ticks, replay, write_table

DATA = Path(__file__).parent / "data" / "recordings"
RAW = {"ethusdt": DATA / "binance_ethusdt_20240808.gz"}
TON = FRAMES.index("TONUSDT")

#: What each feature must lie in wherever it is defined, here and in any market.
RANGES = {
    "ask_share": (0, 1),
    "taker_sell_share": (0, 1),
    "wall_ratio": (0, np.inf),
    "bid_exhaustion": (-np.inf, 1),
    "sweep_multiple": (0, np.inf),
    "sweep_age_s": (0, 30),
    "spread_bps": (0, 100),
    "volatility": (0.0005, 1),
}


@pytest.fixture(scope="module")
def raw_frames() -> list[FeatureFrame]:
    """ETH, 70 s, rebuilt from the raw stream."""
    return replay(tuple(RAW), raw_ticks(RAW))


@pytest.fixture(scope="module")
def ready_frames() -> list[FeatureFrame]:
    """Six perpetuals, ready books."""
    return replay(FRAMES, frame_ticks(DATA / "binance_frames_20240921.jsonl.gz"))


def test_the_features_are_in_range_wherever_they_are_defined(
    raw_frames: list[FeatureFrame], ready_frames: list[FeatureFrame]
) -> None:
    """Real books and prints give values that can be."""
    for frame in [*raw_frames, *ready_frames]:
        for feature in FEATURES:
            values = getattr(frame, feature.name)
            known = values[~np.isnan(values)]
            low, high = RANGES.get(feature.name, (-np.inf, np.inf))
            assert np.isfinite(known).all(), feature.name
            assert ((known >= low) & (known <= high)).all(), feature.name


def test_what_a_minute_cannot_fill_is_missing_for_that_reason(raw_frames: list[FeatureFrame]) -> None:
    """A window of 900 s is not shrunk to the 70 s there are."""
    last = raw_frames[-1].missing
    assert {part: Missing(code[0]).name for part, code in last.items()} == {
        "price": "PRESENT",
        "index": "NOT_SEEN",
        "spread": "PRESENT",
        "book": "PRESENT",
        "ask_share": "PRESENT",
        "wall": "PRESENT",
        "exhaustion": "WARMING_UP",
        "taker_sell_share": "PRESENT",
        "sweep": "PRESENT",
        "open_interest_change": "NOT_SEEN",
        "price_change": "NOT_SEEN",
        "btc_return": "NOT_SEEN",
        "momentum": "WARMING_UP",
        "vwap_distance": "NOT_SEEN",
        "funding": "NOT_SEEN",
    }


def test_a_diff_that_does_not_follow_is_refused() -> None:
    """A book with a gap is no book."""
    book = RawBook()
    book.start({"lastUpdateId": 10, "bids": [["1", "2"]], "asks": [["2", "2"]]})
    book.change({"U": 9, "u": 12, "pu": 8, "b": [["1", "0"]], "a": []})
    assert book.bids == {}
    with pytest.raises(ValueError, match="previous id was 13"):
        book.change({"U": 14, "u": 15, "pu": 13, "b": [], "a": []})


def test_the_table_names_every_feature(ready_frames: list[FeatureFrame]) -> None:
    """docs/recordings.md is written from this."""
    out = StringIO()
    write_table(out, "Extract", ready_frames)
    assert all(f"\n| {feature.name} | {feature.unit} |" in out.getvalue() for feature in FEATURES)
    assert "| exhaustion | 0% | warming up 100% |" in out.getvalue()


# By hand: TON in the last frame, levels typed in from the recording.

BID, BID_QUANTITY, ASK, ASK_QUANTITY = 5.5762, 2506.20, 5.5763, 3455.00


def test_price_and_spread_by_hand(ready_frames: list[FeatureFrame]) -> None:
    """(5.5762 + 5.5763) / 2 = 5.57625, and 0.0001 of that is 0.17933 bps."""
    assert ready_frames[-1].price[TON] == pytest.approx(5.57625, rel=1e-12)
    assert ready_frames[-1].spread_bps[TON] == pytest.approx(0.0001 / 5.57625 * 10_000, rel=1e-9)


def test_microprice_tilt_by_hand(ready_frames: list[FeatureFrame]) -> None:
    """More is offered than bid, so the microprice lies below the mid: 5.57624204 against 5.57625."""
    microprice = (BID * ASK_QUANTITY + ASK * BID_QUANTITY) / (BID_QUANTITY + ASK_QUANTITY)
    assert microprice == pytest.approx(5.57624204, abs=5e-9)
    assert ready_frames[-1].microprice_tilt_bps[TON] == pytest.approx(10_000 * (microprice / 5.57625 - 1), rel=1e-6)


def test_sellable_by_hand(ready_frames: list[FeatureFrame]) -> None:
    """0.1 % below 5.5762 is 5.5706238, so six bids count."""
    six = [
        (5.5762, 2506.20),
        (5.5751, 1376.90),
        (5.5741, 5562.80),
        (5.5731, 3081.60),
        (5.5721, 4030.00),
        (5.5710, 4477.40),
    ]
    assert ready_frames[-1].sellable_usdt[TON] == pytest.approx(sum(p * q for p, q in six), rel=1e-12)


def test_open_interest_and_funding_by_hand(ready_frames: list[FeatureFrame]) -> None:
    """19,837,560.8 TON at 5.57625 are 110.6 million; 0.005 % every eight hours is itself, and was so all the time."""
    last = ready_frames[-1]
    assert last.open_interest_usdt[TON] == pytest.approx(last.open_interest_base[TON] * 5.57625, rel=1e-12)
    assert last.open_interest_usdt[TON] == pytest.approx(110_619_198, rel=1e-6)
    assert last.funding_rate_8h[TON] == 0.00005
    assert last.funding_impulse[TON] == 0.0


# By hand: ETH at the end of its 70 s.


def test_depth_and_ask_share_by_hand(raw_frames: list[FeatureFrame]) -> None:
    """A thousand levels a side reach 48 bps below the mid, so both sides are compared in the band of 25 bps."""
    *_, (_, observations) = raw_ticks(RAW)
    book = the_book(observations)
    mid = (2682.39 + 2682.40) / 2
    assert (mid - book.bid_price[-1]) / mid == pytest.approx(0.0048147, abs=5e-8)
    bids, asks = 0.0, 0.0
    for p, q in zip(book.bid_price.tolist(), book.bid_quantity.tolist(), strict=True):
        bids += p * q * max(1 - (mid - p) / mid / 0.0025, 0)
    for p, q in zip(book.ask_price.tolist(), book.ask_quantity.tolist(), strict=True):
        asks += p * q * max(1 - (p - mid) / mid / 0.0025, 0)
    assert [bids, asks] == pytest.approx([4_769_974.76, 4_372_695.55], abs=0.01)
    assert raw_frames[-1].ask_share[0] == pytest.approx(asks / (asks + bids), rel=1e-9)
    assert raw_frames[-1].ask_share[0] == pytest.approx(0.47827335, abs=5e-9)


def test_wall_by_hand(raw_frames: list[FeatureFrame]) -> None:
    """The largest ask inside 25 bps stood at 2686.64 five seconds ago and stands at 2685.39 now: no wall that lasts."""
    *_, (_, before), (_, now) = raw_ticks(RAW)
    walls = []
    for observations in (before, now):
        book = the_book(observations)
        mid = (book.bid_price[0] + book.ask_price[0]) / 2
        inside = (book.ask_price - mid) / mid <= 0.0025
        notional = (book.ask_price * book.ask_quantity)[inside]
        walls.append((float(book.ask_price[inside][notional.argmax()]), float(notional.max() / np.median(notional))))
    assert [price for price, _ in walls] == [2686.64, 2685.39]
    assert [ratio for _, ratio in walls] == pytest.approx([142.550, 148.786], abs=0.001)
    assert raw_frames[-1].wall_ratio[0] == 0.0


def test_taker_sell_share_by_hand(raw_frames: list[FeatureFrame]) -> None:
    """2,202 prints in the last 60 s, 3,072,395.70 USDT, of which 1,109,355.58 hit the bids."""
    usdt = [(t, p * q, sell) for t, p, q, sell in prints() if 1_723_161_266 <= t // 1000 <= 1_723_161_325]
    total, sold = sum(x for _, x, _ in usdt), sum(x for _, x, sell in usdt if sell)
    assert (len(usdt), round(total, 2), round(sold, 2)) == (2202, 3_072_395.70, 1_109_355.58)
    assert raw_frames[-1].taker_sell_share[0] == pytest.approx(sold / total, rel=1e-9)


def test_sweep_by_hand(raw_frames: list[FeatureFrame]) -> None:
    """Sells from 2682.31 to 2681.64 in less than a second, the last 8.036 s before the end."""
    end_ms = 1_723_161_325_000 - 8036
    run = [(t, p, p * q) for t, p, q, sell in prints() if end_ms - 464 <= t <= end_ms and sell]
    assert (run[0][1], run[-1][1]) == (2682.19, 2681.64)
    assert not [1 for t, _, _, sell in prints() if end_ms - 464 <= t <= end_ms and not sell]
    assert all(later[1] <= earlier[1] for earlier, later in pairwise(run))
    seconds: dict[int, float] = {}
    for t, p, q, _ in prints():
        seconds[t // 1000] = seconds.get(t // 1000, 0.0) + p * q
    ascending = sorted(seconds.values())
    half = len(ascending) // 2
    usual = ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2
    assert raw_frames[-1].sweep_age_s[0] == 8.036
    assert raw_frames[-1].sweep_multiple[0] == pytest.approx(sum(x for _, _, x in run) / usual, rel=1e-9)
    assert raw_frames[-1].sweep_multiple[0] == pytest.approx(5.4853, abs=5e-5)


def the_book(observations: list[Observation]) -> OrderBook:
    """Return the one book among a tick's observations."""
    (book,) = (record for record in observations if isinstance(record, OrderBook))
    return book


def prints() -> list[tuple[int, float, float, bool]]:
    """Return every print of the extract as (time_ms, price, quantity, is_taker_sell)."""
    found = []
    for _, observations in raw_ticks(RAW):
        (trades,) = (record for record in observations if isinstance(record, Trades))
        columns = (trades.time_ms, trades.price, trades.quantity, trades.is_taker_sell)
        found += list(zip(*(column.tolist() for column in columns), strict=True))
    return found
