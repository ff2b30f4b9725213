"""What the features need to know of the user's settings; built by bot/config/load.py, defaults as in the README."""

from dataclasses import dataclass

from features.phenomena.price import VOLATILITY_LAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """Windows and ages in seconds, the rest in the unit its name ends with."""

    refresh_interval_s: float = 5.0
    max_data_age_s: float = 15.0  #: prices, books, trades
    max_oi_age_s: float = 60.0  #: live open interest
    max_funding_age_s: float = 120.0
    max_day_age_s: float = 180.0  #: 24 h figures
    book_frozen_s: float = 60.0
    oi_window_s: float = 900.0
    book_window_s: float = 1800.0
    book_band_percent: float = 1.0
    flow_window_s: float = 60.0
    sweep_baseline_s: float = 300.0
    sweep_ttl_s: float = 30.0
    min_sweep_usdt: float = 2000.0
    btc_window_s: float = 300.0
    momentum_window_s: float = 60.0

    @property
    def history_s(self) -> float:
        """How far back prices and open interest are looked at."""
        return max(self.oi_window_s, self.btc_window_s, VOLATILITY_LAGS * self.momentum_window_s)
