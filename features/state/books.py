"""Order books as they are written into the arrays: depth, walls, and what is usual."""

import numpy as np

from features.facts.market import FloatArray, IntArray, OrderBook
from features.phenomena.order_book import BANDS, WALL_APART, measure_books, usual_depth, widest
from features.settings import FeatureSettings
from features.state.arrays import MarketArrays
from features.state.columns import put
from features.state.quotes import note_best
from features.state.ring import TickRing, read_rings


def append_books(
    arrays: MarketArrays,
    ticks: TickRing,
    settings: FeatureSettings,
    column: IntArray,
    books: list[OrderBook],
    row: int,
) -> None:
    """Write books, one an instrument, with their depth in `row`; an older one than the last is left out."""
    time_ms = np.array([book.exchange_ms for book in books], dtype=np.int64)
    newer = time_ms > arrays.book_ms[column]
    if not newer.all():
        books = [book for book, is_newer in zip(books, newer, strict=True) if is_newer]
        column, time_ms = column[newer], time_ms[newer]
    if not books:
        return
    measures = measure_books(books, settings.book_band_percent)
    _remember_wall(arrays, column, time_ms, apart_ms=1000 * WALL_APART * settings.max_data_age_s)
    changed = measures.notional != arrays.book_notional[column]
    arrays.book_changed_ms[column[changed]] = time_ms[changed]
    arrays.book_ms[column] = time_ms
    arrays.book_is_crossed[column] = measures.best_bid >= measures.best_ask
    arrays.book_notional[column] = measures.notional
    arrays.book_reach[column] = measures.reach
    arrays.bid_depth_at[row][:, column] = measures.bid_depth
    band, usual = _usual_depth(arrays, ticks, settings, column, measures.bid_depth)
    arrays.band[column], arrays.usual_bid_depth[column] = band, usual
    place = band, np.arange(len(column))
    arrays.bid_depth[column] = measures.bid_depth[place]
    arrays.ask_depth[column] = measures.ask_depth[place]
    arrays.sellable[column] = measures.sellable
    arrays.buyable[column] = measures.buyable
    arrays.wall_ratio[column] = measures.wall_ratio
    arrays.wall_price[column] = measures.wall_price
    arrays.wall_notional[column] = measures.wall_notional
    arrays.microprice_tilt_bps[column] = measures.microprice_tilt_bps
    note_best(arrays, column, measures.best_bid, measures.best_ask, time_ms)


def _remember_wall(arrays: MarketArrays, column: IntArray, time_ms: IntArray, *, apart_ms: float) -> None:
    """Before newer books come at `time_ms`, keep what the last ones showed to be compared with them.

    The book to compare with is at least `apart_ms` older. Where books come faster than that, one in between waits to
    take its place, so that it is never much older either.
    """
    last_is_apart = time_ms - arrays.book_ms[column] >= apart_ms
    next_is_apart = ~last_is_apart & (time_ms - arrays.next_book_ms[column] >= apart_ms)
    waits = next_is_apart & (arrays.next_book_ms[column] > 0)
    for name in ("book_ms", "wall_ratio", "wall_price"):
        last, following, previous = (getattr(arrays, prefix + name) for prefix in ("", "next_", "previous_"))
        put(previous, column, waits, following[column])
        put(previous, column, last_is_apart, last[column])
        put(following, column, last_is_apart | next_is_apart, last[column])


def _usual_depth(
    arrays: MarketArrays, ticks: TickRing, settings: FeatureSettings, column: IntArray, bid_depth: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return the band in which each book is compared, and the usual bid depth there, NaN where it has none yet.

    It is the widest that the book and its baseline both have; without a baseline the widest that the book has.
    """
    now_ms, window_s = ticks.tick_ms[ticks.row], settings.book_window_s
    rows = ticks.rows(now_ms - 1000 * window_s, now_ms - 1000 * window_s / 60)
    band, usual = widest(np.isfinite(bid_depth)), np.full(len(column), np.nan)
    for row in range(len(BANDS) - 1, -1, -1):
        open_places = np.flatnonzero(np.isfinite(bid_depth[row]) & np.isnan(usual))
        if not len(open_places):
            continue
        depth = read_rings(arrays.bid_depth_at[:, row], column[open_places], rows, np.inf)
        found = usual_depth(depth, rows, ticks.tick_ms, window_s / 15)
        usual[open_places] = found
        band[open_places[np.isfinite(found)]] = row
    return band, usual
