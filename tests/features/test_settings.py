"""The windows as the user set them."""

import pytest

from features.settings import FeatureSettings


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (FeatureSettings(), 900.0),
        (FeatureSettings(oi_window_s=60.0), 900.0),
        (FeatureSettings(momentum_window_s=2.0, oi_window_s=20.0), 300.0),
        (FeatureSettings(momentum_window_s=2.0, oi_window_s=20.0, btc_window_s=10.0), 30.0),
    ],
)
def test_history(settings: FeatureSettings, seconds: float) -> None:
    """Prices and open interest are looked at as far back as the longest of their windows, fifteen of momentum's."""
    assert settings.history_s == seconds
