"""The features of every instrument at one moment, and why those that are missing are missing."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, get_type_hints

from features.borrowing import borrow
from features.builder import FeatureBuilder
from features.candle_frame import CandleFrame, candle_codes, candle_frame
from features.facts.instruments import Instruments
from features.facts.market import BoolArray, FloatArray, IntArray
from features.missing import Codes
from features.state.market_state import MarketState


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFrame:
    """Everything a decision may know of the market at `now_ms`; arrays are (n,) over `instruments`.

    A float is NaN exactly where the `missing` code of its part is not PRESENT. Where an instrument borrows, the arrays
    already hold the lender's value, or the lender's reason for having none.
    """

    now_ms: int
    instruments: Instruments

    price: Annotated[
        FloatArray, "USDT", "P: mid of the bulk best bid and ask, the mark price where a venue has no such bulk"
    ]
    best_bid: Annotated[FloatArray, "USDT", "newest best bid, of the bulk or of the book"]
    best_ask: Annotated[FloatArray, "USDT", "newest best ask, of the bulk or of the book"]
    mark_price: Annotated[FloatArray, "USDT", "the venue's mark price"]
    spread_bps: Annotated[FloatArray, "bps", "best ask less best bid over their mid"]
    index_basis: Annotated[FloatArray, "fraction", "P over the venue's index, less one"]
    microprice_tilt_bps: Annotated[FloatArray, "bps", "microprice of the book's best levels over their mid, less one"]
    bid_depth_usdt: Annotated[FloatArray, "USDT", "bids inside the band, weighted to zero at its end"]
    ask_depth_usdt: Annotated[FloatArray, "USDT", "asks inside the band, weighted to zero at its end"]
    ask_share: Annotated[FloatArray, "0…1", "a: ask depth over ask and bid depth"]
    sellable_usdt: Annotated[FloatArray, "USDT", "what the bids within 0.1 % of the best take"]
    buyable_usdt: Annotated[FloatArray, "USDT", "what the asks within 0.1 % of the best give"]
    wall_ratio: Annotated[
        FloatArray,
        "1",
        "r: largest over median ask level in the band, the smaller of two books; 0 where it does not last or matter",
    ]
    bid_exhaustion: Annotated[FloatArray, "1", "e: one less bid depth now over its median in the book window"]
    taker_sell_share: Annotated[FloatArray, "0…1", "s: taker sells over all traded notional in the flow window"]
    sweep_multiple: Annotated[
        FloatArray, "1", "m: notional of the best living sweep over a usual second's, 0 where there is none"
    ]
    sweep_age_s: Annotated[FloatArray, "s", "time since that sweep's last print, NaN where there is none"]
    open_interest_base: Annotated[FloatArray, "base", "open interest"]
    open_interest_usdt: Annotated[FloatArray, "USDT", "open interest at P"]
    open_interest_change: Annotated[FloatArray, "fraction", "dOI: relative change over the open interest window"]
    price_change: Annotated[FloatArray, "fraction", "dP: relative change of P over the same rows"]
    momentum_return: Annotated[FloatArray, "fraction", "r1: return over one momentum window"]
    momentum_return_3: Annotated[FloatArray, "fraction", "r3: return over three momentum windows"]
    volatility: Annotated[FloatArray, "fraction", "sigma: volatility per square root of a momentum window, floored"]
    volatility_minute: Annotated[FloatArray, "fraction", "sigma60: the same per square root of a minute"]
    momentum_z: Annotated[FloatArray, "1", "z: r1 and r3 in units of sigma"]
    vwap_distance: Annotated[FloatArray, "fraction", "v: P over the 24 h VWAP, less one"]
    funding_rate_8h: Annotated[FloatArray, "fraction", "f8: funding rate per eight hours"]
    funding_impulse: Annotated[FloatArray, "fraction", "f8 less its mean over the open interest window"]

    btc_return: float  #: [fraction] of Bitcoin over the BTC window, NaN where missing
    btc_venue: str  #: whose it is, "" where missing

    price_ms: IntArray  #: exchange times [epoch ms], 0 = never
    book_ms: IntArray
    trades_ms: IntArray
    open_interest_ms: IntArray
    funding_ms: IntArray
    funding_rate: FloatArray  #: [fraction] of one settlement, the last one seen, of whatever age; NaN before the first
    funding_interval_h: FloatArray  #: [h] between settlements, NaN before the venue has said it
    next_funding_ms: IntArray  #: [epoch ms] the settlement that the venue named last as its next, 0 before the first
    open_interest_is_live: BoolArray  #: False: stale, or only a point of a 5-minute history; passes no gate alone
    lender: IntArray  #: column of the lender of open interest or flow, -1 for none
    borrows_open_interest: BoolArray
    borrows_flow: BoolArray
    missing: dict[str, Codes]  #: by part of `PARTS`, (n,)
    candles: CandleFrame | None = None  #: None: no strategy that runs needs candles


class Feature(NamedTuple):
    """A row of `FEATURES`."""

    name: str
    unit: str
    meaning: str


FEATURES = tuple(
    Feature(name, *hint.__metadata__)
    for name, hint in get_type_hints(FeatureFrame, include_extras=True).items()
    if hasattr(hint, "__metadata__")
)

PARTS = (
    "price",
    "index",
    "spread",
    "book",
    "ask_share",
    "wall",
    "exhaustion",
    "taker_sell_share",
    "sweep",
    "open_interest_change",
    "price_change",
    "btc_return",
    "momentum",
    "vwap_distance",
    "funding",
)


def compute_features(state: MarketState, now_ms: int) -> FeatureFrame:
    """Compute every feature of every instrument at `now_ms`, the open tick's time or a little later.

    Nothing in `state` changes, and nothing appended is read beyond its window.
    """
    parts = FeatureBuilder(state, now_ms)
    parts.add_price()
    parts.add_momentum()
    parts.add_book()
    parts.add_flow()
    parts.add_derivatives()
    btc_return, btc_venue = parts.add_btc()
    borrowing = borrow(parts)
    candles = candle_frame(state, now_ms, borrowing["lender"])
    if candles is not None:
        parts.missing["candles"] = candle_codes(candles, now_ms)
    parts.add_wall(borrowing["lender"], borrowing["borrows_flow"])
    return FeatureFrame(
        now_ms=now_ms,
        instruments=state.instruments,
        btc_return=btc_return,
        btc_venue=btc_venue,
        missing=parts.missing,
        candles=candles,
        **borrowing,
        **parts.values,
    )


def features_at(features: FeatureFrame, column: int) -> dict[str, float]:
    """Return every feature of one instrument by name, Bitcoin's return among them."""
    values = {feature.name: float(getattr(features, feature.name)[column]) for feature in FEATURES}
    return values | {"btc_return": features.btc_return}
