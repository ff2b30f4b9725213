"""Binance Vision, USD-M futures: the five kinds of files that SGNL needs (docs/archives.md)."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray
from fetchers.archives.prints import Prints, PrintsBuilder
from fetchers.archives.rows import Defects, milliseconds, number, read_columns, utc_text

MINUTE_MS, FIVE_MINUTES_MS, HOUR_MS = 60_000, 300_000, 3_600_000
PRINT_LAG_MS = 300  #: a live poller knows of a print so much later
AGG_TRADES = (
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
)
BOOK_DEPTH = ("timestamp", "percentage", "depth", "notional")
METRICS = (
    "create_time",
    "symbol",
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
KLINES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
FUNDING = ("calc_time", "funding_interval_hours", "last_funding_rate")
BANDS = (-5.0, -4.0, -3.0, -2.0, -1.0, -0.2, 0.2, 1.0, 2.0, 3.0, 4.0, 5.0)  #: [%] from the mid, bids below 0
_OLD_BANDS = frozenset(BANDS) - {-0.2, 0.2}  # until 2026-01-14
FROZEN_FROM = 10  #: snapshots in an hour below which nothing is called frozen
FITS = 0.05  #: a taker ratio that the prints explain is off by less, as a logarithm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depths:
    """Snapshots of a book's cumulative bands, by time; a cut or impossible one is left out."""

    time_ms: IntArray  #: (n,) in whole seconds
    depth: FloatArray  #: (n, 12) [base], in the order of BANDS; NaN where the band is not published
    notional: FloatArray  #: (n, 12) [USDT]
    is_frozen: BoolArray  #: (n, 2) bids, asks: the hour's figures do not move while those of the other side do
    defects: Defects = field(default_factory=Defects)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metrics:
    """Open interest every five minutes, by label."""

    label_ms: IntArray  #: (n,) as the file has it: end or start of five minutes
    open_interest_base: FloatArray  #: (n,) NaN where the file says 0
    taker_ratio: FloatArray  #: (n,) bought over sold by takers in those five minutes
    defects: Defects = field(default_factory=Defects)

    def state_ms(self, label: Literal["end", "start"]) -> IntArray:
        """Return when each open interest was so, (n,): always at the end of its five minutes."""
        return self.label_ms + (FIVE_MINUTES_MS if label == "start" else 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Klines:
    """Candles of a minute, by time."""

    open_ms: IntArray  #: (n,)
    ohlc: FloatArray  #: (4, n)
    volume_base: FloatArray  #: (n,)
    volume_usdt: FloatArray  #: (n,)
    trades: IntArray  #: (n,) 0 of a delisted symbol, whose candles go on
    defects: Defects = field(default_factory=Defects)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Funding:
    """The settlements, by time."""

    time_ms: IntArray  #: (n,) some milliseconds after the hour
    interval_h: FloatArray  #: (n,)
    rate: FloatArray  #: (n,) [fraction] per interval
    defects: Defects = field(default_factory=Defects)


def parse_agg_trades(lines: Iterable[str], *, name: str = "aggTrades") -> Prints:
    """Return the prints by id, each once; ids that are missing make holes."""
    defects: Defects = Counter()
    builder = PrintsBuilder(defects)
    wanted = ("agg_trade_id", "transact_time", "price", "quantity", "is_buyer_maker")
    for trade_id, time, price, quantity, is_maker in read_columns(lines, wanted, AGG_TRADES, defects, name=name):
        try:
            time_ms = milliseconds(time, defects)
            is_sell = {"true": True, "false": False}[is_maker.strip().lower()]
            builder.add(
                int(trade_id), time_ms, number(price), number(quantity), is_sell=is_sell, seen_ms=time_ms + PRINT_LAG_MS
            )
        except (ValueError, KeyError):
            defects["unreadable row"] += 1
    return builder.build(ids_continue=True)


def parse_book_depth(lines: Iterable[str], *, name: str = "bookDepth") -> Depths:
    """Return the snapshots by time; bands of 2025 are written -5, of 2026 -5.00."""
    defects: Defects = Counter()
    place = {band: number_ for number_, band in enumerate(BANDS)}
    found: dict[int, dict[int, tuple[float, float]]] = {}
    for time, percent, depth, notional in read_columns(lines, BOOK_DEPTH, BOOK_DEPTH, defects, name=name):
        try:
            bands = found.setdefault(utc_text(time), {})
            band, values = place[float(percent)], (number(depth), number(notional))
        except (ValueError, KeyError):
            defects["unreadable row"] += 1
            continue
        defects["double"] += band in bands
        bands[band] = values
    times, every = np.array(sorted(found), np.int64), np.full((2, len(found), len(BANDS)), np.nan)
    for row, time_ms in enumerate(times.tolist()):
        for band, values in found[time_ms].items():
            every[:, row, band] = values
    is_whole = np.array([{BANDS[band] for band in found[time_ms]} >= _OLD_BANDS for time_ms in times.tolist()], bool)
    is_possible = _is_possible(every)
    defects["cut snapshot"] += int((~is_whole).sum())
    defects["impossible snapshot"] += int((is_whole & ~is_possible).sum())
    kept = is_whole & is_possible
    times, every = times[kept], every[:, kept]
    frozen = frozen_sides(times, every[1])
    defects["snapshot with a frozen side"] += int(frozen.any(axis=1).sum())
    return Depths(time_ms=times, depth=every[0], notional=every[1], is_frozen=frozen, defects=+defects)


def frozen_sides(time_ms: IntArray, notional: FloatArray) -> BoolArray:
    """Return which sides stand still, (n, 2) bids and asks, hour by hour.

    A side stands still where any of its bands to 1 % has different figures in less than half of an hour's snapshots
    while that band of the other side moves: a constant ask would pass for a growing imbalance.
    """
    frozen = np.zeros((len(time_ms), 2), bool)
    hours = time_ms // HOUR_MS
    for hour in np.unique(hours):
        rows = np.flatnonzero(hours == hour)
        if len(rows) < FROZEN_FROM:
            continue
        for bid, ask in ((4, 7), (5, 6)):
            moves = [len(np.unique(notional[rows, band])) / len(rows) >= 0.5 for band in (bid, ask)]
            if np.isnan(notional[rows][:, (bid, ask)]).any() or moves[0] == moves[1]:
                continue
            frozen[rows, moves.index(False)] = True
    return frozen


def parse_metrics(lines: Iterable[str], *, name: str = "metrics") -> Metrics:
    """Return the open interest by label, each label once: the last row of a doubled one; zeros are missing values."""
    defects: Defects = Counter()
    wanted = ("create_time", "sum_open_interest", "sum_taker_long_short_vol_ratio")
    found: dict[int, tuple[float, float]] = {}
    last = 0
    for time, interest, ratio in read_columns(lines, wanted, METRICS, defects, name=name):
        try:
            label_ms, values = utc_text(time), (number(interest), number(ratio))
        except ValueError:
            defects["unreadable row"] += 1
            continue
        defects["double"] += label_ms in found
        defects["unsorted"] += label_ms < last
        last = label_ms
        defects["zero open interest"] += values[0] == 0
        found[label_ms] = values[0] if values[0] > 0 else np.nan, values[1]
    labels = sorted(found)
    defects["missing label"] += sum(
        (after - before) // FIVE_MINUTES_MS - 1 for before, after in itertools.pairwise(labels)
    )
    columns = np.array([found[label] for label in labels], float).reshape(len(labels), 2)
    return Metrics(
        label_ms=np.array(labels, np.int64),
        open_interest_base=columns[:, 0],
        taker_ratio=columns[:, 1],
        defects=+defects,
    )


def measure_label(metrics: Metrics, prints: Prints) -> Literal["end", "start"]:
    """Return what a symbol's day means by its labels, from the taker ratio that its prints explain.

    Until 2026-06-24 a label was the end of its five minutes, then the start, and nobody announced it. Where neither
    fits it is taken for the start: late, and so never a look ahead.
    """
    errors = {
        label: _ratio_error(metrics, prints, offset) for label, offset in (("end", -FIVE_MINUTES_MS), ("start", 0))
    }
    return "end" if errors["end"] < FITS and errors["end"] < errors["start"] else "start"


def parse_klines(lines: Iterable[str], *, name: str = "klines") -> Klines:
    """Return candles by time, each once."""
    defects: Defects = Counter()
    wanted = ("open_time", "open", "high", "low", "close", "volume", "quote_volume", "count", "close_time")
    found: dict[int, list[float]] = {}
    for time, *rest, close_time in read_columns(lines, wanted, KLINES, defects, name=name):
        try:
            open_ms, values = milliseconds(time, defects), [number(text) for text in rest]
            if milliseconds(close_time, defects) != open_ms + MINUTE_MS - 1 or not min(values[:4]) > 0:
                raise ValueError("no candle of a minute")
        except ValueError:
            defects["unreadable row"] += 1
            continue
        defects["double"] += open_ms in found
        found[open_ms] = values
    times = sorted(found)
    steps = itertools.pairwise(times)
    defects["missing minute"] += sum((after - before) // MINUTE_MS - 1 for before, after in steps)
    columns = np.array([found[time] for time in times], float).reshape(len(times), 7).T
    return Klines(
        open_ms=np.array(times, np.int64),
        ohlc=columns[:4],
        volume_base=columns[4],
        volume_usdt=columns[5],
        trades=columns[6].astype(np.int64),
        defects=+defects,
    )


def parse_funding(lines: Iterable[str], *, name: str = "fundingRate") -> Funding:
    """Return what was settled by time; rates may be written with an exponent."""
    defects: Defects = Counter()
    found: dict[int, tuple[float, float]] = {}
    for time, interval, rate in read_columns(lines, FUNDING, FUNDING, defects, name=name):
        try:
            time_ms, values = milliseconds(time, defects), (number(interval), number(rate))
        except ValueError:
            defects["unreadable row"] += 1
            continue
        defects["double"] += time_ms in found
        found[time_ms] = values
    times = sorted(found)
    columns = np.array([found[time] for time in times], float).reshape(len(times), 2)
    return Funding(time_ms=np.array(times, np.int64), interval_h=columns[:, 0], rate=columns[:, 1], defects=+defects)


def _is_possible(every: FloatArray) -> BoolArray:
    # bands grow outward, and the bids' mean price is below the asks'
    depth, notional = every
    if not len(depth):
        return np.zeros(0, bool)
    growing = [np.diff(side, axis=1) for side in (notional[:, [4, 3, 2, 1, 0]], notional[:, 7:])]
    grows = np.all([(step >= 0).all(axis=1) for step in growing], axis=0)
    positive = (depth[:, [4, 7]] > 0).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        price = notional / depth
    return np.asarray(grows & positive & (price[:, 4] < price[:, 7]))


def _ratio_error(metrics: Metrics, prints: Prints, offset_ms: int) -> float:
    begins = metrics.label_ms + offset_ms
    edges = np.searchsorted(prints.time_ms, np.stack((begins, begins + FIVE_MINUTES_MS)))
    is_inside = (
        (begins >= prints.time_ms[0]) & (begins + FIVE_MINUTES_MS <= prints.time_ms[-1]) if len(prints) else None
    )
    if is_inside is None or not is_inside.any():
        return np.inf
    sums = [np.append(0.0, np.cumsum(prints.quantity * side)) for side in (~prints.is_taker_sell, prints.is_taker_sell)]
    bought, sold = (total[edges[1]] - total[edges[0]] for total in sums)
    usable = is_inside & (bought > 0) & (sold > 0) & (metrics.taker_ratio > 0)
    if not usable.any():
        return np.inf
    return float(np.median(np.abs(np.log(bought[usable] / sold[usable] / metrics.taker_ratio[usable]))))
