"""The books and prints between two judgements, by instrument."""

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from features.facts.market import Observation, OrderBook, Prints, Trades
from fetchers.poll_plan import Key


class Arrived(Mapping[Key, list[OrderBook | Trades]]):
    """Each instrument's, in the order of their arrival; of a stream's prints those that somebody asks for."""

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        self._replies: dict[Key, list[tuple[int, OrderBook | Trades]]] = {}
        self._prints: dict[str, list[tuple[int, Prints]]] = {}
        self._count = 0
        self.add(observations)

    def add(self, observations: Iterable[Observation]) -> None:
        """Add what has arrived, as far as it is of single instruments."""
        for one in observations:
            self._count += 1
            if isinstance(one, OrderBook | Trades):
                self._replies.setdefault((one.venue, one.id), []).append((self._count, one))
            elif isinstance(one, Prints):
                self._prints.setdefault(one.venue, []).append((self._count, one))

    def books(self) -> dict[Key, OrderBook]:
        """Return the last book of each instrument."""
        return {key: one for key, found in self._replies.items() for _, one in found if isinstance(one, OrderBook)}

    def __getitem__(self, key: Key) -> list[OrderBook | Trades]:
        venue, identity = key
        found = [*self._replies.get(key, ())]
        for place, prints in self._prints.get(venue, ()):
            if (trades := prints.of(identity)) is not None:
                found.append((place, trades))
        if not found:
            raise KeyError(key)
        return [one for _, one in sorted(found, key=itemgetter(0))]

    def __iter__(self) -> Iterator[Key]:
        streamed = {
            (venue, one) for venue, found in self._prints.items() for _, prints in found for one in prints.symbols
        }
        return iter(self._replies.keys() | streamed)

    def __len__(self) -> int:
        return sum(1 for _ in self)
