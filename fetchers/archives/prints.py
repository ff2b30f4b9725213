"""Prints of any archive as one table: by time, each once, with the holes that its ids show."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray
from fetchers.archives.rows import Defects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prints:
    """n trades of one instrument, oldest first."""

    time_ms: IntArray  #: (n,)
    price: FloatArray  #: (n,) [USDT]
    quantity: FloatArray  #: (n,) [base]
    is_taker_sell: BoolArray  #: (n,)
    seen_ms: IntArray  #: (n,) when a bot could have known of it
    holes: tuple[tuple[int, int], ...] = ()  #: (last time before, first time after) where ids are missing
    defects: Defects = field(default_factory=Defects)

    def __len__(self) -> int:
        return len(self.time_ms)


class PrintsBuilder:
    """Collects rows in compact arrays, then sorts them and drops doubles."""

    def __init__(self, defects: Defects) -> None:
        self._defects = defects
        self._ids, self._times, self._seen = array("q"), array("q"), array("q")
        self._prices, self._quantities, self._sells = array("d"), array("d"), array("b")

    def add(self, trade_id: int, time_ms: int, price: float, quantity: float, *, is_sell: bool, seen_ms: int) -> None:
        """Add one; a price or quantity that cannot be is counted and left out."""
        if not (price > 0 and quantity > 0):
            self._defects["impossible row"] += 1
            return
        self._ids.append(trade_id)
        self._times.append(time_ms)
        self._seen.append(seen_ms)
        self._prices.append(price)
        self._quantities.append(quantity)
        self._sells.append(is_sell)

    def build(self, *, ids_continue: bool) -> Prints:
        """Return the table; with `ids_continue` a step of more than one between ids is a hole.

        Without, ids are only names: rows keep their order within a millisecond.
        """
        ids, times = np.array(self._ids, np.int64), np.array(self._times, np.int64)
        order = np.argsort(ids if ids_continue else times, kind="stable")
        if len(order) > 1 and (np.diff(order) != 1).any():
            self._defects["unsorted"] += 1
        if ids_continue:
            ids = ids[order]
            is_first = np.append(True, np.diff(ids) != 0) if len(ids) else np.zeros(0, bool)
        else:
            is_first = _first_of_each(ids, order)
            ids = ids[order]
        self._defects["double"] += int((~is_first).sum())
        order, ids = order[is_first], ids[is_first]
        times = times[order]
        holes: list[tuple[int, int]] = []
        if ids_continue:
            steps = np.flatnonzero(np.diff(ids) > 1)
            self._defects["missing ids"] += int((np.diff(ids)[steps] - 1).sum())
            holes = [(int(times[step]), int(times[step + 1])) for step in steps]
        return Prints(
            time_ms=times,
            price=_taken(self._prices, order),
            quantity=_taken(self._quantities, order),
            is_taker_sell=np.array(self._sells, bool)[order],
            seen_ms=np.array(self._seen, np.int64)[order],
            holes=tuple(holes),
            defects=+self._defects,
        )


def _taken(values: "array[float]", order: NDArray[np.intp]) -> FloatArray:
    return np.array(values, float)[order]


def _first_of_each(ids: IntArray, order: NDArray[np.intp]) -> BoolArray:
    first = np.zeros(len(ids), bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first[order]
