"""The full input of one decision, small enough to keep with its signal, and the same decision made of it again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.facts.market import Instrument, OrderBook, Trades
from features.frame import FeatureFrame, compute_features
from features.phenomena.order_book import ask_share, measure_books
from features.state.market_state import MarketState
from features.state.snapshot import Snapshot, restore, slice_state
from scoring.decide import decide, explain
from scoring.settings import ScoringSettings
from scoring.signals import Limits, Signal, Verdict
from scoring.strategies.base import Strategy

MOST_PRINTS = 300  #: the newest: a sweep that still counts is among them
BOOK_NOISE = 1e-12  #: [fraction] by which older versions' sums differ: they depended on the books measured beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Everything `decide` looked at for one signal."""

    signal_id: int
    decided_ms: int
    features_ms: int  #: the time the features were computed for
    market: Snapshot  #: the instrument first, then its lender, then Bitcoin: the cells that were looked at
    books: tuple[OrderBook, ...]  #: the book, and the one before it, newest first
    prints: tuple[Trades, ...]  #: the last prints of the venue that the flow came from, oldest first
    limits: Limits  #: as they were, less other coins'
    settings: ScoringSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """The decision that this code makes of a capture."""

    signal: Signal | None  #: None: it would not signal
    verdicts: tuple[Verdict, ...]
    books_agree: bool  #: the ask shares and walls that the score used are those of the books


def capture(
    signal: Signal,
    state: MarketState,
    features: FeatureFrame,
    limits: Limits,
    settings: ScoringSettings,
    recent: Sequence[Mapping[tuple[str, str], Sequence[OrderBook | Trades]]],
) -> Capture:
    """Keep what a signal was decided on.

    `state`, `features` and `limits` are as `decide` had them; of several signals of one tick the later ones had the
    limits that the earlier ones left. `recent` is what has arrived of each instrument, tick by tick, since the book
    before the last, oldest first.
    """
    column = state.column[signal.key]
    key = state.instruments[column].key
    flow_key = state.instruments[int(features.lender[column])].key if features.borrows_flow[column] else key
    book_times_ms = (int(state.book_ms[column]), int(state.previous_book_ms[column]))
    books = {
        book.exchange_ms: book
        for book in reversed([one for tick in recent for one in tick.get(key, ())])  # the state took the first of two
        if isinstance(book, OrderBook) and book.exchange_ms in book_times_ms
    }
    prints = [one for tick in recent for one in tick.get(flow_key, ()) if isinstance(one, Trades)]
    return Capture(
        signal_id=signal.id,
        decided_ms=signal.decided_ms,
        features_ms=features.now_ms,
        market=slice_state(state, features, column),
        books=tuple(books[time_ms] for time_ms in sorted(books, reverse=True)),
        prints=_newest(prints),
        limits=_of_instrument(limits, state.instruments[column]),
        settings=settings,
    )


def recompute(captured: Capture, strategy: Strategy) -> Recomputed:
    """Decide once more, by the strategy of the signal."""
    state = restore(captured.market)
    features = compute_features(state, captured.features_ms)
    inputs = captured.decided_ms, features, captured.limits, (), captured.settings
    signals = decide(*inputs, (strategy,)).signals
    return Recomputed(
        signal=signals[0] if signals else None,
        verdicts=explain(strategy, *inputs, 0),
        books_agree=_books_agree(captured, state),
    )


def _newest(prints: list[Trades]) -> tuple[Trades, ...]:
    kept: list[Trades] = []
    left = MOST_PRINTS
    for trades in reversed(prints):
        if count := min(left, len(trades.time_ms)):
            kept.append(replace(trades, prints=trades.prints[:, -count:]))
            left -= count
    return tuple(reversed(kept))


def _of_instrument(limits: Limits, instrument: Instrument) -> Limits:
    names = {instrument.coin, instrument.key_name, instrument.venue, *instrument.names}
    return replace(
        limits,
        last_signal_ms=_only(limits.last_signal_ms, names),
        last_exit_ms=_only(limits.last_exit_ms, names),
        last_of_instrument_ms=_only(limits.last_of_instrument_ms, names),
        muted_coins=_only(limits.muted_coins, names),
        muted_venues=_only(limits.muted_venues, names),
    )


def _only(times_ms: Mapping[str, int], names: Collection[str]) -> dict[str, int]:
    return {name: time_ms for name, time_ms in times_ms.items() if name in names or name.upper() in names}


def _books_agree(captured: Capture, state: MarketState) -> bool:
    band = state.band[0]
    shares = ask_share(state.bid_depth, state.ask_depth)[0], np.nan  # nothing is kept of the earlier book's depth
    walls = state.wall_ratio[0], state.previous_wall_ratio[0]
    for book, share, wall in zip(captured.books, shares, walls, strict=False):  # after a restart there may be one
        measured = measure_books([book], captured.market.settings.book_band_percent)
        found = ask_share(measured.bid_depth[band], measured.ask_depth[band])[0], measured.wall_ratio[0]
        if np.isnan(share):
            found = share, found[1]
        if not np.allclose(found, (share, wall), rtol=BOOK_NOISE, atol=0, equal_nan=True):
            return False
    return True
