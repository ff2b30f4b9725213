"""Which column an instrument has, and writing what is newer into columns."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.facts.instruments import Instruments
from features.facts.market import BoolArray, FloatArray, IntArray, OpenInterest, OrderBook, Trades

KEPT_REPLIES = 32  #: lists of ids whose columns are remembered; venues send a few each

Record = TypeVar("Record", OrderBook, Trades, OpenInterest)
Columns: TypeAlias = IntArray | slice  #: each at most once


class ColumnIndex:
    """The columns of the universe's instruments; an id that is not in it is kept in `unknown_ids`."""

    def __init__(self, instruments: Instruments) -> None:
        self.by_key = {instrument.key: column for column, instrument in enumerate(instruments)}
        self.unknown_ids: set[tuple[str, str]] = set()
        self._by_venue: dict[str, dict[str, int]] = {}
        for (venue, identity), column in self.by_key.items():
            self._by_venue.setdefault(venue, {})[identity] = column
        self._of_reply: dict[tuple[str, tuple[str, ...]], tuple[Columns, Columns]] = {}

    def find(self, venue: str, identity: str) -> int | None:
        """Return an instrument's column, None where it is not in the universe."""
        column = self.by_key.get((venue, identity))
        if column is None:
            self.unknown_ids.add((venue, identity))
        return column

    def find_all(self, venue: str, ids: tuple[str, ...]) -> tuple[Columns, Columns]:
        """Return the columns of a reply's ids, ascending, and the places of these ids in the reply.

        A venue lists the same ids for hours, tick after tick, so the answer is kept.
        """
        reply = venue, ids
        if reply not in self._of_reply:
            if len(self._of_reply) == KEPT_REPLIES:
                self._of_reply.clear()
            self._of_reply[reply] = self.find_once(venue, ids)
        return self._of_reply[reply]

    def find_once(self, venue: str, ids: tuple[str, ...]) -> tuple[Columns, Columns]:
        """Return the same of ids that will not come again together."""
        columns = self._by_venue.get(venue, {})
        self.unknown_ids |= {(venue, identity) for identity in ids if identity not in columns}
        known = dict(sorted((columns[one], place) for place, one in enumerate(ids) if one in columns))
        return _as_slice(list(known)), _as_slice(list(known.values()))

    def batches(self, records: Sequence[Record]) -> Iterator[tuple[IntArray, list[Record]]]:
        """Yield records with their columns, an instrument at most once a batch, in the order of arrival.

        Usually there is one batch.
        """
        waiting = [(self.by_key.get((record.venue, record.id), -1), record) for record in records]
        while waiting:
            batch = dict(reversed(waiting))  # of each instrument the first
            waiting = [one for one in waiting if batch[one[0]] is not one[1]] if len(batch) < len(waiting) else []
            if unknown := batch.pop(-1, None):
                self.unknown_ids.add((unknown.venue, unknown.id))
            if batch:
                yield np.array(list(batch), dtype=np.int64), list(batch.values())


def put_newer(
    latest: FloatArray, latest_ms: IntArray, column: Columns, values: FloatArray, time_ms: IntArray
) -> BoolArray:
    """Write the values that are there and not older than the latest; return which."""
    newer = np.isfinite(values) & (time_ms >= latest_ms[column])
    put(latest, column, newer, values)
    put(latest_ms, column, newer, time_ms)
    return newer


def put(array: NDArray[Any], column: Columns, chosen: BoolArray, values: NDArray[Any]) -> None:
    """Write the chosen values."""
    array[column] = np.where(chosen, values, array[column])


def _as_slice(places: list[int]) -> Columns:
    # Neighbours are read and written several times faster as a slice.
    first = places[0] if places else 0
    run = range(first, first + len(places))
    return slice(run.start, run.stop) if places == list(run) else np.array(places, dtype=np.int64)
