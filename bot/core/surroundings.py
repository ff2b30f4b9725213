"""The market around a signal, from the tape: what the same coin showed on every venue, before and after."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np

from features.facts.market import FloatArray, Instrument, Quotes
from fetchers.poll_plan import Key
from fetchers.tape.files import SUFFIX, read_tape
from fetchers.tape.records import Header, TapeTick
from scoring.signals import Signal

AROUND_MS = 300_000  #: how far before and after the decision is looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One instrument of the signal's coin."""

    instrument: Instrument
    price: float  #: [USDT] the last known at the decision: the bulk quotes' mid, the mark price where there is none
    before_percent: float  #: its change over the five minutes before, or as much of them as is known; NaN for nothing
    after_percent: float  #: and over the five minutes after
    spread_percent: float  #: NaN where the venue has no bulk quotes
    funding_rate: float  #: [fraction] of one settlement


def market_around(folder: Path, signal: Signal) -> list[Neighbour]:
    """Return what the coin of a signal showed on every venue that was watched; [] where no tape holds the time.

    This reads an hour of tape at most, which takes seconds: it is for a process that does nothing else.

    Raises
    ------
    TapeError
        A file cannot be read.
    """
    watched: dict[Key, Instrument] = {}
    seen: defaultdict[Key, list[tuple[int, float, float, float]]] = defaultdict(list)
    decided_ms = signal.decided_ms
    is_there = False
    for tick in _ticks(folder, decided_ms - AROUND_MS, decided_ms + AROUND_MS):
        is_there |= tick.decided_ms == decided_ms
        if tick.watched is not None:
            watched |= {one.key: one for one in tick.watched.instruments if one.coin == signal.coin}
        for one in tick.quotes:
            if isinstance(one, Quotes):
                for key, values in _rows(one, watched):
                    seen[key].append((tick.seen_ms, *values))
    if not is_there:
        return []
    return [_neighbour(watched[key], rows, decided_ms) for key, rows in sorted(seen.items())]


def _ticks(folder: Path, from_ms: int, to_ms: int) -> Iterator[TapeTick]:
    """Yield the ticks of the files that hold a stretch, from the beginning of the first one on."""
    paths = sorted(folder.glob(f"[0-9]*-*{SUFFIX}"))
    started_ms = [header.started_ms for path in paths if isinstance(header := next(read_tape(path)), Header)]
    first = max(bisect_right(started_ms, from_ms) - 1, 0)
    for path, began_ms in zip(paths[first:], started_ms[first:], strict=True):
        if began_ms <= to_ms:
            yield from (one for one in read_tape(path) if isinstance(one, TapeTick) and one.started_ms <= to_ms)


def _rows(quotes: Quotes, watched: dict[Key, Instrument]) -> Iterator[tuple[Key, tuple[float, float, float]]]:
    """Yield price, spread [%] and funding of the instruments of a reply that are watched, NaN for what it lacks."""
    for place, identity in enumerate(quotes.ids):
        key = quotes.venue, identity
        if key in watched:
            bid, ask, mark, funding = (
                nan if column is None else float(column[place])
                for column in (quotes.bid_price, quotes.ask_price, quotes.mark_price, quotes.funding_rate)
            )
            mid = (bid + ask) / 2
            yield key, (mark if quotes.bid_price is None else mid, 100 * (ask - bid) / mid, funding)


def _neighbour(instrument: Instrument, rows: Sequence[tuple[int, float, float, float]], at_ms: int) -> Neighbour:
    time_ms, price, spread, funding = np.array(rows, dtype=np.float64).T
    now = _last(price[time_ms <= at_ms])
    before = _first(price[(time_ms >= at_ms - AROUND_MS) & (time_ms <= at_ms)])
    after = _last(price[(time_ms > at_ms) & (time_ms <= at_ms + AROUND_MS)])
    return Neighbour(
        instrument=instrument,
        price=now,
        before_percent=100 * (now / before - 1),
        after_percent=100 * (after / now - 1),
        spread_percent=_last(spread[time_ms <= at_ms]),
        funding_rate=_last(funding[time_ms <= at_ms]),
    )


def _last(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else nan


def _first(values: FloatArray) -> float:
    return _last(values[::-1])
