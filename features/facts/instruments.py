"""The universe as arrays: what of its instruments never changes."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from features.facts.market import BoolArray, FloatArray, Instrument, IntArray


class Names:
    """A name for each of n instruments."""

    def __init__(self, names: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in names]
        self.number: IntArray = np.array(numbers, dtype=np.int64)  #: equal names, equal numbers, from 0 without gaps

    def look_up(self, values: Mapping[str, float], *, otherwise: float) -> FloatArray:
        """Return the value of each instrument's name, (n,)."""
        table = np.full(len(self._numbers), otherwise)
        for name in values.keys() & self._numbers.keys():
            table[self._numbers[name]] = values[name]
        return table[self.number]

    def is_named(self, name: str) -> BoolArray:
        """Return which instruments have that name, (n,)."""
        return np.asarray(self.number == self._numbers.get(name, -1))

    def shared_with(self, chosen: BoolArray) -> BoolArray:
        """Return which instruments have the name of one of the `chosen`, (n,) both."""
        is_shared = np.zeros(len(self._numbers), dtype=bool)
        is_shared[self.number[chosen]] = True
        return is_shared[self.number]


class Aliases:
    """The names that each of n instruments goes by, any number of them."""

    def __init__(self, names: Iterable[Iterable[str]]) -> None:
        self._columns: defaultdict[str, list[int]] = defaultdict(list)
        self._count = 0
        for column, own in enumerate(names):
            self._count = column + 1
            for name in own:
                self._columns[name].append(column)

    def largest(self, values: Mapping[str, float], *, otherwise: float) -> FloatArray:
        """Return the largest value that any name of each instrument has, (n,); `otherwise` where none has one."""
        largest: dict[int, float] = {}  # by column: names with a value are few
        for name in values.keys() & self._columns.keys():
            value = values[name]
            for column in self._columns[name]:
                largest[column] = max(value, largest.get(column, -math.inf))
        found = np.full(self._count, otherwise)
        found[list(largest)] = list(largest.values())
        return found


class Instruments(tuple[Instrument, ...]):  # noqa: SLOT001 - a tuple's slots would have no room for the arrays
    """Instruments in the order of every array's columns."""

    def __init__(self, _instruments: Iterable[Instrument] = ()) -> None:
        self.coin = Names(one.coin for one in self)
        self.venue = Names(one.venue for one in self)
        self.identity = Aliases((one.coin, one.key_name) for one in self)
        self.any_name = Aliases(one.names for one in self)  #: in capitals
        #: the place of each instrument's id among all ids in their order
        self.id_rank: IntArray = np.argsort(np.argsort([one.id for one in self], kind="stable"), kind="stable")
        self.taker_fee_percent: FloatArray = np.array([one.taker_fee_percent for one in self], dtype=np.float64)
        self.tick_size: FloatArray = np.array([one.tick_size for one in self], dtype=np.float64)
        self.is_eligible: BoolArray = np.array([one.is_eligible for one in self], dtype=bool)
        self.publishes_trades: BoolArray = np.array([one.publishes_trades for one in self], dtype=bool)
        self.publishes_open_interest: BoolArray = np.array([one.publishes_open_interest for one in self], dtype=bool)
        self.has_bulk_open_interest: BoolArray = np.array([one.has_bulk_open_interest for one in self], dtype=bool)
