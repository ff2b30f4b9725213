"""Valid records of which a test overrides the one thing it is about."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.facts.instruments import Instruments
from features.facts.market import FloatArray, Instrument, OpenInterest, OrderBook, Prints, Quotes, Trades, read_only
from features.frame import PARTS, FeatureFrame

VENUE = "bybit"
ID = "PEPEUSDT"
NOW_MS = 1_700_000_000_000

Levels = Sequence[tuple[float, float]]  #: (price, quantity), best first

BIDS: Levels = ((99.9, 10.0), (99.8, 20.0), (99.7, 30.0))
ASKS: Levels = ((100.1, 10.0), (100.2, 20.0), (100.3, 30.0))


def instrument(**changed: Any) -> Instrument:
    """PEPE on Bybit, unless changed; `base` and `coin` follow `id` (PEPEUSDT, PEPE_USDT) unless given."""
    identity = changed.get("id", ID)
    base = changed.get("base", identity.removesuffix("USDT").rstrip("_"))
    record: dict[str, Any] = {"venue": VENUE, "id": identity, "base": base, "coin": base, "tick_size": 0.01}
    return Instrument(**(record | changed))


def order_book(*, bids: Levels = BIDS, asks: Levels = ASKS, **changed: Any) -> OrderBook:
    """Return a book around 100 of three levels a side, short of the 50 asked for."""
    record: dict[str, Any] = {
        "venue": VENUE,
        "id": ID,
        "bids": levels(bids),
        "asks": levels(asks),
        "levels_asked": 50,
        "exchange_ms": NOW_MS,
    } | changed
    return OrderBook(**({"received_ms": record["exchange_ms"]} | record))


def trades(prints: Sequence[tuple[int, float, float, bool]] = (), **changed: Any) -> Trades:
    """Return prints of (time_ms, price, quantity, is_taker_sell), oldest first, that continue what came before."""
    record: dict[str, Any] = {
        "venue": VENUE,
        "id": ID,
        "prints": read_only(list(zip(*prints, strict=True)) or np.empty((4, 0)), np.float64),
        "exchange_ms": NOW_MS,
        "continues": True,
    } | changed
    return Trades(**({"received_ms": record["exchange_ms"]} | record))


def prints_of(*replies: Trades, **changed: Any) -> Prints:
    """Return replies of one venue, one an instrument, as its stream would bring them."""
    record: dict[str, Any] = {
        "venue": replies[0].venue if replies else VENUE,
        "symbols": tuple(one.id for one in replies),
        "starts": read_only(np.cumsum([0, *(one.prints.shape[1] for one in replies)]), np.int64),
        "block": read_only(np.concatenate([np.empty((4, 0)), *(one.prints for one in replies)], axis=1), np.float64),
        "continues": read_only([one.continues for one in replies], np.bool_),
        "read_ms": replies[0].exchange_ms if replies else NOW_MS,
        "lag_ms": 40.0,
    } | changed
    return Prints(**record)


def quotes(exchange_ms: int = NOW_MS, **changed: Any) -> Quotes:
    """Return a bulk reply for one instrument around 100; scalars become arrays of one per id."""
    record: dict[str, Any] = {
        "venue": VENUE,
        "ids": (ID,),
        "bid_price": 99.9,
        "ask_price": 100.1,
        "received_ms": exchange_ms,
    } | changed
    size = len(record["ids"])
    whole = {"venue", "ids", "received_ms"}
    arrays = {
        name: read_only(np.broadcast_to(np.asarray(value, float), (size,)), np.float64)
        for name, value in record.items()
        if name not in whole and value is not None
    }
    times = read_only(np.full(size, exchange_ms), np.int64)
    return Quotes(**({name: record[name] for name in whole} | {"exchange_ms": times} | arrays))


def open_interest(base: float = 1_000_000.0, **changed: Any) -> OpenInterest:
    """Return a live open interest of a million base."""
    record: dict[str, Any] = {"venue": VENUE, "id": ID, "open_interest_base": base, "exchange_ms": NOW_MS} | changed
    return OpenInterest(**({"received_ms": record["exchange_ms"]} | record))


def levels(side: Levels) -> FloatArray:
    """Return a side of a book of (price, quantity), best first."""
    return read_only(list(zip(*side, strict=True)) or np.empty((2, 0)), np.float64)


def feature_frame(instruments: Sequence[Instrument] | None = None, **changed: Any) -> FeatureFrame:
    """Return a frame in which nothing is missing and nothing is remarkable; scalars become arrays over `instruments`.

    `missing` takes {part: code} and leaves the other parts present; setting the values to NaN is the test's to do.
    """
    instruments = Instruments(instruments or [instrument()])
    size = len(instruments)
    times = dict.fromkeys(("price_ms", "book_ms", "trades_ms", "open_interest_ms", "funding_ms"), NOW_MS)
    whole = {"btc_return": 0.0, "btc_venue": VENUE, "now_ms": NOW_MS, "missing": {}}
    flags = {"open_interest_is_live": True, "borrows_open_interest": False, "borrows_flow": False, "lender": -1}
    values: dict[str, Any] = ORDINARY | times | whole | flags | changed
    arrays = {name: np.broadcast_to(value, (size,)).copy() for name, value in values.items() if name not in whole}
    codes = {part: np.broadcast_to(values["missing"].get(part, 0), (size,)).astype(np.int8) for part in PARTS}
    return FeatureFrame(
        **({name: values[name] for name in whole} | arrays | {"missing": codes, "instruments": instruments})
    )


ORDINARY = {
    "price": 100.0,
    "best_bid": 99.99,
    "best_ask": 100.01,
    "mark_price": 100.0,
    "spread_bps": 2.0,
    "microprice_tilt_bps": 0.0,
    "bid_depth_usdt": 50_000.0,
    "ask_depth_usdt": 50_000.0,
    "ask_share": 0.5,
    "index_basis": 0.0,
    "sellable_usdt": 10_000.0,
    "buyable_usdt": 12_000.0,
    "wall_ratio": 2.0,
    "bid_exhaustion": 0.0,
    "taker_sell_share": 0.5,
    "sweep_multiple": 0.0,
    "sweep_age_s": np.nan,
    "open_interest_base": 1_000_000.0,
    "open_interest_usdt": 100_000_000.0,
    "open_interest_change": 0.0,
    "price_change": 0.0,
    "momentum_return": 0.0,
    "momentum_return_3": 0.0,
    "volatility": 0.001,
    "volatility_minute": 0.001,
    "momentum_z": 0.0,
    "vwap_distance": 0.0,
    "funding_rate_8h": 0.0,
    "funding_impulse": 0.0,
    "funding_rate": 0.0,
    "funding_interval_h": 8.0,
    "next_funding_ms": 0,
}
