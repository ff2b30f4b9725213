"""Compare replies with what is expected, and put what came into words."""

from collections.abc import Collection
from typing import TypeAlias

import numpy as np

from features.facts.market import Candles, OpenInterest, OrderBook, Quotes, Trades
from fetchers.deep_check.steps import Verdict
from fetchers.listing import ClockOffset

OLDEST_S = 15.0  #: prices beyond it are stale to the bot
CLOCK_OUT_MS = 60_000.0
MOST_MISSING = 0.2  #: share of the pairs watched that may lack a value
#: what the bulk replies of every venue have to bring
COLUMNS = ("mark_price", "index_price", "funding_rate", "funding_interval_h", "volume_usdt_24h", "volume_base_24h")

Record: TypeAlias = OrderBook | Trades | OpenInterest | Candles | tuple[OpenInterest, ...]


def _age_s(record: OrderBook | OpenInterest) -> float:
    return (record.received_ms - record.exchange_ms) / 1000


def pass_silently(_: object) -> Verdict:
    """Pass what is good without a line of its own: it is checked with others."""
    return True, ""


def check_clock(clock: ClockOffset) -> Verdict:
    """Check that the venue's clock is near ours."""
    came = f"{clock.offset_ms:+.0f} ms, round trip {clock.round_trip_ms:.0f} ms"
    return abs(clock.offset_ms) <= CLOCK_OUT_MS, came


def check_quotes(quotes: list[Quotes], bulk_columns: Collection[str], watched: set[str]) -> Verdict:
    """Check that bulk replies bring their columns, for nearly all pairs watched, and are fresh."""
    missing: dict[str, float] = {}
    ages_s = []
    for name in (*COLUMNS, *bulk_columns):
        replies = [reply for reply in quotes if getattr(reply, name) is not None]
        has = {
            key
            for reply in replies
            for key, value in zip(reply.ids, getattr(reply, name).tolist(), strict=True)
            if np.isfinite(value)
        }
        missing[name] = len(watched - has) / len(watched) if watched else 1.0
        if replies:
            ages_s.append((replies[-1].received_ms - int(replies[-1].exchange_ms.max(initial=0))) / 1000)
    lacking = ", ".join(f"{name} {share:.1%}" for name, share in missing.items() if share)
    bad_rows = sum(reply.bad_rows for reply in quotes)
    oldest_s = max(ages_s, default=float("inf"))
    came = (
        f"{len(watched)} pairs in the band; missing: {lacking or 'nothing'}; {bad_rows} rows without a price; "
        f"{oldest_s:.1f} s old"
    )
    return max(missing.values()) <= MOST_MISSING and oldest_s <= OLDEST_S, came


def check_book(book: OrderBook) -> Verdict:
    """Check that a book has two sides that do not cross."""
    bids, asks = len(book.bid_price), len(book.ask_price)
    came = f"{bids} bids and {asks} asks of {book.levels_asked} asked for, {_age_s(book):.1f} s old"
    if not (bids and asks):
        return False, came
    is_crossed = book.bid_price[0] >= book.ask_price[0]
    return not is_crossed, came + (", crossed" if is_crossed else "")


def check_prints(trades: Trades) -> Verdict:
    """Count the prints; a quiet pair may have none."""
    return True, describe(trades)


def check_open_interest(record: OpenInterest) -> Verdict:
    """Show the amount and its age."""
    return True, f"{record.open_interest_base:,.6g}, {_age_s(record):.1f} s old"


def check_candles(candles: Candles) -> Verdict:
    """Check that there are candles."""
    count = len(candles.open_ms)
    return count > 0, f"{count} candles"


def check_history(points: tuple[OpenInterest, ...]) -> Verdict:
    """Check that there are points."""
    return len(points) > 0, f"{len(points)} points"


def describe(record: Record | None) -> str:
    """Return what came, in words."""
    match record:
        case None:
            return "nothing"
        case OrderBook():
            return check_book(record)[1]
        case Trades():
            return f"{len(record.time_ms)} prints"
        case Candles():
            return check_candles(record)[1]
    return str(record)
