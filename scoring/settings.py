"""What decisions need to know of the user's settings; built by bot/config/load.py, defaults as in the README."""

import hashlib
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringSettings:
    """Gates, levels, limits and exits."""

    min_score: float = 72.0
    near_miss_points: float = 8.0
    min_bid_depth_usdt: float = 5000.0
    min_ask_imbalance: float = 0.60
    min_oi_divergence: float = 30.0
    max_spread_percent: float = 0.5
    max_btc_pump_percent: float = 0.5
    max_discount_percent: float = 0.5
    max_data_age_s: float = 15.0
    sweep_ttl_s: float = 30.0
    cooldown_s: float = 60.0
    burst_limit: int = 2
    burst_window_s: float = 300.0
    max_daily_trades: int = 8
    timezone: str = "UTC"
    stoploss_guard_count: int = 3
    stoploss_guard_s: float = 3600.0
    take_profit_percent: float = 1.7
    stop_percent_min: float = 0.7
    stop_percent_max: float = 1.1
    taker_fee_percent: dict[str, float] = field(default_factory=dict)  #: by venue
    default_taker_fee_percent: float = 0.05
    trailing_enabled: bool = False
    trail_activation_percent: float = 0.8
    trail_distance_percent: float = 0.4
    liquidity_flip_ask_share: float = 0.35
    signal_timeout_s: float = 3600.0
    reach_s: float = 15.0
    refresh_interval_s: float = 5.0
    oi_window_s: float = 900.0  #: this and the three below are the features' windows, which reasons name
    flow_window_s: float = 60.0
    btc_window_s: float = 300.0
    momentum_window_s: float = 60.0
    features_hash: str = ""  #: of the settings that features are computed with
    code_hash: str = ""
    config_hash: str = ""


#: What leaves a record what it is: which scores are asked for (records are by band), how many alerts may come and
#: when, the venues' fees, and names. Everything else decides what is alerted or how it ends; so does a new setting.
_OUTSIDE_RECORDS = frozenset(
    {
        *("min_score", "near_miss_points", "cooldown_s", "burst_limit", "burst_window_s", "max_daily_trades"),
        *("timezone", "stoploss_guard_count", "stoploss_guard_s", "taker_fee_percent", "default_taker_fee_percent"),
        *("code_hash", "config_hash"),
    }
)


def record_version(strategy_version: str, settings: ScoringSettings) -> str:
    """Return under which version a strategy's signals are recorded, such as "1-3fa94c": formulas, levels and exits."""
    counted = {name: value for name, value in asdict(settings).items() if name not in _OUTSIDE_RECORDS}
    digest = hashlib.sha256(repr(sorted(counted.items())).encode()).hexdigest()
    return f"{strategy_version}-{digest[:6]}"
