"""Prints of several connections as one record: each once, oldest first by symbol, and whether one may be missing. Pure.

Two connections bring the same prints while one takes the other's place, and a venue may repeat the last seconds to a
new one. What is known is told by Binance's consecutive numbers, by Bybit's ids, and on MEXC, which gives none, by how
often the same print came on each connection.
"""

from collections import Counter
from collections.abc import Collection, Iterable, KeysView, Sequence
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray, IntArray, Prints, read_only
from fetchers.parsing.build_records import FUTURE_MS
from fetchers.streams.channel import LATE_MS
from fetchers.streams.wire import Heard, StreamWire

REMEMBERED_MS = 10_000  #: at least so long, at most twice
RESTART_MS = 5_000  #: a lower number so much later is a venue that counts anew

#: what a connection brought
Brought = tuple[int, Heard]  # its number, what was read of it


@dataclass(slots=True)
class _Last:
    number: int
    venue_ms: float


class _Recent:
    """What was given lately, in two generations."""

    def __init__(self, *, is_counted: bool) -> None:
        self._is_counted = is_counted
        self._turned_ms = 0
        self._given: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._came: tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]] = (Counter(), Counter())

    def turn(self, now_ms: int) -> None:
        """Forget what is old."""
        if now_ms - self._turned_ms >= REMEMBERED_MS:
            self._turned_ms = now_ms
            self._given = (Counter(), self._given[0])
            self._came = (Counter(), self._came[0])

    def is_new(self, connection: int, key: int) -> bool:
        """Return whether a print was not given yet, and note it."""
        new, old = self._given
        if self._is_counted:
            came, came_before = self._came
            came[connection, key] += 1
            if came[connection, key] + came_before[connection, key] <= new[key] + old[key]:
                return False
        elif key in new or key in old:
            return False
        new[key] += 1
        return True


class PrintMerger:
    """A venue's prints, and since when each symbol's are whole."""

    def __init__(self, wire: StreamWire) -> None:
        self._wire = wire
        self._recent = _Recent(is_counted=not wire.has_ids)
        self._last: dict[str, _Last] = {}  # by consecutive numbers
        self._from_ms: dict[str, int] = {}
        self._from_before_ms: dict[str, int] = {}  # of what was covered until it was lost
        self._is_fresh: set[str] = set()  # covered, and no print given since
        self.gaps = 0
        self.repeated = 0
        self.late = 0

    @property
    def covered(self) -> KeysView[str]:
        """The symbols that are covered now."""
        return self._from_ms.keys()

    def covered_from_ms(self, symbol: str) -> int | None:
        """Return since when a symbol's prints are whole, None where they are not."""
        return self._from_ms.get(symbol)

    def set_covered(self, symbols: Collection[str], now_ms: int) -> None:
        """Take these for covered from now on, where they were not, and no others."""
        for symbol in [one for one in self._from_ms if one not in symbols]:
            self._from_before_ms[symbol] = self._from_ms.pop(symbol)
        for symbol in symbols:
            if symbol not in self._from_ms:
                self._from_ms[symbol] = now_ms
                self._is_fresh.add(symbol)

    def forget(self, wanted: Collection[str]) -> None:
        """Forget all but these."""
        for known in (self._last, self._from_ms, self._from_before_ms):
            for symbol in [one for one in known if one not in wanted]:
                del known[symbol]
        self._is_fresh &= set(wanted)

    def merge(self, brought: Sequence[Brought], read_ms: int, clock_offset_ms: float) -> Prints | None:
        """Return the prints of covered symbols that no earlier record had, None where there are none."""
        self._recent.turn(read_ms)
        brought = [one for one in brought if one[1].symbols]
        if not brought:
            return None
        symbols = [symbol for _, heard in brought for symbol in heard.symbols]
        ids = np.concatenate([heard.ids for _, heard in brought])
        venue_ms = np.concatenate([heard.venue_ms for _, heard in brought])
        age_ms = read_ms + clock_offset_ms - venue_ms
        is_in_time = (age_ms <= LATE_MS) & (age_ms >= -FUTURE_MS)
        self.late += len(symbols) - int(is_in_time.sum())
        places: dict[str, int] = {}
        group = np.array([places.setdefault(s, len(places)) if s in self._from_ms else -1 for s in symbols])
        chosen = np.flatnonzero(is_in_time & (group >= 0))
        if self._wire.has_consecutive_ids:
            chosen = chosen[np.lexsort((ids[chosen], group[chosen]))]
            names = list(places)
            chosen = self._unknown_numbers(chosen, group, ids, venue_ms, names)
        else:
            connections = np.repeat([number for number, _ in brought], [len(heard.symbols) for _, heard in brought])
            is_new = self._recent.is_new
            fresh = [
                is_new(connection, hash((symbols[row], key)))
                for row, connection, key in zip(
                    chosen.tolist(), connections[chosen].tolist(), ids[chosen].tolist(), strict=True
                )
            ]
            self.repeated += len(fresh) - sum(fresh)
            chosen = chosen[np.array(fresh, dtype=bool)]
        if not len(chosen):
            return None
        lag_ms = np.concatenate([read_ms + clock_offset_ms - heard.sent_ms for _, heard in brought])
        return self._record(chosen, group, ids, brought, list(places), read_ms, clock_offset_ms, lag_ms)

    def _unknown_numbers(
        self, chosen: IntArray, group: IntArray, ids: IntArray, venue_ms: FloatArray, names: Sequence[str]
    ) -> IntArray:
        """Return the rows whose number is beyond the last one of their symbol, each number once."""
        nothing = _Last(-1, 0.0)
        last = [self._last.get(name, nothing) for name in names]
        number = np.array([one.number for one in last], dtype=np.int64)[group[chosen]]
        last_ms = np.array([one.venue_ms for one in last])[group[chosen]]
        is_known = (ids[chosen] <= number) & (venue_ms[chosen] <= last_ms + RESTART_MS)
        is_known[1:] |= (np.diff(group[chosen]) == 0) & (np.diff(ids[chosen]) == 0)
        self.repeated += int(is_known.sum())
        return chosen[~is_known]

    def _record(
        self,
        chosen: IntArray,
        group: IntArray,
        ids: IntArray,
        brought: Sequence[Brought],
        names: Sequence[str],
        read_ms: int,
        clock_offset_ms: float,
        lag_ms: FloatArray,
    ) -> Prints:
        def column(name: str) -> FloatArray:
            return np.concatenate([getattr(heard, name) for _, heard in brought])[chosen].astype(np.float64)

        group, ids, venue_ms = group[chosen], ids[chosen], column("venue_ms")
        order = np.lexsort((venue_ms, group))  # stable: of one time in the order of arrival, or of their numbers
        group, ids, venue_ms = group[order], ids[order], venue_ms[order]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1, [len(group)]])
        symbols = tuple(names[at] for at in group[starts[:-1]].tolist())
        if self._wire.has_consecutive_ids:
            continues = self._chain(symbols, starts, ids, venue_ms, read_ms)
        else:
            continues = [symbol not in self._is_fresh for symbol in symbols]
        self._is_fresh.difference_update(symbols)
        time_ms = np.minimum(read_ms, np.rint(venue_ms - clock_offset_ms))
        block = [time_ms, column("price")[order], column("quantity")[order], column("is_taker_sell")[order]]
        return Prints(
            venue=self._wire.venue,
            symbols=symbols,
            starts=read_only(starts, np.int64),
            block=read_only(block, np.float64),
            continues=read_only(continues, bool),
            read_ms=read_ms,
            lag_ms=float(np.median(lag_ms)) if len(lag_ms) else 0.0,
        )

    def _chain(
        self, symbols: Iterable[str], starts: IntArray, ids: IntArray, venue_ms: FloatArray, read_ms: int
    ) -> list[bool]:
        """Return which lists follow the last print without a gap, and note where they end."""
        low, high = np.minimum.reduceat(ids, starts[:-1]), np.maximum.reduceat(ids, starts[:-1])
        is_whole = (high - low + 1 == np.diff(starts)).tolist()
        newest_ms = venue_ms[starts[1:] - 1].tolist()
        continues = []
        for symbol, first, last_id, whole, at_ms in zip(
            symbols, low.tolist(), high.tolist(), is_whole, newest_ms, strict=True
        ):
            before = self._last.get(symbol)
            follows = whole and before is not None and first == before.number + 1
            if follows and symbol in self._is_fresh:
                self._from_ms[symbol] = self._from_before_ms.get(symbol, self._from_ms[symbol])
            elif not follows and (symbol not in self._is_fresh or not whole):
                self.gaps += 1
                self._from_ms[symbol] = read_ms
            self._last[symbol] = _Last(last_id, at_ms)
            continues.append(follows)
        return continues
