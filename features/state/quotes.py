"""Bulk quotes, best prices and open interest as they are written into the arrays."""

import numpy as np

from features.facts.market import FloatArray, IntArray, OpenInterest, Quotes
from features.phenomena.derivatives import funding_rate_8h
from features.phenomena.price import mid_price
from features.settings import FeatureSettings
from features.state.arrays import MarketArrays
from features.state.columns import Columns, put, put_newer
from features.state.ring import TickRing


def append_quotes(arrays: MarketArrays, column: Columns, known: Columns, quotes: Quotes, latest_ms: float) -> None:
    """Write a bulk reply, whose rows `known` belong to `column`; what is later than `latest_ms` counts as never."""
    time_ms = quotes.exchange_ms[known]
    time_ms = np.where(time_ms > latest_ms, 0, time_ms)
    if quotes.bid_price is not None and quotes.ask_price is not None:
        _note_quotes(arrays, column, quotes.bid_price[known], quotes.ask_price[known], time_ms)
    if quotes.mark_price is not None:
        mark = quotes.mark_price[known]
        put_newer(arrays.mark_price, arrays.mark_ms, column, mark, time_ms)
        has_quotes = arrays.has_bulk_quotes[column]
        if not has_quotes.all():
            _note_price(arrays, column, np.where(has_quotes, np.nan, mark), time_ms)
    if quotes.index_price is not None:
        index = np.where(quotes.index_price[known] > 0, quotes.index_price[known], np.nan)
        put_newer(arrays.index_price, arrays.index_ms, column, index, time_ms)
    _note_funding(arrays, column, known, quotes, time_ms)
    if quotes.open_interest_base is not None:
        amount = quotes.open_interest_base[known]
        newer = put_newer(arrays.open_interest, arrays.open_interest_ms, column, amount, time_ms)
        arrays.open_interest_is_live[column] |= newer
    if quotes.volume_base_24h is not None and quotes.volume_usdt_24h is not None:
        base, usdt = quotes.volume_base_24h[known], quotes.volume_usdt_24h[known]
        both = np.where(np.isfinite(usdt), base, np.nan)
        newer = put_newer(arrays.volume_base, arrays.volume_ms, column, both, time_ms)
        put(arrays.volume_usdt, column, newer, usdt)


def note_best(arrays: MarketArrays, column: Columns, bid: FloatArray, ask: FloatArray, time_ms: IntArray) -> None:
    """Write best bids and asks, of bulk or book, where both are there."""
    both = (bid > 0) & (ask > 0)
    newer = put_newer(arrays.best_bid, arrays.best_ms, column, np.where(both, bid, np.nan), time_ms)
    put(arrays.best_ask, column, newer, ask)


def append_open_interest(
    arrays: MarketArrays, ticks: TickRing, settings: FeatureSettings, column: int, point: OpenInterest
) -> None:
    """Write one amount; ticks of the past that know none learn a historical one, which comes late."""
    if point.exchange_ms >= arrays.open_interest_ms[column]:
        arrays.open_interest[column] = point.open_interest_base
        arrays.open_interest_ms[column] = point.exchange_ms
        arrays.open_interest_is_live[column] = point.is_live
    if not point.is_live:
        rows = ticks.rows(point.exchange_ms, point.exchange_ms + settings.max_oi_age_s * 1000)
        lacking = rows[np.isnan(arrays.open_interest_at[rows, column])]
        arrays.open_interest_at[lacking, column] = point.open_interest_base


def fill_row(arrays: MarketArrays, ticks: TickRing, settings: FeatureSettings) -> None:
    """Write the newest values into the open row, NaN for what is no longer fresh."""
    row, now_ms = ticks.row, ticks.tick_ms[ticks.row]
    for cells, latest, time_ms, max_age_s in (
        (arrays.price_at, arrays.price, arrays.price_ms, settings.max_data_age_s),
        (arrays.open_interest_at, arrays.open_interest, arrays.open_interest_ms, settings.max_oi_age_s),
        (arrays.funding_8h_at, arrays.funding_8h, arrays.funding_ms, settings.max_funding_age_s),
    ):
        cells[row] = np.where(now_ms - time_ms <= max_age_s * 1000, latest, np.nan)


def _note_funding(arrays: MarketArrays, column: Columns, known: Columns, quotes: Quotes, time_ms: IntArray) -> None:
    if quotes.funding_interval_h is not None:
        interval_h = quotes.funding_interval_h[known]
        put(arrays.funding_interval_h, column, interval_h > 0, interval_h)
    if quotes.next_funding_ms is not None:
        next_ms = quotes.next_funding_ms[known]
        put(arrays.next_funding_ms, column, next_ms > 0, next_ms)
    if quotes.funding_rate is not None:
        rate = quotes.funding_rate[known]
        newer = put_newer(arrays.funding_rate, arrays.funding_ms, column, rate, time_ms)
        put(arrays.funding_8h, column, newer, funding_rate_8h(rate, arrays.funding_interval_h[column]))


def _note_quotes(arrays: MarketArrays, column: Columns, bid: FloatArray, ask: FloatArray, time_ms: IntArray) -> None:
    mid = mid_price(bid, ask)
    is_first = np.isfinite(mid) & ~arrays.has_bulk_quotes[column]
    if is_first.any():  # what was kept of their mark price is another series
        first = np.arange(len(arrays.price))[column][is_first]
        arrays.has_bulk_quotes[first] = True
        arrays.price_at[:, first] = arrays.price[first] = np.nan
        arrays.price_ms[first] = 0
    _note_price(arrays, column, mid, time_ms)
    note_best(arrays, column, bid, ask, time_ms)


def _note_price(arrays: MarketArrays, column: Columns, price: FloatArray, time_ms: IntArray) -> None:
    is_other = price != arrays.price[column]
    newer = put_newer(arrays.price, arrays.price_ms, column, price, time_ms)
    put(arrays.price_moved_ms, column, newer & is_other, time_ms)
