"""Which prints of a reply are new, so that trade flow has neither holes nor doubles.

A venue answers with its latest prints, so consecutive replies overlap unless more were printed in between than the
reply holds. What we know is recognised by the venue's id where it gives one, else by (time, price, quantity, side),
counted, for two fills may be alike in all four (so one at the very edge of a reply may be taken for one beyond it).
Only what is new is converted: of a reply of 200 that is a handful.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from features.facts.market import Trades, read_only
from fetchers.errors import BadPayload
from fetchers.parsing.build_records import FUTURE_MS, Arrival
from fetchers.parsing.payload import column, times

REMEMBERED = 200  #: prints per instrument: enough to overlap, and to know a reply that steps back in time


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintFormat:
    """A venue's format of a print: field names, and the values of the side field."""

    time: str
    price: str
    quantity: str
    side: str
    is_taker_sell: Mapping[Any, bool]
    is_self_trade: tuple[str, Any] | None = None  #: the field and value of a print that is no flow


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPrints:
    """Prints of an instrument that the last request has returned."""

    keys: "array[int]"  #: of the latest prints
    venue_ms: "array[int]"  #: their times beside them, by the venue's clock: our measure of its offset may change
    closed_ms: int  #: what is printed up to then and not among `keys` is old
    asked_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrades:
    """The prints that are new, and what to remember."""

    trades: Trades
    seen: SeenPrints


def find_new_trades(
    call: str,
    key: tuple[str, str],
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[int],
    wire: PrintFormat,
    before: SeenPrints | None,
    *,
    contract_size: float = 1.0,
    is_full: bool,
    exchange_ms: int,
    arrival: Arrival,
) -> NewTrades:
    """Return what a reply adds to what was seen `before`; None is the first look, which continues nothing.

    Self-trades are remembered, so that replies still join, and are no trades.

    `keys` are those of the rows; `is_full` says that there may be older prints than the reply holds. A row that is no
    print, or is of the future (everything after it would be old), costs only itself; BadPayload where no new one is.
    """
    unknown = _unknown(keys, before)
    overlaps = len(unknown) < len(rows)
    fresh = [rows[row] for row in unknown]
    venue_ms, newest_ms = times(fresh, wire.time), arrival.received_ms + arrival.clock_offset_ms + FUTURE_MS
    order = np.argsort(venue_ms, kind="stable")
    order = order[venue_ms[order] <= newest_ms]
    if before:
        # without overlap, what is older than the newest we know is a reply that stepped back in time
        since_ms = before.closed_ms + 1 if overlaps else max(before.venue_ms, default=0)
        order = order[venue_ms[order] >= since_ms]
    wanted = [fresh[row] for row in order.tolist()]
    is_print = np.isfinite(column(wanted, wire.price) + column(wanted, wire.quantity))
    is_print &= np.array([_side(row, wire) is not None for row in wanted], dtype=bool)
    if (wanted and not is_print.any()) or (fresh and not (venue_ms <= newest_ms).any()):
        raise BadPayload(f"{call}: none of {len(fresh)} new rows was a print: {repr(fresh[0])[:120]}")
    arrival.tallies.note(call, len(wanted), unreadable=int((~is_print).sum()), fields=wanted[0] if wanted else ())
    order = order[is_print]
    fresh, venue_ms = [fresh[row] for row in order.tolist()], venue_ms[order]
    continues = before is not None and (overlaps or not fresh or not (before.keys or is_full))
    seen = _remember(
        before,
        array("q", [keys[unknown[row]] for row in order.tolist()]),
        array("q", venue_ms.astype(np.int64).tolist()),
        asked_ms=arrival.received_ms,
        is_cut_off=not overlaps and is_full,
    )
    if wire.is_self_trade is not None:
        field, value = wire.is_self_trade
        is_flow = np.array([row.get(field) != value for row in fresh], dtype=bool)
        fresh, venue_ms = list(compress(fresh, is_flow)), venue_ms[is_flow]
    trades = Trades(
        venue=key[0],
        id=key[1],
        prints=read_only(
            [
                arrival.ours_each(venue_ms),
                column(fresh, wire.price),
                column(fresh, wire.quantity) * contract_size,
                [_side(row, wire) for row in fresh],
            ],
            np.float64,
        ),
        exchange_ms=exchange_ms,
        received_ms=arrival.received_ms,
        continues=continues,
    )
    return NewTrades(trades=trades, seen=seen)


def _unknown(keys: Sequence[int], before: SeenPrints | None) -> list[int]:
    if before is None:
        return list(range(len(keys)))
    once = set(before.keys)
    if len(once) == len(before.keys) and len(set(keys)) == len(keys):
        return [row for row, key in enumerate(keys) if key not in once]
    known, unknown = Counter(before.keys), []
    for row, key in enumerate(keys):
        if known[key]:
            known[key] -= 1
        else:
            unknown.append(row)
    return unknown


def _side(row: Mapping[str, Any], wire: PrintFormat) -> bool | None:
    side = row.get(wire.side)
    is_of_kind = type(side) is type(next(iter(wire.is_taker_sell)))
    return wire.is_taker_sell.get(side) if is_of_kind else None


def _remember(
    before: SeenPrints | None, keys: "array[int]", venue_ms: "array[int]", *, asked_ms: int, is_cut_off: bool
) -> SeenPrints:
    closed_ms = before.closed_ms if before else 0
    if is_cut_off:  # what was printed before the first of these is lost, and shall not come late
        closed_ms = max(closed_ms, min(venue_ms, default=0))
    if before:
        keys, venue_ms = before.keys + keys, before.venue_ms + venue_ms
    return SeenPrints(
        keys=keys[-REMEMBERED:],
        venue_ms=venue_ms[-REMEMBERED:],
        closed_ms=max(closed_ms, *venue_ms[:-REMEMBERED], 0),
        asked_ms=asked_ms,
    )
