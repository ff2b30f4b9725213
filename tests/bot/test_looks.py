"""What an open signal is judged by is what happened after its decision, on its own instrument."""

import pytest

from bot.looks import look_at
from scoring.exits import start
from tests.builders import NOW_MS, feature_frame, instrument, trades
from tests.scoring.frames import signal as make_signal

OPEN = start(make_signal(decided_ms=NOW_MS - 5_000))


def test_prints_since_the_decision() -> None:
    """Only the instrument's own prints later than the decision are looked at, over several records."""
    features = feature_frame([instrument(id="A"), instrument(id="B")])
    observations = [
        trades([(NOW_MS - 5_000, 1.0, 1.0, True), (NOW_MS - 4_999, 2.0, 1.0, True)], id="B"),
        trades([(NOW_MS - 3_000, 3.0, 1.0, False)], id="B"),
        trades([(NOW_MS - 2_000, 9.0, 1.0, False)], id="A"),
    ]
    look = look_at(OPEN, features, 1, observations)
    assert look.trade_time_ms.tolist() == [NOW_MS - 4_999, NOW_MS - 3_000]
    assert look.trade_price.tolist() == [2.0, 3.0]


def test_quotes_and_funding() -> None:
    """Quotes come from the frame, and so does the funding of one settlement."""
    features = feature_frame(
        [instrument()], best_bid=99.0, best_ask=101.0, ask_share=0.3, funding_rate=0.0004, funding_interval_h=4.0
    )
    look = look_at(OPEN, features, 0, [])
    assert (look.best_bid, look.best_ask, look.ask_share) == (99.0, 101.0, 0.3)
    assert look.funding_rate == pytest.approx(0.0004)
    assert len(look.trade_price) == 0
    assert not look.is_delisted


def test_delisted() -> None:
    """An instrument that is watched no more is delisted."""
    assert look_at(OPEN, feature_frame([instrument()]), None, []).is_delisted
