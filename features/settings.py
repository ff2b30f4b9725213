"""The user's settings that the features need: one record, each field declared with its setting."""

from dataclasses import dataclass

from features.declare import SECONDS, USDT, WINDOW, Group, number
from features.phenomena.price import VOLATILITY_LAGS

AGES = Group("Age of data")
FEATURES = Group("Features")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """Settings that features and decisions share, in seconds."""

    refresh_interval_s: float = FEATURES.setting(
        "REFRESH_INTERVAL", "5", number(0.1, 60), "From one look at the market to the next", unit="s"
    )
    max_data_age_s: float = AGES.setting(
        "MAX_DATA_AGE_SECONDS", "15", SECONDS, "Older prices, order books and trades are stale", unit="s"
    )
    oi_window_s: float = FEATURES.setting(
        "OI_WINDOW_SECONDS", "900", WINDOW, "Changes of open interest and price are taken over this window", unit="s"
    )
    btc_window_s: float = FEATURES.setting(
        "BTC_WINDOW_SECONDS", "300", WINDOW, "Bitcoin's return is taken over this window", unit="s"
    )
    momentum_window_s: float = FEATURES.setting(
        "MOMENTUM_WINDOW_SECONDS",
        "60",
        WINDOW,
        "Momentum is taken over this window and three times it, volatility over fifteen",
        unit="s",
    )
    flow_window_s: float = FEATURES.setting(
        "FLOW_WINDOW_SECONDS", "60", WINDOW, "The share of taker sells is taken over this window", unit="s"
    )
    sweep_ttl_s: float = FEATURES.setting("SWEEP_TTL_SECONDS", "30", WINDOW, "How long a sweep counts", unit="s")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings(SharedSettings):
    """Windows and ages in seconds, the rest in the unit its name ends with."""

    max_oi_age_s: float = AGES.setting(
        "MAX_OI_AGE_SECONDS", "60", SECONDS, "Older live open interest is stale", unit="s"
    )
    max_funding_age_s: float = AGES.setting(
        "MAX_FUNDING_AGE_SECONDS", "120", SECONDS, "An older funding rate is stale", unit="s"
    )
    max_day_age_s: float = AGES.setting("MAX_DAY_AGE_SECONDS", "180", SECONDS, "Older 24 h figures are stale", unit="s")
    book_frozen_s: float = AGES.setting(
        "BOOK_FROZEN_SECONDS",
        "60",
        SECONDS,
        "A book unchanged for as long while price or trades moved is not believed",
        unit="s",
    )
    sweep_baseline_s: float = FEATURES.setting(
        "SWEEP_BASELINE_SECONDS", "300", WINDOW, "A sweep is measured against the trading of this window", unit="s"
    )
    min_sweep_usdt: float = FEATURES.setting("MIN_SWEEP_USDT", "2000", USDT, "Smaller sweeps do not count", unit="USDT")
    book_window_s: float = FEATURES.setting(
        "BOOK_WINDOW_SECONDS", "1800", WINDOW, "Bids now are compared with the books of this window", unit="s"
    )
    book_band_percent: float = FEATURES.setting(
        "BOOK_BAND_PERCENT",
        "1",
        number(0.1, 1),
        "Depth is compared in the widest band up to this that a book reaches: 0.1, 0.25, 0.5, 1 %",
        unit="%",
    )

    @property
    def history_s(self) -> float:
        """How far back prices and open interest are looked at."""
        return max(self.oi_window_s, self.btc_window_s, VOLATILITY_LAGS * self.momentum_window_s)
