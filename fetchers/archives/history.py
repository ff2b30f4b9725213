"""One instrument's past as tables, and the pasts of many as the ticks of one tape."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from features.facts.market import (
    BTC,
    FloatArray,
    Instrument,
    IntArray,
    Observation,
    OpenInterest,
    OrderBook,
    Quotes,
    Trades,
)
from fetchers.archives.bands import book_of_bands
from fetchers.archives.history_profile import Profile
from fetchers.archives.prints import Prints
from fetchers.archives.vision import Depths, Funding, Klines
from fetchers.health import Condition
from fetchers.tape.records import TapeTick, Watched
from fetchers.universe import strip_multiplier

HOUR_MS, DAY_MS, MINUTE_MS = 3_600_000, 86_400_000, 60_000
_QUOTE = "USDT"
_DECIMALS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interest:
    """Open interest by the time at which it was so."""

    time_ms: IntArray  #: (n,) ascending
    base: FloatArray  #: (n,) NaN: missing


@dataclass(slots=True, kw_only=True, eq=False)
class History:
    """Some hours of one instrument's archives; `books` are in the order in which they were known."""

    instrument: Instrument
    prints: Prints
    books: Iterator[OrderBook]
    interest: Interest
    klines: Klines  #: from a day before
    funding: Funding
    has_exact_books: bool  #: their best prices are the venue's own


def instrument_of(venue: str, symbol: str, prices: FloatArray, *, is_eligible: bool) -> Instrument:
    """Return what can be known of a contract from its prints: archives have no lists of the past."""
    base = symbol.removesuffix(_QUOTE)
    coin, multiplier = strip_multiplier(base)
    return Instrument(
        venue=venue,
        id=symbol,
        base=base,
        coin=coin,
        tick_size=tick_size(prices),
        multiplier=multiplier,
        is_eligible=is_eligible and coin != BTC,
    )


def tick_size(prices: FloatArray) -> float:
    """Return the greatest common divisor of prices, which is the tick or a multiple of it on a quiet day."""
    distinct = np.unique(prices)
    for decimals in range(_DECIMALS + 1):
        scaled = np.round(distinct * 10.0**decimals)
        if np.allclose(scaled, distinct * 10.0**decimals, rtol=1e-12, atol=1e-6):
            return float(np.gcd.reduce(scaled.astype(np.int64))) / 10.0**decimals
    return 10.0**-_DECIMALS


def books_of_depths(instrument: Instrument, depths: Depths, prints: Prints, profile: Profile) -> Iterator[OrderBook]:
    """Yield the books of snapshots of bands, but of those with a frozen side or without best prices."""
    lag_ms = profile.book_lag_ms
    # a stamp is in whole seconds: what it holds may be almost a second younger
    known_ms = depths.time_ms + 1000
    bid, ask, _ = best_prices(prints, known_ms, instrument.tick_size, profile)
    for row, time_ms in enumerate(known_ms.tolist()):
        if depths.is_frozen[row].any() or math.isnan(bid[row]):
            continue
        best = (float(bid[row]), float(ask[row]))
        book = book_of_bands(*instrument.key, depths.notional[row], best, exchange_ms=time_ms, seen_ms=time_ms + lag_ms)
        if book is not None:
            yield book


def best_prices(
    prints: Prints, at_ms: IntArray, tick: float, profile: Profile
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return bid, ask and the time of the newest print, (m,) each, as the last prints known at each time show them.

    A bid is where the takers last sold, an ask where they last bought, each at most `print_age_s` old; where the two
    cross, the older one is a tick from the newer. NaN where either is missing.
    """
    price, time_ms = np.full((2, len(at_ms)), np.nan), np.zeros((2, len(at_ms)), np.int64)
    for side, of_side in enumerate((prints.is_taker_sell, ~prints.is_taker_sell)):
        rows = np.flatnonzero(of_side)
        last = np.searchsorted(prints.seen_ms[rows], at_ms, side="right") - 1
        found = last >= 0
        taken = rows[last[found]]
        price[side, found], time_ms[side, found] = prints.price[taken], prints.time_ms[taken]
    price[time_ms < at_ms - 1000 * profile.print_age_s] = np.nan
    bid, ask = price
    crossed, sold_last = bid >= ask, time_ms[0] >= time_ms[1]
    ask = np.where(crossed & sold_last, bid + tick, ask)
    bid = np.where(crossed & ~sold_last, price[1] - tick, bid)
    is_known = ~np.isnan(price).any(axis=0)
    return np.where(is_known, bid, np.nan), np.where(is_known, ask, np.nan), time_ms.max(axis=0)


def volume_24h(klines: Klines, at_ms: IntArray, lag_ms: int) -> tuple[FloatArray, FloatArray]:
    """Return [base] and [USDT] of the 24 h of candles that were known at each time, (m,) each; NaN without any."""
    known_ms = klines.open_ms + MINUTE_MS + lag_ms
    last = np.searchsorted(known_ms, at_ms, side="right")
    first = np.searchsorted(known_ms, at_ms - DAY_MS, side="right")
    sums = [np.append(0.0, np.cumsum(volume)) for volume in (klines.volume_base, klines.volume_usdt)]
    # to what a venue would print, which a tape keeps in less room
    found = np.array([np.where(last > first, total[last] - total[first], np.nan) for total in sums]).round(4)
    return found[0], found[1]


def make_ticks(histories: Sequence[History], from_ms: int, to_ms: int, profile: Profile) -> Iterator[TapeTick]:
    """Yield the ticks of [from_ms, to_ms), but of hours without a print: all in one was known by then."""
    state = [_Cursor(history, from_ms) for history in histories]
    instruments = tuple(history.instrument for history in histories)
    edges = [*range(from_ms, to_ms, HOUR_MS), to_ms]
    watched: Watched | None = Watched(instruments=instruments)
    for begins, ends in pairwise(edges):
        if not any(_has_prints(history.prints, begins, ends) for history in histories):
            continue
        grid = np.arange(begins, ends, 1000 * profile.every_s)
        hours = [_Hour(cursor, grid, profile) for cursor in state]
        for row, now_ms in enumerate(grid.tolist()):
            portion = [one for hour in hours for one in hour.observations(row, now_ms)]
            yield TapeTick(
                started_ms=now_ms,
                seen_ms=now_ms,
                decided_ms=now_ms,
                ended_ms=now_ms,
                watched=watched,
                quotes=[_quotes(hours, row, now_ms)],
                portions=[portion],
                conditions={instruments[0].venue: Condition.OK} if watched else None,
            )
            watched = None


def _has_prints(prints: Prints, begins_ms: int, ends_ms: int) -> bool:
    first, last = np.searchsorted(prints.seen_ms, (begins_ms, ends_ms))
    return bool(last > first)


class _Cursor:
    """How far one history has been handed out."""

    def __init__(self, history: History, from_ms: int) -> None:
        self.history = history
        self.printed = int(np.searchsorted(history.prints.seen_ms, from_ms, side="left"))
        self.interest = 0
        self.waiting = next(history.books, None)
        self.book: OrderBook | None = None
        self.is_first = True


class _Hour:
    """One instrument's quotes of an hour's ticks, made at once."""

    def __init__(self, cursor: _Cursor, grid: IntArray, profile: Profile) -> None:
        history = cursor.history
        self.cursor, self.history, self.profile = cursor, history, profile
        prints, tick = history.prints, history.instrument.tick_size
        self.bid, self.ask, self.time_ms = best_prices(prints, grid, tick, profile)
        self.print_end = np.searchsorted(prints.seen_ms, grid, side="right").tolist()
        self.volume_base, self.volume_usdt = volume_24h(history.klines, grid, profile.candle_lag_ms)
        self.interest_known_ms = history.interest.time_ms + profile.open_interest_lag_ms
        self.interest_end = np.searchsorted(self.interest_known_ms, grid, side="right").tolist()
        last = np.searchsorted(history.funding.time_ms + profile.funding_lag_ms, grid, side="right") - 1
        known = last >= 0
        self.rate, self.interval_h = np.full(len(grid), np.nan), np.full(len(grid), np.nan)
        self.rate[known] = history.funding.rate[last[known]]
        self.interval_h[known] = history.funding.interval_h[last[known]]

    def observations(self, row: int, now_ms: int) -> Iterator[Observation]:
        """Yield what became known since the tick before: prints, the newest book, open interest."""
        yield self._trades(self.print_end[row], now_ms)
        cursor = self.cursor
        newest: OrderBook | None = None
        while cursor.waiting is not None and cursor.waiting.received_ms <= now_ms:
            newest, cursor.waiting = cursor.waiting, next(self.history.books, None)
        if newest is not None:
            cursor.book = newest
            yield newest
        if self.history.has_exact_books and cursor.book is not None:
            is_fresh = now_ms - cursor.book.exchange_ms <= 1000 * self.profile.print_age_s
            self.bid[row] = cursor.book.bids[0, 0] if is_fresh else np.nan
            self.ask[row] = cursor.book.asks[0, 0] if is_fresh else np.nan
            self.time_ms[row] = cursor.book.exchange_ms
        if self.interest_end[row] > cursor.interest and self.profile.open_interest != "off":
            yield from self._interest(self.interest_end[row])

    def _trades(self, end: int, now_ms: int) -> Trades:
        cursor, prints = self.cursor, self.history.prints
        begin, cursor.printed = cursor.printed, max(end, cursor.printed)
        taken = slice(begin, cursor.printed)
        columns = (prints.time_ms, prints.price, prints.quantity, prints.is_taker_sell)
        every_ms = 1000 * self.profile.every_s
        is_cut = any(before < now_ms and after > now_ms - every_ms for before, after in prints.holes)
        continues, cursor.is_first = not (cursor.is_first or is_cut), False
        return Trades(
            venue=self.history.instrument.venue,
            id=self.history.instrument.id,
            prints=np.array([column[taken] for column in columns], float),
            exchange_ms=now_ms,
            received_ms=now_ms,
            continues=continues,
        )

    def _interest(self, end: int) -> Iterator[OpenInterest]:
        cursor, interest = self.cursor, self.history.interest
        for number in range(cursor.interest, end):
            if not math.isnan(interest.base[number]):
                yield OpenInterest(
                    venue=self.history.instrument.venue,
                    id=self.history.instrument.id,
                    open_interest_base=float(interest.base[number]),
                    exchange_ms=int(interest.time_ms[number]),
                    received_ms=int(self.interest_known_ms[number]),
                    is_live=self.profile.open_interest == "relaxed",
                )
        cursor.interest = end


def _quotes(hours: Sequence[_Hour], row: int, now_ms: int) -> Quotes:
    def column(name: str) -> FloatArray | None:
        values = np.array([getattr(hour, name)[row] for hour in hours], float)
        return None if np.isnan(values).all() else values

    return Quotes(
        venue=hours[0].history.instrument.venue,
        ids=tuple(hour.history.instrument.id for hour in hours),
        exchange_ms=np.array([hour.time_ms[row] for hour in hours], np.int64),
        received_ms=now_ms,
        bid_price=column("bid"),
        ask_price=column("ask"),
        funding_rate=column("rate"),
        funding_interval_h=column("interval_h"),
        volume_base_24h=column("volume_base"),
        volume_usdt_24h=column("volume_usdt"),
    )
