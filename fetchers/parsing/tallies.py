"""Counts of readable and unreadable rows by endpoint, and a notice when their share changes."""

from collections.abc import Collection
from dataclasses import dataclass, field

WINDOW_MS = 600_000  #: shares are compared over so long
FEWEST_ROWS = 100  #: a share of fewer says little
CHANGE = 0.02  #: of all rows, from the last share that was reported or taken as usual


@dataclass(slots=True)
class Tally:
    """The rows of one endpoint: objects of a list, levels of a book, prints or candles."""

    rows: int = 0
    unreadable: int = 0  #: left out, or without the value they are for
    impossible: int = 0  #: values that came and cannot be, such as a price below 0 or a word for a number
    fields: set[str] = field(default_factory=set)  #: those of the first reply
    new_fields: set[str] = field(default_factory=set)  #: that the first reply did not have

    def shares(self) -> tuple[float, float]:
        """Return how much of the rows is unreadable, and how many values are impossible for each row."""
        return self.unreadable / self.rows, self.impossible / self.rows


@dataclass(frozen=True, slots=True)
class Change:
    """An endpoint whose replies are not what they were."""

    endpoint: str
    before: tuple[float, float]  #: unreadable and impossible, for each row
    now: tuple[float, float]
    new_fields: tuple[str, ...]


class Tallies:
    """The tallies of one venue, by endpoint as in its calls' names: the words but the instrument."""

    def __init__(self) -> None:
        self.total: dict[str, Tally] = {}
        self._window: dict[str, Tally] = {}
        self._window_from_ms: int | None = None
        self._usual: dict[str, tuple[float, float]] = {}
        self._told_fields: dict[str, set[str]] = {}

    def note(
        self, call: str, rows: int, *, unreadable: int = 0, impossible: int = 0, fields: Collection[str] = ()
    ) -> None:
        """Count the rows of one reply."""
        endpoint = " ".join(call.split(maxsplit=2)[1:2])
        total = self.total.setdefault(endpoint, Tally())
        for tally in (total, self._window.setdefault(endpoint, Tally())):
            tally.rows += rows
            tally.unreadable += unreadable
            tally.impossible += impossible
        if not total.fields:
            total.fields.update(fields)
        total.new_fields.update(set(fields) - total.fields)

    def changes(self, now_ms: int) -> list[Change]:
        """Return what has changed, once, each time a window is over; the first window is what is usual."""
        if self._window_from_ms is None:
            self._window_from_ms = now_ms
        if now_ms - self._window_from_ms < WINDOW_MS:
            return []
        changes = []
        for endpoint, tally in self._window.items():
            new_fields = self.total[endpoint].new_fields - self._told_fields.setdefault(endpoint, set())
            now = tally.shares() if tally.rows >= FEWEST_ROWS else self._usual.get(endpoint, (0.0, 0.0))
            before = self._usual.setdefault(endpoint, now)
            if new_fields or any(abs(new - old) > CHANGE for new, old in zip(now, before, strict=True)):
                changes.append(Change(endpoint, before, now, tuple(sorted(new_fields))))
                self._usual[endpoint] = now
                self._told_fields[endpoint] |= new_fields
        self._window, self._window_from_ms = {}, now_ms
        return changes
