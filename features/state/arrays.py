"""The arrays of the market's state: one table from which they are allocated, copied and documented."""

from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray
from features.phenomena.order_book import BANDS
from features.phenomena.trade_flow import KEPT_RUNS

OPEN_PRINTS = 4  #: representative prints of an unfinished run of taker sells: its first, second, third and last price


class Axis(Enum):
    """The first axis of an array; instruments are always the last."""

    NONE = "the newest value of each instrument"
    TICK = "one row per tick, a ring"
    BOOK = "one row per tick and band of depth, a ring, filled only where a book arrived"
    SECOND = "one row per epoch second, a ring"
    RUN = "the last few runs of taker sells, oldest first"
    OPEN = "four representative prints of the unfinished run of taker sells"


_N, _T, _B, _S, _R, _O = Axis


class MarketArrays:
    """One preallocated array per quantity, rows first, instruments last; a missing float is NaN, a missing time 0."""

    price: Annotated[FloatArray, _N, "USDT", "P: mid of the bulk quotes, mark price where the venue has none in bulk"]
    price_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of P"]
    price_moved_ms: Annotated[IntArray, _N, "epoch ms", "when P last became another"]
    has_bulk_quotes: Annotated[BoolArray, _N, "", "P is a mid, now and for ever"]
    best_bid: Annotated[FloatArray, _N, "USDT", "newest best bid of bulk or book"]
    best_ask: Annotated[FloatArray, _N, "USDT", "newest best ask of bulk or book"]
    best_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of both"]
    mark_price: Annotated[FloatArray, _N, "USDT", "mark price"]
    mark_ms: Annotated[IntArray, _N, "epoch ms", "its exchange time"]
    index_price: Annotated[FloatArray, _N, "USDT", "the venue's index"]
    index_ms: Annotated[IntArray, _N, "epoch ms", "its exchange time"]
    volume_base: Annotated[FloatArray, _N, "base", "traded in the last 24 h"]
    volume_usdt: Annotated[FloatArray, _N, "USDT", "traded in the last 24 h"]
    volume_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of both"]
    funding_rate: Annotated[FloatArray, _N, "fraction", "funding rate of one settlement"]
    funding_ms: Annotated[IntArray, _N, "epoch ms", "its exchange time"]
    funding_interval_h: Annotated[FloatArray, _N, "h", "between settlements, by the venue's own reply"]
    next_funding_ms: Annotated[IntArray, _N, "epoch ms", "the next settlement, by the venue's own reply"]
    funding_8h: Annotated[FloatArray, _N, "fraction", "f8: funding rate per eight hours"]
    open_interest: Annotated[FloatArray, _N, "base", "open interest"]
    open_interest_ms: Annotated[IntArray, _N, "epoch ms", "its exchange time"]
    open_interest_is_live: Annotated[BoolArray, _N, "", "False: the newest is a point of a 5-minute history"]

    book_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of the last book"]
    book_changed_ms: Annotated[IntArray, _N, "epoch ms", "when the book last became another"]
    book_is_crossed: Annotated[BoolArray, _N, "", "its best bid is not below its best ask"]
    book_notional: Annotated[FloatArray, _N, "USDT", "of all levels of both sides: changes whenever the book does"]
    book_reach: Annotated[FloatArray, _N, "fraction", "of the mid to which both sides are known"]
    band: Annotated[IntArray, _N, "1", "place in BANDS of the depths below: the widest of book and baseline"]
    bid_depth: Annotated[FloatArray, _N, "USDT", "weighted bids inside the band"]
    usual_bid_depth: Annotated[FloatArray, _N, "USDT", "median of the earlier books' in that band when this one came"]
    ask_depth: Annotated[FloatArray, _N, "USDT", "weighted asks inside the band"]
    sellable: Annotated[FloatArray, _N, "USDT", "bids within 0.1 % of the best"]
    buyable: Annotated[FloatArray, _N, "USDT", "asks within 0.1 % of the best"]
    wall_ratio: Annotated[FloatArray, _N, "1", "largest over median ask level inside the book's widest band"]
    wall_price: Annotated[FloatArray, _N, "USDT", "price of that level"]
    wall_notional: Annotated[FloatArray, _N, "USDT", "its notional"]
    microprice_tilt_bps: Annotated[FloatArray, _N, "bps", "microprice over mid, less one"]
    previous_book_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of an earlier book, a while before the last"]
    previous_wall_ratio: Annotated[FloatArray, _N, "1", "its wall ratio"]
    previous_wall_price: Annotated[FloatArray, _N, "USDT", "its wall's price"]
    next_book_ms: Annotated[IntArray, _N, "epoch ms", "of a book in between, which becomes the earlier one later"]
    next_wall_ratio: Annotated[FloatArray, _N, "1", "its wall ratio"]
    next_wall_price: Annotated[FloatArray, _N, "USDT", "its wall's price"]

    trades_ms: Annotated[IntArray, _N, "epoch ms", "exchange time of the last reply with trades, prints or none"]
    print_ms: Annotated[IntArray, _N, "epoch ms", "time of the last print"]
    covered_from_ms: Annotated[IntArray, _N, "epoch ms", "since when no print has been missed"]
    run_end_ms: Annotated[FloatArray, _R, "epoch ms", "last print of a run that can be a sweep"]
    run_notional: Annotated[FloatArray, _R, "USDT", "its notional, 0 in an empty place"]
    open_ms: Annotated[IntArray, _O, "epoch ms", "times of the open run's prints: the first, then three times the last"]
    open_price: Annotated[FloatArray, _O, "USDT", "the open run's first, second, third and last price"]
    open_notional: Annotated[FloatArray, _N, "USDT", "the open run's notional, NaN where no run is open"]

    price_at: Annotated[FloatArray, _T, "USDT", "P as known at that tick"]
    open_interest_at: Annotated[FloatArray, _T, "base", "open interest as known at that tick"]
    funding_8h_at: Annotated[FloatArray, _T, "fraction", "f8 as known at that tick"]
    bid_depth_at: Annotated[FloatArray, _B, "USDT", "weighted bids of the last book of that tick, in each band"]
    traded_at: Annotated[FloatArray, _S, "USDT", "traded in that second, 0 where nothing"]
    taker_sold_at: Annotated[FloatArray, _S, "USDT", "of it by taker sells"]

    def allocate(self, instruments: int, ticks: int, seconds: int) -> None:
        """Set every array of `STATE` to nothing known."""
        rows = {_N: (), _T: (ticks,), _B: (ticks, len(BANDS)), _S: (seconds,), _R: (KEPT_RUNS,), _O: (OPEN_PRINTS,)}
        for quantity in STATE:
            shape = (*rows[quantity.axis], instruments)
            # What is read for few instruments over many rows lies in memory instrument by instrument.
            order: Literal["C", "F"] = "F" if quantity.axis in (_B, _S, _O) else "C"
            setattr(self, quantity.name, np.full(shape, quantity.empty, dtype=quantity.dtype, order=order))

    def copy_columns(self, source: "MarketArrays", there: IntArray, here: IntArray) -> None:
        """Take over the columns `there` of `source` as `here`."""
        for quantity in STATE:
            getattr(self, quantity.name)[..., here] = getattr(source, quantity.name)[..., there]

    @property
    def nbytes(self) -> int:
        """Memory of all arrays [bytes]."""
        return sum(getattr(self, quantity.name).nbytes for quantity in STATE)


class Quantity(NamedTuple):
    """A row of `STATE`."""

    name: str
    unit: str
    meaning: str
    axis: Axis
    dtype: type

    @property
    def empty(self) -> float:
        """The value of a cell of which nothing is known."""
        counts_nothing_as_zero = self.axis in (_S, _R)
        return np.nan if self.dtype is np.float64 and not counts_nothing_as_zero else 0


def _quantities() -> tuple[Quantity, ...]:
    hints: dict[str, Any] = get_type_hints(MarketArrays, include_extras=True)
    dtypes = {NDArray[np.float64]: np.float64, NDArray[np.int64]: np.int64, NDArray[np.bool_]: np.bool_}
    rows = ((name, dtypes[hint.__origin__], *hint.__metadata__) for name, hint in hints.items())
    return tuple(Quantity(name, unit, meaning, axis, dtype) for name, dtype, axis, unit, meaning in rows)


STATE = _quantities()
