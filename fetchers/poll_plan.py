"""Which instruments to poll in a tick: pure arithmetic over what is wanted and what the budgets allow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeAlias

Key: TypeAlias = tuple[str, str]  #: (venue, id)

ROTATION_SHARE = 0.20
_PER_ROTATION = round(1 / ROTATION_SHARE) - 1  # candidates sent between two of the rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An instrument whose book, trades and live open interest could change a decision, now or soon."""

    key: Key
    kind: Literal["open", "candidate", "warm"]  #: warm: was a candidate of late, and could be one again
    bound: float = 0.0  #: [0...100] the highest score it could still reach
    lender: Key | None = None  #: on another venue, polled in the same tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of one venue's instruments in a plan."""

    eligible: int = 0  #: may signal
    pruned: int = 0  #: eligible, but not wanted: could not pass the gates whatever a poll says
    polled: int = 0  #: planned, the rotation included
    starved: int = 0  #: wanted, and it or its lender beyond the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ids to poll by venue, in the order to send them, and what became of the rest."""

    polls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    awaited: dict[str, frozenset[str]] = field(default_factory=dict)  #: by venue, those a decision waits for
    counts: dict[str, Counts] = field(default_factory=dict)


class _RemainingBudget:
    """Every venue's remaining budget, and the rotation's share of it."""

    def __init__(self, available: Mapping[str, Mapping[str, float]], costs: Mapping[str, Mapping[str, float]]) -> None:
        self._left = {venue: {pool: available[venue].get(pool, 0.0) for pool in costs[venue]} for venue in costs}
        self._kept = {
            venue: {pool: max(cost, ROTATION_SHARE * self._left[venue][pool]) for pool, cost in costs[venue].items()}
            for venue in costs
        }
        self._costs = costs
        self._exhausted: set[tuple[str, bool]] = set()  # costs are constant, so these stay exhausted

    def pay(self, keys: Iterable[Key], *, whole: bool = False) -> bool:
        """Pay one poll of each of `keys`, all or none, with or without touching what is kept for the rotation."""
        for venue, _ in keys:
            if (venue, whole) in self._exhausted or not self._affords(venue, whole=whole):
                self._exhausted.add((venue, whole))
                return False
        for venue, _ in keys:
            self._spend(self._left[venue], venue)
        return True

    def _affords(self, venue: str, *, whole: bool) -> bool:
        if venue not in self._costs:
            return False
        left, kept = self._left[venue], self._kept[venue]
        return all(cost <= left[pool] - (0.0 if whole else kept[pool]) for pool, cost in self._costs[venue].items())

    def rotate(self, venue: str) -> bool:
        """Pay one poll out of the rotation's share."""
        left, kept = self._left[venue], self._kept[venue]
        if any(cost > min(left[pool], kept[pool]) for pool, cost in self._costs[venue].items()):
            return False
        self._spend(left, venue)
        self._spend(kept, venue)
        return True

    def _spend(self, purse: dict[str, float], venue: str) -> None:
        for pool, cost in self._costs[venue].items():
            purse[pool] -= cost


def make_plan(
    wanted: Iterable[Wanted],
    *,
    rotation: Mapping[str, Sequence[str]],
    eligible: Mapping[str, int],
    available: Mapping[str, Mapping[str, float]],
    costs: Mapping[str, Mapping[str, float]],
) -> Plan:
    """Choose the polls of one tick, never beyond `available`.

    Open signals come first and may spend everything. Candidates follow, best bound first, each together with its lender
    or not at all, and leave ROTATION_SHARE of every budget (one poll at the least) to the rotation, which takes no more
    than that. What is left then goes to the candidates that did not fit, even without their lenders, and after them to
    the warm, in the order given; no decision waits for those.

    Parameters
    ----------
    wanted
        Open signals and candidates in any order; the warm, the most urgent first.
    rotation
        By venue, the ids of all its instruments, least recently polled first.
    eligible
        By venue, how many instruments may signal.
    available
        By venue and pool, what this tick may spend.
    costs
        By venue and pool, what one poll costs; a venue that is not in it is not polled.
    """
    purse = _RemainingBudget(available, costs)
    opens: dict[str, list[str]] = {venue: [] for venue in costs}
    chosen: dict[str, list[str]] = {venue: [] for venue in costs}
    rotated: dict[str, list[str]] = {venue: [] for venue in costs}
    kept_warm: dict[str, list[str]] = {venue: [] for venue in costs}
    planned: set[Key] = set()

    def add(keys: Iterable[Key | None], to: Mapping[str, list[str]], *, whole: bool) -> None:
        new = [key for key in keys if key is not None and key not in planned]
        if new and purse.pay(new, whole=whole):
            planned.update(new)
            for venue, identity in new:
                to[venue].append(identity)

    asked = list(wanted)
    warm = [want for want in asked if want.kind == "warm"]
    wanted = sorted(
        (want for want in asked if want.kind != "warm"), key=lambda want: (want.kind != "open", -want.bound)
    )
    for want in wanted:
        is_open = want.kind == "open"
        add((want.key, want.lender), opens if is_open else chosen, whole=is_open)
    for venue in costs:
        for identity in [one for one in rotation.get(venue, ()) if (venue, one) not in planned]:
            if not purse.rotate(venue):
                break
            planned.add((venue, identity))
            rotated[venue].append(identity)
    for want in wanted:
        add((want.key, want.lender), chosen, whole=True)
        add((want.key,), chosen, whole=True)
    for want in warm:
        add((want.key,), kept_warm, whole=True)
    polls = {venue: (*opens[venue], *_interleaved(chosen[venue], rotated[venue]), *kept_warm[venue]) for venue in costs}
    awaited = {venue: frozenset((*opens[venue], *chosen[venue])) for venue in costs}
    return Plan(polls=polls, awaited=awaited, counts=_count(wanted, planned, polls, eligible))


def _interleaved(chosen: Sequence[str], rotated: Sequence[str]) -> Iterable[str]:
    """Mix in the rotation at its share, so that a tick cut short does not always cut the same end off."""
    best, turn = iter(chosen), iter(rotated)
    while group := [*islice(best, _PER_ROTATION), *islice(turn, 1)]:
        yield from group


def _count(
    wanted: Sequence[Wanted], planned: set[Key], polls: Mapping[str, Sequence[str]], eligible: Mapping[str, int]
) -> dict[str, Counts]:
    counts = {}
    for venue in {*eligible, *polls}:
        here = [want for want in wanted if want.key[0] == venue]
        counts[venue] = Counts(
            eligible=eligible.get(venue, 0),
            pruned=max(0, eligible.get(venue, 0) - len(here)),
            polled=len(polls.get(venue, ())),
            starved=sum(not {want.key, want.lender or want.key} <= planned for want in here),
        )
    return counts
