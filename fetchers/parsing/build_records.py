"""From checked columns to the records of features/facts/market.py: what is the same for all four venues."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.facts.market import Candles, FloatArray, IntArray, OpenInterest, OrderBook, Quotes, read_only
from fetchers.errors import BadPayload
from fetchers.parsing.payload import EARLIEST_MS, LARGEST, LATEST_MS, SMALLEST, bad, column, times
from fetchers.parsing.tallies import Tallies

#: what a column of a bulk reply may go down to, where that is not a positive number
LEAST = {"funding_rate": -LARGEST, "open_interest_base": 0.0, "volume_base_24h": 0.0, "volume_usdt_24h": 0.0}
MINUTE_MS = 60_000
FUTURE_MS = 120_000  #: more than any clock is out; a time further ahead is garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When we saw a reply, and how far the venue's clock was ahead of ours then."""

    received_ms: int
    clock_offset_ms: float = 0.0
    tallies: Tallies = field(default_factory=Tallies)  #: where the rows are counted

    def ours(self, venue_ms: float) -> int:
        """Return a venue's time on our clock; nothing happened after we saw it."""
        return min(self.received_ms, round(venue_ms - self.clock_offset_ms))

    def ours_each(self, venue_ms: FloatArray) -> IntArray:
        """Return venue times (n,) on our clock; 0, which is never, where there is none."""
        times = np.minimum(self.received_ms, np.rint(venue_ms - self.clock_offset_ms))
        return read_only(np.where(np.isnan(times), 0.0, times), np.int64)

    def to_the_minute(self, venue_ms: FloatArray) -> IntArray:
        """Return what is due at venue times (n,) on our clock, which may be to come; 0 where there is none.

        Moved by whole minutes only: the measured offset wavers, and one settlement must not be taken for two.
        """
        times = venue_ms - MINUTE_MS * round(self.clock_offset_ms / MINUTE_MS)
        return read_only(np.where(np.isnan(times), 0.0, times), np.int64)


def bulk(
    payload: object, call: str, arrival: Arrival, time: str | float | None, *, settles_at: str = "", **fields: str
) -> Quotes:
    """Return the columns of a bulk reply, given as the record's name = the venue's.

    A row that is no object or has no symbol is left out, a cell that is no number is NaN; the first column is the one
    without which a row is useless, and a reply without a single useful row is none. `time` is the field in which each
    row says when it was made, or the venue's time of the whole reply; without either that is as old as its arrival.
    `settles_at` is the field of the next settlement.
    """
    rows, count = _rows(payload, call)
    columns = {name: column(rows, field, least=LEAST.get(name, SMALLEST)) for name, field in fields.items()}
    useful = int(np.isfinite(columns[next(iter(fields))]).sum())
    arrival.tallies.note(
        call,
        count,
        unreadable=count - useful,
        impossible=sum(_impossible(rows, fields[name], values) for name, values in columns.items()),
        fields={field for row in (rows[0], rows[-1]) for field in row} if rows else (),
    )
    if not useful:
        raise BadPayload(f"{call}: none of {count} rows had a usable {next(iter(fields.values()))}")
    if isinstance(time, str):
        exchange_ms = arrival.ours_each(times(rows, time))
    else:
        exchange_ms = read_only(
            np.full(len(rows), arrival.received_ms if time is None else arrival.ours(time)), np.int64
        )
    return Quotes(
        venue=call.split(maxsplit=1)[0],
        ids=tuple(row["symbol"] for row in rows),
        exchange_ms=exchange_ms,
        received_ms=arrival.received_ms,
        bad_rows=count - useful,
        next_funding_ms=arrival.to_the_minute(times(rows, settles_at)) if settles_at else None,
        **{name: read_only(values, np.float64) for name, values in columns.items()},
    )


def _impossible(rows: Sequence[dict[str, Any]], field: str, values: FloatArray) -> int:
    """Return how many values of a column came and are none; an empty one did not come."""
    return sum(rows[row].get(field) not in (None, "") for row in np.flatnonzero(np.isnan(values)).tolist())


def newest_change_ms(payload: object, field: str, call: str, arrival: Arrival, *, unit_ms: float = 1.0) -> float:
    """Return the venue's time of a bulk reply whose rows say when each last changed: that of the newest.

    A quiet row is not stale, but a reply in which nothing has changed for long is.
    """
    at_ms = unit_ms * column(_rows(payload, call)[0], field)
    at_ms = at_ms[(at_ms >= EARLIEST_MS) & (at_ms <= arrival.received_ms + arrival.clock_offset_ms + FUTURE_MS)]
    if not len(at_ms):
        raise BadPayload(f"{call}: no row had a usable {field}")
    return float(at_ms.max())


def _rows(payload: object, call: str) -> tuple[list[dict[str, Any]], int]:
    """Return the rows that are objects with a symbol, and how many there were of any kind."""
    if not isinstance(payload, list):
        raise bad(call, "the list", payload, "a list of objects")
    return [row for row in payload if type(row) is dict and type(row.get("symbol")) is str], len(payload)


def order_book(
    call: str,
    key: tuple[str, str],
    *,
    bids: FloatArray,
    asks: FloatArray,
    arrival: Arrival,
    venue_ms: float | None,
    sequence: int | None,
    levels_asked: int,
) -> OrderBook:
    """Return the record of a book whose sides are (n, 2): price and quantity [base].

    A level whose price or quantity is no positive number costs only itself, a side of nothing else the book. It still
    counts as one that came: a side cut short by the request does not become a whole one.
    """
    came = len(bids), len(asks)
    bids, asks = _possible(bids, call, "bids"), _possible(asks, call, "asks")
    left_out = max(came[0] - bids.shape[1], came[1] - asks.shape[1])
    arrival.tallies.note(call, sum(came), unreadable=sum(came) - bids.shape[1] - asks.shape[1])
    bids.setflags(write=False)
    asks.setflags(write=False)
    try:
        return OrderBook(
            venue=key[0],
            id=key[1],
            bids=bids,
            asks=asks,
            levels_asked=levels_asked - left_out,
            exchange_ms=arrival.received_ms if venue_ms is None else arrival.ours(venue_ms),
            received_ms=arrival.received_ms,
            sequence=sequence,
        )
    except ValueError as error:
        raise BadPayload(f"{call}: {error}") from error


def _possible(levels: FloatArray, call: str, side: str) -> FloatArray:
    is_possible = ((levels >= SMALLEST) & (levels <= LARGEST)).all(axis=1)
    if len(levels) and not is_possible.any():
        raise BadPayload(f"{call}: none of {len(levels)} {side} was a level")
    return np.ascontiguousarray((levels if is_possible.all() else levels[is_possible]).T)


def candle_page(since_ms: int, now_ms: int, most: int, interval_s: int = 60) -> tuple[int, int]:
    """Return where the candle of `since_ms` begins, and how many to ask for from it to that of now, `most` at most."""
    interval_ms = 1000 * interval_s
    first, last = since_ms // interval_ms, now_ms // interval_ms
    return first * interval_ms, min(max(1, last - first + 1), most)


def candles(call: str, key: tuple[str, str], rows: FloatArray, arrival: Arrival, interval_s: int = 60) -> Candles:
    """Return the record of candles given as (k, 5): the venue's minute [ms], open, high, low, close, in any order.

    A sixth column is the volume [base].
    """
    opens, prices, volume = rows[:, 0], rows[:, 1:5], rows[:, 5:]
    is_possible = (opens >= EARLIEST_MS) & (opens <= LATEST_MS)
    is_possible &= ((prices >= SMALLEST) & (prices <= LARGEST)).all(axis=1)
    is_possible &= (prices.max(axis=1, initial=0.0) <= prices[:, 1]) & (
        prices.min(axis=1, initial=LARGEST) >= prices[:, 2]
    )
    is_possible &= ((volume >= 0) & (volume <= LARGEST)).all(axis=1)
    if len(rows) and not is_possible.any():
        raise BadPayload(f"{call}: none of {len(rows)} rows was a candle")
    arrival.tallies.note(call, len(rows), unreadable=int((~is_possible).sum()))
    rows = rows[is_possible]
    rows = rows[np.unique(rows[:, 0], return_index=True)[1]]  # ascending; of a minute that came twice the first
    opens, prices, volume = rows[:, 0], rows[:, 1:5], rows[:, 5:]
    return Candles(
        venue=key[0],
        id=key[1],
        open_ms=read_only(opens, np.int64),
        open=read_only(prices[:, 0], np.float64),
        high=read_only(prices[:, 1], np.float64),
        low=read_only(prices[:, 2], np.float64),
        close=read_only(prices[:, 3], np.float64),
        received_ms=arrival.received_ms,
        interval_s=interval_s,
        volume_base=read_only(volume[:, 0], np.float64) if volume.shape[1] else None,
    )


def open_interest_history(
    call: str, key: tuple[str, str], rows: Sequence[dict[str, Any]], field: str, arrival: Arrival
) -> tuple[OpenInterest, ...]:
    """Return the points of a history, oldest first, which pass no gate alone."""
    amounts, venue_ms = column(rows, field, least=0.0), times(rows, "timestamp")
    is_possible = np.isfinite(amounts) & np.isfinite(venue_ms)
    if len(rows) and not is_possible.any():
        raise BadPayload(f"{call}: none of {len(rows)} rows was a point")
    arrival.tallies.note(call, len(rows), unreadable=int((~is_possible).sum()), fields=rows[0] if rows else ())
    amounts, venue_ms = amounts[is_possible], venue_ms[is_possible]
    points = sorted(zip(arrival.ours_each(venue_ms).tolist(), amounts.tolist(), strict=True))
    return tuple(
        OpenInterest(
            venue=key[0],
            id=key[1],
            open_interest_base=amount,
            exchange_ms=at_ms,
            received_ms=arrival.received_ms,
            is_live=False,
        )
        for at_ms, amount in points
    )
