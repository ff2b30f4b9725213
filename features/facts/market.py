"""Market facts as frozen records, as they leave a fetcher.

Quantities are in the venue's base coin (a venue that trades contracts has already been converted), prices in USDT per
base, times in epoch milliseconds: ``exchange_ms`` when the venue says it happened (its reply time where it gives none
for the fact itself), corrected by that venue's measured clock offset; ``received_ms`` when we saw it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import gt, lt
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

BTC = "BTC"
#: [s] of candles, by the name that people and venues give them
CANDLE_INTERVALS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400}
FUTURE_MS = 2_000  #: what is further ahead of the clock than a measured offset can be out is not believed


def read_only(values: Sequence[Any] | NDArray[Any], dtype: type) -> NDArray[Any]:
    """Return `values` as an array of `dtype` that cannot be changed by accident."""
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def key_name(key: tuple[str, str]) -> str:
    """Return an instrument's (venue, id) in one word; no coin is called so."""
    return ":".join(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One perpetual on one venue."""

    venue: str
    id: str  #: the venue's own id, e.g. 1000PEPEUSDT or PEPE_USDT
    base: str  #: as the venue prints it, e.g. 1000PEPE
    coin: str  #: the identity shared across venues, e.g. PEPE; PEPE@lbank where the price says it is another coin
    tick_size: float  #: [USDT per base]
    contract_size: float = 1.0  #: [base per contract], 1 where the venue counts coins
    multiplier: float = 1.0  #: [coins per base], 1000 for 1000PEPE
    volume_usdt_24h: float = float("nan")  #: [USDT] at the last universe load
    is_eligible: bool = True  #: may signal; otherwise it only lends, or is Bitcoin
    publishes_trades: bool = True
    publishes_open_interest: bool = True
    has_bulk_open_interest: bool = False  #: its live open interest comes with the quotes
    other_names: tuple[str, ...] = ()  #: what else the venue calls the coin, e.g. PUMPFUN for PUMP
    taker_fee_percent: float = 0.0  #: one way, as the venue publishes it for this instrument; 0 where it does not
    is_innovation_zone: bool = False  #: MEXC's zone of higher fees, closed in many countries

    @property
    def key(self) -> tuple[str, str]:
        """(venue, id), unique over the universe."""
        return self.venue, self.id

    @property
    def key_name(self) -> str:
        """The instrument in one word, e.g. bybit:PEPEUSDT."""
        return key_name(self.key)

    @property
    def names(self) -> frozenset[str]:
        """Every name of the coin, in capitals: PEPE@lbank is PEPE as well."""
        return frozenset(
            name.upper() for name in (self.coin, self.coin.partition("@")[0], self.base, *self.other_names)
        )

    @property
    def pair(self) -> str:
        """The pair as people write it, e.g. 1000PEPE/USDT."""
        return f"{self.base}/USDT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """One bulk reply: the same quantities for many instruments, (n,) each; None: not in this reply, NaN: no value."""

    venue: str
    ids: tuple[str, ...]
    exchange_ms: IntArray  #: (n,)
    received_ms: int
    bid_price: FloatArray | None = None
    ask_price: FloatArray | None = None
    mark_price: FloatArray | None = None
    index_price: FloatArray | None = None
    funding_rate: FloatArray | None = None  #: fraction per funding interval
    funding_interval_h: FloatArray | None = None
    next_funding_ms: IntArray | None = None  #: when it settles next, 0 where the venue does not say
    open_interest_base: FloatArray | None = None
    volume_base_24h: FloatArray | None = None
    volume_usdt_24h: FloatArray | None = None
    bad_rows: int = 0  #: rows of the reply that were left out or had no usable price


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBook:
    """A depth snapshot, best level first; a side may be empty and the sides may cross: the state judges that.

    A side is one block of memory, so that hundreds of books join in one go.

    Raises
    ------
    ValueError
        Where a side is not sorted best first, or a price or quantity is not finite and positive.
    """

    venue: str
    id: str
    bids: FloatArray  #: (2, levels): prices, quantities
    asks: FloatArray  #: (2, levels)
    levels_asked: int  #: a side that came back with as many is cut short by the request, not by the market
    exchange_ms: int
    received_ms: int
    sequence: int | None = None  #: grows with each change where the venue numbers its books

    def __post_init__(self) -> None:
        for side, levels, is_further in (("bid", self.bids, gt), ("ask", self.asks, lt)):
            price, quantity = levels.tolist()  # fifty numbers are looked at sooner in a list than in an array
            for what, values in (("price", price), ("quantity", quantity)):
                if not (min(values, default=1.0) > 0 and sum(values) < inf):  # the sum shows NaN, no comparison does
                    raise ValueError(f"{self.venue} {self.id}: {side}_{what} was not finite and positive throughout")
            if not all(map(is_further, price, price[1:])):
                raise ValueError(f"{self.venue} {self.id}: the levels were not sorted best first")

    @property
    def bid_price(self) -> FloatArray:
        """[USDT], (levels,)."""
        return np.asarray(self.bids[0])

    @property
    def bid_quantity(self) -> FloatArray:
        """[base], (levels,)."""
        return np.asarray(self.bids[1])

    @property
    def ask_price(self) -> FloatArray:
        """[USDT], (levels,)."""
        return np.asarray(self.asks[0])

    @property
    def ask_quantity(self) -> FloatArray:
        """[base], (levels,)."""
        return np.asarray(self.asks[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """The prints of one instrument that no earlier record held, oldest first; may be empty (quiet is not stale).

    They are one block of memory, so that hundreds of lists join in one go.
    """

    venue: str
    id: str
    prints: FloatArray  #: (4, k): times, ascending, prices, quantities, and 1 where the taker sold, else 0
    exchange_ms: int  #: the reply's time, not the last print's
    received_ms: int
    continues: bool  #: False: prints may be missing before the first one here (first look, or a gap)

    def __post_init__(self) -> None:
        if (self.time_ms[1:] < self.time_ms[:-1]).any():
            raise ValueError(f"{self.venue} {self.id}: the prints were not oldest first")
        if not (self.prints[1:3] > 0).all():
            raise ValueError(f"{self.venue} {self.id}: a print's price or quantity was not positive")

    @property
    def time_ms(self) -> FloatArray:
        """[epoch ms], (k,)."""
        return np.asarray(self.prints[0])

    @property
    def price(self) -> FloatArray:
        """[USDT], (k,)."""
        return np.asarray(self.prints[1])

    @property
    def quantity(self) -> FloatArray:
        """[base], (k,)."""
        return np.asarray(self.prints[2])

    @property
    def is_taker_sell(self) -> BoolArray:
        """(k,)."""
        return np.asarray(self.prints[3] > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
    """What a venue's trade streams brought of many instruments in one reading, each instrument's prints oldest first.

    The columns `starts[i]` to `starts[i + 1]` of `block` are those of `symbols[i]`. No print is in two records.
    """

    venue: str
    symbols: tuple[str, ...]  #: ids as in `Instrument`, each once; one without prints was covered and quiet
    starts: IntArray  #: (symbols + 1,)
    block: FloatArray  #: (4, n): rows as those of `Trades.prints`
    continues: BoolArray  #: (symbols,): False: prints may be missing before the first one here
    read_ms: int  #: when the sockets were read
    lag_ms: float  #: by which the middle one of the messages was older than `read_ms`

    def __post_init__(self) -> None:
        count = self.block.shape[1]
        if (
            len(self.starts) != len(self.symbols) + 1
            or len(self.continues) != len(self.symbols)
            or (self.starts[0], self.starts[-1]) != (0, count)
            or (np.diff(self.starts) < 0).any()
        ):
            raise ValueError(f"{self.venue}: the starts did not cut {count} prints into {len(self.symbols)} lists")
        is_earlier = self.block[0, 1:] < self.block[0, :-1]
        is_earlier[self.starts[(self.starts > 0) & (self.starts < count)] - 1] = False  # a list ends there
        if is_earlier.any():
            raise ValueError(f"{self.venue}: the prints of an instrument were not oldest first")
        if not (self.block[1:3] > 0).all():
            raise ValueError(f"{self.venue}: a print's price or quantity was not positive")

    @property
    def received_ms(self) -> int:
        """When we saw it [epoch ms], as of every observation."""
        return self.read_ms

    def of(self, symbol: str) -> Trades | None:
        """Return an instrument's prints as a record of its own; None where they are not in here."""
        if symbol not in self.symbols:
            return None
        place = self.symbols.index(symbol)
        prints, continues = self.block[:, self.starts[place] : self.starts[place + 1]], bool(self.continues[place])
        both = {"exchange_ms": self.read_ms, "received_ms": self.read_ms}
        return Trades(venue=self.venue, id=symbol, prints=prints, continues=continues, **both)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterest:
    """Open interest of one instrument at one time, in base coin."""

    venue: str
    id: str
    open_interest_base: float
    exchange_ms: int
    received_ms: int
    is_live: bool = True  #: False: a point of a 5-minute history, which fills windows but passes no gate alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """Candles of one instrument, oldest first, (k,) each.

    As an observation, those of a minute are of the mark price, those of a longer interval of what was traded, and
    closed.
    """

    venue: str
    id: str
    open_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    received_ms: int
    interval_s: int = 60
    volume_base: FloatArray | None = None  #: None of the mark price


Observation: TypeAlias = Quotes | OrderBook | Trades | Prints | OpenInterest | Candles
Moved = TypeVar("Moved", bound=Observation)
_MOVES_TIMES = np.array([[1], [0], [0], [0]])  # the first row of prints are times


def moved(observation: Moved, by_ms: int) -> Moved:
    """Return an observation on a clock that is `by_ms` ahead; candles' minutes are the venue's own, and stay."""
    if not by_ms:
        return observation
    if isinstance(observation, Prints):
        block = read_only(observation.block + _MOVES_TIMES * by_ms, np.float64)
        return replace(observation, block=block, read_ms=observation.read_ms + by_ms)
    times: dict[str, Any] = {"received_ms": observation.received_ms + by_ms}
    if isinstance(observation, Quotes):
        times["exchange_ms"] = _moved_each(observation.exchange_ms, by_ms)
        if observation.next_funding_ms is not None:
            times["next_funding_ms"] = _moved_each(observation.next_funding_ms, by_ms)
    elif not isinstance(observation, Candles):
        times["exchange_ms"] = observation.exchange_ms + by_ms
    if isinstance(observation, Trades):
        times["prints"] = read_only(observation.prints + _MOVES_TIMES * by_ms, np.float64)
    return replace(observation, **times)


def _moved_each(times_ms: IntArray, by_ms: int) -> IntArray:
    return read_only(np.where(times_ms > 0, times_ms + by_ms, 0), np.int64)  # 0 is never
