"""Order books as what has changed since the last book of the same instrument; both ends keep that one.

Most levels of a book were there in the one before: for those a bit is written, and the quantity only where it changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray, OrderBook, read_only
from fetchers.poll_plan import Key
from fetchers.tape.columns import BITS, Bytes, Exponents, from_grouped_decimals, segment_places, to_decimals
from fetchers.tape.records import trusted

FURTHEST = 1 << 40  #: units of the last digit between two levels of a side beyond which it is written as a first one
AT_ONCE = 60  #: books, about: the numbers of more leave the processor's cache, and take longer
SIDES = 2  #: a book is two sides: bids, then asks


class BookStream:
    """Writes or reads the books of one file, in its order. An instrument is a number, counted from 0."""

    def __init__(self) -> None:
        self._last: list[IntArray] = []  # its last book: prices and quantities as whole numbers, (2, bids and asks)
        self._levels = np.zeros((0, SIDES), np.int64)
        self._exponents = np.zeros((0, 2, SIDES), np.uint8)  # of prices and quantities
        self._is_odd = np.zeros((0, SIDES), bool)  # where the next one is written as if it were the first
        self._sequences: dict[int, int] = {}

    def put(self, body: Bytes, numbers: Sequence[int], books: Sequence[OrderBook], now_ms: int) -> None:
        """Put books of the instruments `numbers`."""
        body.put(np.array([one.levels_asked for one in books], np.int64))
        exchange_ms = np.array([one.exchange_ms for one in books], np.int64)
        body.put(exchange_ms - now_ms)
        body.put(np.array([one.received_ms for one in books], np.int64) - exchange_ms)
        sequences = [one.sequence for one in books]
        body.put_flags(np.array([one is not None for one in sequences], bool))
        body.put(np.array(list(self._sequence_changes(numbers, sequences)), np.int64))
        body.put(np.array([side.shape[1] for one in books for side in (one.bids, one.asks)], np.int64))
        self._make_room(numbers)
        for places in _rounds(numbers):
            self._put_round(body, [numbers[place] for place in places], [books[place] for place in places])

    def take(self, body: Bytes, keys: Sequence[Key], number_of: Mapping[Key, int], now_ms: int) -> list[OrderBook]:
        """Return the books of the instruments `keys`."""
        count, numbers = len(keys), [number_of[key] for key in keys]
        levels_asked = body.take(count).tolist()
        exchange_ms = body.take(count) + now_ms
        received_ms = (exchange_ms + body.take(count)).tolist()
        has_sequence = body.take_flags(count)
        changes = iter(body.take(int(has_sequence.sum())).tolist())
        sequences: list[int | None] = []
        for number, is_there in zip(numbers, has_sequence.tolist(), strict=True):
            if is_there:
                self._sequences[number] = self._sequences.get(number, 0) + next(changes)
            sequences.append(self._sequences[number] if is_there else None)
        levels = body.take(SIDES * count).reshape(count, SIDES)
        found: dict[int, list[FloatArray]] = {}
        self._make_room(numbers)
        for places in _rounds(numbers):
            sides = self._take_round(body, [numbers[place] for place in places], levels[places].ravel())
            found |= {place: sides[SIDES * at : SIDES * at + SIDES] for at, place in enumerate(places)}
        return [
            trusted(
                OrderBook,
                venue=key[0],
                id=key[1],
                bids=found[place][0],
                asks=found[place][1],
                levels_asked=levels_asked[place],
                exchange_ms=exchange,
                received_ms=received_ms[place],
                sequence=sequences[place],
            )
            for place, (key, exchange) in enumerate(zip(keys, exchange_ms.tolist(), strict=True))
        ]

    def _sequence_changes(self, numbers: Sequence[int], sequences: Sequence[int | None]) -> Iterator[int]:
        for number, sequence in zip(numbers, sequences, strict=True):
            if sequence is not None:
                yield sequence - self._sequences.get(number, 0)
                self._sequences[number] = sequence

    def _make_room(self, numbers: Sequence[int]) -> None:
        more = max(numbers) + 1 - len(self._last)
        if more > 0:
            self._last += [np.empty((2, 0), np.int64)] * more
            for name in ("_levels", "_exponents", "_is_odd"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)]))

    def _keep(self, numbers: Sequence[int], whole: IntArray, levels: IntArray, exponents: Exponents) -> None:
        end = np.cumsum(levels)[SIDES - 1 :: SIDES].tolist()
        for number, begin, one in zip(numbers, [0, *end], end, strict=False):
            # a copy: a view would keep the whole round until the instrument is polled again
            self._last[number] = whole[:, begin:one].copy()
        self._levels[numbers] = levels.reshape(-1, SIDES)
        self._exponents[numbers] = exponents.reshape(2, -1, SIDES).swapaxes(0, 1)

    def _before(self, numbers: Sequence[int]) -> "_Before":
        levels = self._levels[numbers].ravel()
        return _Before(
            levels,
            np.concatenate([self._last[number] for number in numbers], axis=1),
            self._exponents[numbers].swapaxes(0, 1).reshape(2, -1),
        )

    def _put_round(self, body: Bytes, numbers: Sequence[int], books: Sequence[OrderBook]) -> None:
        before = self._before(numbers)
        sides = [side for book in books for side in (book.bids, book.asks)]
        levels = np.array([side.shape[1] for side in sides])
        values = np.concatenate(sides, axis=1)
        (price, of_price), (quantity, of_quantity) = (
            _decimals(row, levels, known) for row, known in zip(values, before.exponents, strict=True)
        )
        exponents = np.stack([of_price, of_quantity])
        is_odd = _is_odd(price, levels) | (of_price == BITS)
        is_new = (
            (before.levels == 0)
            | self._is_odd[numbers].ravel()
            | (exponents != before.exponents).any(axis=0)
            | is_odd
            | _is_far(price, levels, before.best)
        )
        body.put_flags(is_new)
        body.put(exponents[:, is_new].ravel())
        old = before.less(is_new)
        was_there = old.find(price, levels)
        is_kept = was_there >= 0
        still_there = np.zeros(old.whole.shape[1], bool)
        still_there[was_there[is_kept]] = True
        body.put_flags(is_kept)
        body.put_flags(still_there)
        start, is_first = segment_places(levels)
        previous = np.append(0, price[:-1])[: len(price)]
        previous[start] = old.best[levels > 0]
        change = (price - previous) * _direction(levels)
        body.put(change[is_first & ~is_kept])
        body.put(change[~is_kept & ~is_first])
        is_same = old.whole[1, was_there[is_kept]] == quantity[is_kept]
        body.put_flags(is_same)
        is_written = ~is_kept
        is_written[is_kept] = ~is_same
        body.put(quantity[is_written])
        self._keep(numbers, np.stack([price, quantity]), levels, exponents)
        self._is_odd[numbers] = is_odd.reshape(-1, SIDES)

    def _take_round(self, body: Bytes, numbers: Sequence[int], levels: IntArray) -> list[FloatArray]:
        before = self._before(numbers)
        count = int(levels.sum())
        is_new = body.take_flags(len(levels))
        exponents = before.exponents
        exponents[:, is_new] = body.take(2 * int(is_new.sum())).reshape(2, -1)
        old = before.less(is_new)
        is_kept = body.take_flags(count)
        kept = old.whole[:, body.take_flags(old.whole.shape[1])]
        start, is_first = segment_places(levels)
        direction = _direction(levels)
        # a level that was there, or the first of its side, is an anchor; the others count on from the last one
        counts_on = ~(is_kept | is_first)
        is_new_first = is_first & ~is_kept
        anchors = np.zeros(count, np.int64)
        anchors[start] = old.best[levels > 0]
        anchors[is_new_first] += body.take(int(is_new_first.sum())) * direction[is_new_first]
        anchors[is_kept] = kept[0]
        whole = np.zeros((2, count), np.int64)
        change = whole[0]
        change[counts_on] = body.take(int(counts_on.sum()))
        change *= direction
        total = np.cumsum(change)
        anchor = np.maximum.accumulate(np.where(counts_on, 0, np.arange(count)))
        whole[0] = (anchors - total)[anchor] + total
        is_same = body.take_flags(kept.shape[1])
        whole[1, is_kept] = kept[1]
        is_written = ~is_kept
        is_written[is_kept] = ~is_same
        whole[1, is_written] = body.take(int(is_written.sum()))
        self._keep(numbers, whole, levels, exponents)
        values = np.stack(
            [from_grouped_decimals(row, of_row, levels) for row, of_row in zip(whole, exponents, strict=True)]
        )
        end = np.cumsum(levels).tolist()
        return [read_only(values[:, begin:one], np.float64) for begin, one in zip([0, *end], end, strict=False)]


class _Before(NamedTuple):
    """The sides that were there before, one after the other."""

    levels: IntArray  # (sides,)
    whole: IntArray  # (2, levels): prices and quantities
    exponents: Exponents  # (2, sides): of prices and quantities

    @property
    def best(self) -> IntArray:
        """The first price of each, 0 of those without any."""
        start, _ = segment_places(self.levels)
        best = np.zeros(len(self.levels), np.int64)
        best[self.levels > 0] = self.whole[0, start]
        return best

    def less(self, is_new: BoolArray) -> "_Before":
        """Return the same without the levels of some sides."""
        if not is_new.any():
            return self
        whole = self.whole[:, np.repeat(~is_new, self.levels)]
        return _Before(np.where(is_new, 0, self.levels), whole, self.exponents)

    def find(self, price: IntArray, levels: IntArray) -> IntArray:
        """Return where each level of the new sides was, -1 where it was not."""
        # one ascending key over all sides: levels lie within half of FURTHEST from the old best
        offset = np.arange(len(levels)) * 2 * FURTHEST + FURTHEST
        was, now = (
            (prices - np.repeat(self.best, many)) * _direction(many) + np.repeat(offset, many)
            for prices, many in ((self.whole[0], self.levels), (price, levels))
        )
        place = np.minimum(np.searchsorted(was, now), max(len(was) - 1, 0))
        is_known = np.repeat(self.levels > 0, levels)
        if len(was):
            is_known &= was[place] == now
        return np.where(is_known, place, -1)


def _decimals(values: FloatArray, levels: IntArray, before: Exponents) -> tuple[IntArray, Exponents]:
    """Return whole numbers, and the exponent of each side: that of before where it will do."""
    exponents = before.copy()
    start, _ = segment_places(levels)
    found = to_decimals(np.ascontiguousarray(values), at_least=np.repeat(exponents, levels), groups=start)
    exponents[levels > 0] = found.exponents[start]
    return found.whole, exponents


def _direction(levels: IntArray) -> IntArray:
    """Return the sign with which the prices of each level's side ascend."""
    return np.repeat(np.resize(np.array([-1, 1]), len(levels)), levels)


def _is_odd(price: IntArray, levels: IntArray) -> BoolArray:
    """Return which sides are not sorted best first, or reach very far, (sides,)."""
    start, is_first = segment_places(levels)
    step = np.diff(price, prepend=0) * _direction(levels)
    wrong = ((step <= 0) | (step >= FURTHEST // 4 // max(int(levels.max(initial=1)), 1))) & ~is_first
    found = np.zeros(len(levels), bool)
    if len(start):
        found[levels > 0] = np.logical_or.reduceat(wrong, start)
    return found


def _is_far(price: IntArray, levels: IntArray, best: IntArray) -> BoolArray:
    """Return which sides begin very far from where they began before, (sides,)."""
    start, _ = segment_places(levels)
    found = np.zeros(len(levels), bool)
    found[levels > 0] = np.abs(price[start] // 2 - best[levels > 0] // 2) >= FURTHEST // 8
    return found


def _rounds(numbers: Sequence[int]) -> list[list[int]]:
    """Return the places of the books in rounds, in each of which an instrument has one at most."""
    rounds: list[list[int]] = []
    seen: dict[int, int] = {}
    for place, number in enumerate(numbers):
        turn = seen[number] = max(seen.get(number, -1) + 1, place // AT_ONCE)
        while turn >= len(rounds):
            rounds.append([])
        rounds[turn].append(place)
    return [one for one in rounds if one]
