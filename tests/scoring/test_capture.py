"""A decision is made again of what was kept of it, to the bit."""

from collections import deque
from dataclasses import dataclass, replace

import pytest

from bot.core.arrived import Arrived
from features.facts.market import BTC
from features.frame import compute_features
from features.state.market_state import MarketState
from scoring.capture import MOST_PRINTS, Capture, capture, recompute
from scoring.decide import decide
from scoring.limits import after_signal, mute_coin
from scoring.signals import Limits, Signal
from storage.blobs import from_blob, to_blob
from storage.codec import to_json
from tests.features.markets import SHORT, random_market
from tests.scoring.frames import UPS, make_settings

#: so little is asked that a random market signals
EASY = make_settings(
    min_score=1.0,
    min_bid_depth_usdt=0.0,
    min_ask_imbalance=0.0,
    min_oi_divergence=0.0,
    max_spread_percent=50.0,
    max_btc_pump_percent=50.0,
    cooldown_s=1.0,
    burst_limit=1000,
    max_daily_trades=1000,
    sweep_ttl_s=8.0,
    default_taker_fee_percent=0.0,
    stop_percent_min=5.0,
    stop_percent_max=9.0,
    code_hash="c0de",
    config_hash="c0f",
)


@dataclass
class Kept:
    """A signal and what was kept of its decision."""

    signal: Signal
    captured: Capture


def decided(seed: int, damage: float = 0.05) -> list[Kept]:
    """Return every signal of a random market with its capture."""
    market = random_market(seed, 200, damage)
    instruments = [replace(one, is_eligible=one.coin != BTC) for one in market.instruments]
    state, limits = MarketState(instruments, SHORT), mute_coin(Limits.fresh(), "WIF", 0)
    recent: deque[Arrived] = deque(maxlen=30)
    kept = []
    for tick in market.ticks:
        state.advance(tick.now_ms)
        state.append(tick.observations)
        recent.append(Arrived(tick.observations))
        features = compute_features(state, tick.now_ms + 40)
        decision = decide(tick.now_ms + 55, features, limits, (), EASY, (UPS,))
        for signal in decision.signals:
            kept.append(Kept(signal, capture(signal, state, features, limits, EASY, recent)))
            limits = after_signal(limits, signal, EASY)
        assert limits == decision.limits
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_the_same_bits(seed: int) -> None:
    """Features, sub-scores, score, levels, verdicts and words of every signal come again, through bytes and back."""
    all_kept = decided(seed)
    for kept in all_kept:
        again = recompute(from_blob(Capture, to_blob(kept.captured)), UPS)
        assert again.signal is not None
        assert to_json(again.signal) == to_json(kept.signal)
        assert to_json(again.verdicts) == to_json(kept.signal.verdicts)
        assert again.books_agree
    assert all_kept


def test_borrowed() -> None:
    """What a lender's data said is kept with the signal that stands on it, its prints too."""
    all_kept = [kept for seed in range(2) for kept in decided(seed, 0.0)]
    borrowed = [kept for kept in all_kept if kept.signal.borrowed.startswith("OI and flow")]
    assert borrowed
    for kept in borrowed:
        lender = kept.captured.market.instruments[1]
        assert lender.coin == kept.signal.coin
        assert {(trades.venue, trades.id) for trades in kept.captured.prints} == {lender.key}


def test_what_is_kept() -> None:
    """Two books, newest first, the newest prints in their order, and no other coin's limits."""
    for kept in decided(1):
        captured = kept.captured
        times_ms = [book.exchange_ms for book in captured.books]
        assert times_ms[0] == kept.signal.data_times.book_ms
        assert times_ms == sorted(times_ms, reverse=True)
        assert all((book.venue, book.id) == (kept.signal.venue, kept.signal.instrument_id) for book in captured.books)
        assert 0 < sum(len(trades.time_ms) for trades in captured.prints) <= MOST_PRINTS
        assert [trades.received_ms for trades in captured.prints] == sorted(
            trades.received_ms for trades in captured.prints
        )
        assert captured.limits.last_signal_ms.keys() <= {kept.signal.coin}
        assert captured.limits.muted_coins == {}


def test_size() -> None:
    """It takes a few kilobytes."""
    sizes = [len(to_blob(kept.captured)) for kept in decided(2)]
    assert max(sizes) < 12_000


def test_other_settings() -> None:
    """Under stricter settings the same input gives no signal, and the verdicts say which gate refuses."""
    kept = decided(1)[0]
    strict = replace(kept.captured, settings=replace(EASY, own={"ups": EASY.own["ups"] | {"min_score": 100.0}}))
    again = recompute(strict, UPS)
    assert again.signal is None
    assert [verdict.name for verdict in again.verdicts if not verdict.passed] == ["score"]


def test_another_book() -> None:
    """A book that is not the one decided on does not agree."""
    kept = next(kept for kept in decided(1) if len(kept.captured.books) == 2)
    book = kept.captured.books[0]
    thinner = replace(book, asks=book.asks * [[1.0], [0.5]])
    assert not recompute(replace(kept.captured, books=(thinner,)), UPS).books_agree
