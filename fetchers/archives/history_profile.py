"""By which rules a history was made: named, in the tape's header, and part of its settings' hash."""

from dataclasses import asdict, dataclass
from typing import Literal

OpenInterestRule = Literal["relaxed", "strict", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a source becomes ticks. Lags are from a fact's own time to the earliest at which a live bot knows of it."""

    source: str  #: vision, bybit or tardis
    every_s: int = 5  #: from one tick to the next
    book_age_s: int = 35  #: older books are stale: the archive has one every 24 to 37 s
    bands_only: bool = False  #: Bybit's books cut down to what Binance Vision gives of them, to see what that costs
    open_interest: OpenInterestRule = "relaxed"  #: as live up to 305 s old; as history only; or not at all
    print_age_s: int = 15  #: an older print is no best price
    book_lag_ms: int = 1000
    open_interest_lag_ms: int = 5000
    candle_lag_ms: int = 2000
    funding_lag_ms: int = 1000

    @property
    def name(self) -> str:
        """All of it in one word."""
        values = {name: value for name, value in asdict(self).items() if name != "source"}
        changed = [f"{name}={value}" for name, value in values.items() if value != getattr(Profile(source=""), name)]
        return "-".join((self.source, *changed))

    @property
    def settings(self) -> dict[str, str]:
        """The bot's own settings that these rules want."""
        relaxed = {"MAX_OI_AGE_SECONDS": "305"} if self.open_interest == "relaxed" else {}
        ages = {"MAX_DATA_AGE_SECONDS": str(self.book_age_s)} if self.has_bands else {}
        venue = "bybit" if self.source == "bybit" else "binance"
        return {"EXCHANGES": venue, "REFRESH_INTERVAL": str(self.every_s), **relaxed, **ages}

    @property
    def has_bands(self) -> bool:
        """Whether books come as bands."""
        return self.source == "vision" or self.bands_only

    @property
    def missing(self) -> dict[str, str]:
        """The kinds of data that the source does not give."""
        always = {"borrowed parts": "one venue only", "index price": "not imported"}
        return always | ({"wall": "the archive has bands, no levels"} if self.has_bands else {})

    @property
    def approximate(self) -> dict[str, str]:
        """The parts of the score that the source gives only nearly, and by what."""
        slow = {"oi_divergence": "open interest every 5 minutes", "funding": "the last settled rate"}
        if not self.has_bands:
            return slow if self.source == "bybit" else {}
        return {
            **slow,
            "liquidity_pressure": "bid exhaustion of cumulative bands every 30 s, no wall",
            "orderflow_imbalance": "ask share of cumulative bands every 30 s",
            "short_momentum": "the mid is between the last prints of both sides",
        }
