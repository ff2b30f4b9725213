"""A venue's market list, row by row, and its clock: what its wire module returns beside the market's facts."""

from dataclasses import dataclass

from features.facts.market import Instrument

MARKETS_DEADLINE_S = 20.0  #: of a request for a market list
NOT_CRYPTO = "not crypto"  #: why shares and commodities are dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row of a venue's market list: an instrument, or why it is left out."""

    instrument: Instrument
    dropped: str = ""  #: "" keeps it; otherwise a short reason such as "delisting", counted in the universe
    is_crypto: bool | None = None  #: by the venue's own flags, whatever else is said of the row; None: it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """Measured clock skew, for reporting only; `exchange_ms` is already corrected by it."""

    offset_ms: float
    round_trip_ms: float
