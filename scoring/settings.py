"""The user's settings that decisions need: one record, each field declared with its setting."""

import hashlib
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, TypeVar, cast

from features.declare import COUNT, FLAG, PAUSE, PERCENT, SECONDS, ZONE, Group, percent_by_venue
from features.settings import SharedSettings

GATES = Group("Gates")
EXITS = Group("Levels and exits")
_USUAL_FEE = 0.05  #: [percent]
_FEE = EXITS.row(
    "TAKER_FEE_PERCENT",
    f"{_USUAL_FEE}",
    percent_by_venue(high=5, default=_USUAL_FEE, example="0.05,binance=0.04"),
    "Your taker fee each way; a contract whose venue publishes a higher one counts with that",
    unit="%",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySettings:
    """Base of the settings of one strategy, which are declared beside its formulas."""

    strategy: ClassVar[str] = ""  #: its name


S = TypeVar("S", bound=StrategySettings)


@dataclass(frozen=True, kw_only=True)  # without slots: there is room for what is computed once
class ScoringSettings(SharedSettings):
    """Settings that all strategies share: gates, levels, limits and exits."""

    near_miss_points: float = 8.0
    max_spread_percent: float = GATES.setting(
        "MAX_SPREAD_PERCENT", "0.5", PERCENT, "The spread has to be below", unit="%"
    )
    max_btc_pump_percent: float = GATES.setting(
        "MAX_BTC_PUMP_PERCENT", "0.5", PERCENT, "Bitcoin rising as much bars entries and closes what is open", unit="%"
    )
    max_discount_percent: float = GATES.setting(
        "MAX_DISCOUNT_PERCENT",
        "0.5",
        PERCENT,
        "A price already so far below its index is too late for a SHORT, above it for a LONG",
        unit="%",
    )
    cooldown_s: float = GATES.setting(
        "COOLDOWN_SECONDS", "60", PAUSE, "Rest of a coin after its last alert and after its last exit", unit="s"
    )
    burst_limit: int = GATES.setting(
        "BURST_LIMIT", "2", COUNT, "At most as many alerts in BURST_WINDOW_SECONDS", unit="signals"
    )
    burst_window_s: float = GATES.setting("BURST_WINDOW_SECONDS", "300", SECONDS, "The window of BURST_LIMIT", unit="s")
    max_daily_trades: int = GATES.setting(
        "MAX_DAILY_TRADES", "8", COUNT, "At most as many alerts a day of TIMEZONE", unit="signals"
    )
    timezone: str = GATES.setting(
        "TIMEZONE", "UTC", ZONE, "Where you live: for the day of MAX_DAILY_TRADES, QUIET_HOURS and REPORT_HOUR"
    )
    stoploss_guard_count: int = GATES.setting(
        "STOPLOSS_GUARD_COUNT",
        "3",
        COUNT,
        "As many stops within STOPLOSS_GUARD_SECONDS pause the alerts for as long",
        unit="stops",
    )
    stoploss_guard_s: float = GATES.setting(
        "STOPLOSS_GUARD_SECONDS", "3600", SECONDS, "The window and the pause of STOPLOSS_GUARD_COUNT", unit="s"
    )
    take_profit_percent: float = EXITS.setting("TP_PERCENT", "1.7", PERCENT, "Distance of the take-profit", unit="%")
    stop_percent_min: float = EXITS.setting(
        "SL_PERCENT_MIN", "0.7", PERCENT, "Distance of the stop in a quiet market", unit="%"
    )
    stop_percent_max: float = EXITS.setting(
        "SL_PERCENT_MAX", "1.1", PERCENT, "Distance of the stop in a wild market", unit="%"
    )
    #: by venue
    taker_fee_percent: dict[str, float] = _FEE.field(lambda fees: {v: fees[v] for v in fees if v != "default"})
    default_taker_fee_percent: float = _FEE.field(lambda fees: fees["default"])
    trailing_enabled: bool = EXITS.setting("TRAILING_ENABLED", "off", FLAG, "Follow the price with a trailing exit")
    trail_activation_percent: float = EXITS.setting(
        "TRAIL_ACTIVATION_PERCENT", "0.8", PERCENT, "Profit at which trailing begins", unit="%"
    )
    trail_distance_percent: float = EXITS.setting(
        "TRAIL_DISTANCE_PERCENT", "0.4", PERCENT, "Trailing exits this far off the best price", unit="%"
    )
    liquidity_flip_ask_share: float = 0.35
    signal_timeout_s: float = EXITS.setting(
        "SIGNAL_TIMEOUT_SECONDS", "3600", SECONDS, "A signal still open then is closed", unit="s"
    )
    reach_s: float = EXITS.setting(
        "REACH_SECONDS",
        "15",
        PAUSE,
        "Time a person needs to enter: results are also given from the price then",
        unit="s",
    )
    features_hash: str = ""  #: of the settings that features are computed with
    code_hash: str = ""
    config_hash: str = ""
    own: dict[str, dict[str, Any]] = field(default_factory=dict)  #: what single strategies take, by their name

    def of(self, record: type[S]) -> S:
        """Return the settings that one strategy alone takes."""
        if record not in self._records:
            stored = self.own.get(record.strategy, {})
            # a list that was stored was a tuple
            given = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
            self._records[record] = record(**{one.name: given[one.name] for one in fields(record) if one.name in given})
        return cast("S", self._records[record])

    @cached_property
    def _records(self) -> dict[type[StrategySettings], StrategySettings]:
        return {}

    @cached_property
    def counted_in_records(self) -> dict[str, Any]:
        """The fields that leave no record what it is; computed once, an alert waits for it."""
        return {name: value for name, value in asdict(self).items() if name not in _OUTSIDE_RECORDS}

    @classmethod
    def from_older(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return what was stored in today's form: while UPS was alone, its settings were among these."""
        if "own" in stored:
            return stored
        known = {one.name for one in fields(cls)}
        return stored | {"own": {"ups": {name: stored[name] for name in stored.keys() - known}}}


#: What leaves a record what it is: which scores are asked for (records are by band), how many alerts may come and
#: when, the venues' fees, and names. Everything else decides what is alerted or how it ends; so does a new setting.
_OUTSIDE_RECORDS = frozenset(
    {
        *("min_score", "near_miss_points", "cooldown_s", "burst_limit", "burst_window_s", "max_daily_trades"),
        *("timezone", "stoploss_guard_count", "stoploss_guard_s", "taker_fee_percent", "default_taker_fee_percent"),
        *("code_hash", "config_hash", "own"),
    }
)


def record_version(strategy_version: str, settings: ScoringSettings, own: type[StrategySettings]) -> str:
    """Return under which version a strategy's signals are recorded, such as "1-3fa94c": formulas, levels and exits.

    `own` is the record of what it alone takes: other strategies' settings begin no new record of it.
    """
    own_fields = {name: value for name, value in asdict(settings.of(own)).items() if name not in _OUTSIDE_RECORDS}
    counted = settings.counted_in_records | own_fields
    digest = hashlib.sha256(repr(sorted(counted.items())).encode()).hexdigest()
    return f"{strategy_version}-{digest[:6]}"
