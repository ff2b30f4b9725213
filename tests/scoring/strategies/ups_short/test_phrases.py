"""The words of a signal."""

from typing import Any

from features.missing import Missing
from scoring.reasons import borrowed
from scoring.settings import ScoringSettings
from tests.builders import instrument
from tests.scoring.frames import NAN, SETTINGS, UPS, passing


def words(settings: ScoringSettings = SETTINGS, /, **changed: Any) -> tuple[str, ...]:
    """Return the reasons of the passing frame with something changed."""
    features = passing(**changed)
    return UPS.reasons(features, UPS.score(features, settings), 0, settings)


def test_strongest_first() -> None:
    """Five reasons with their figures, the largest contribution first."""
    assert words(open_interest_change=0.026, price_change=-0.011) == (
        "OI +2.6 % while price -1.1 % in 15 min",
        "asks 70 % of the book's depth, 70 % of taker volume sold in 60 s",
        "sell sweep 8.0 times a usual second, 3 s ago",
        "ask wall 7.5 times a usual level, bids 25 % thinner than their median",
        "BTC +0.00 % in 5 min",
    )


def test_the_weaker_have_their_words_too() -> None:
    """Momentum and funding are said where the others add nothing."""
    silent = {"price_change": 0.0, "sweep_multiple": 0.0, "sweep_age_s": NAN, "wall_ratio": 2.0, "bid_exhaustion": -0.5}
    assert words(**silent, btc_return=0.004)[1:] == (
        "price -0.40 % in 60 s (-2.0 sigma), 1.0 % above the 24 h VWAP",
        "funding +0.040 % per 8 h",
    )


def test_only_what_speaks_is_said() -> None:
    """A half of a sub-score that adds nothing is not quoted."""
    assert "ask wall 12.0 times a usual level" in words(wall_ratio=12.0, bid_exhaustion=-0.2)
    assert "bids 50 % thinner than their median" in words(wall_ratio=3.0, bid_exhaustion=0.5)


def test_windows_are_those_of_the_settings() -> None:
    """Compressed windows are named as they are."""
    short = ScoringSettings(oi_window_s=90, flow_window_s=6, btc_window_s=30, momentum_window_s=6)
    said = "; ".join(words(short))
    assert "in 90 s" in said
    assert "sold in 6 s" in said
    assert "BTC +0.00 % in 30 s" in said


def test_missing_is_said_last() -> None:
    """What is missing takes the fifth place and says why."""
    said = words(bid_exhaustion=NAN, missing={"exhaustion": Missing.WARMING_UP, "vwap_distance": Missing.STALE})
    assert len(said) == 5
    assert said[-1] == "without exhaustion (warming up), vwap distance (stale)"


def test_borrowed_is_said() -> None:
    """Borrowed figures name their venue beside them, and together."""
    venues = [instrument(venue="lbank"), instrument(venue="binance")]
    features = passing(
        instruments=venues, borrows_open_interest=[True, False], borrows_flow=[True, False], lender=[1, -1]
    )
    said = UPS.reasons(features, UPS.score(features, SETTINGS), 0, SETTINGS)
    assert said[0] == "OI +2.0 % while price -1.0 % in 15 min (Binance)"
    assert said[1].endswith("sold in 60 s (Binance)")
    assert borrowed(features, 0) == "OI and flow: Binance"
    assert borrowed(features, 1) == ""
