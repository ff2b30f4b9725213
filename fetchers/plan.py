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
    """An instrument whose book, trades and live open interest could change a decision."""

    key: Key
    kind: Literal["open", "candidate"]
    bound: float = 0.0  #: [0...100] the highest score it could still reach
    lender: Key | None = None  #: on another venue, polled in the same tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of one venue's instruments in a plan."""

    eligible: int = 0  #: may signal
    pruned: int = 0  #: eligible, but not wanted: could not pass the gates whatever a poll says
    polled: int = 0  #: planned, the rotation included
    starved: int = 0  #: wanted, and beyond the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ids to poll by venue, in the order to send them, and what became of the rest."""

    polls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)


class _Purse:
    """What is left of every venue's budget."""

    def __init__(self, available: Mapping[str, Mapping[str, float]], costs: Mapping[str, Mapping[str, float]]) -> None:
        self._left = {venue: {pool: available[venue].get(pool, 0.0) for pool in costs[venue]} for venue in costs}
        self._kept = {
            venue: {pool: ROTATION_SHARE * left for pool, left in self._left[venue].items()} for venue in costs
        }
        self._costs = costs

    def pay(self, venues: Sequence[str], *, whole: bool = False) -> bool:
        """Pay one poll on each of `venues`, all or none, with or without touching the share of the rotation."""
        for venue in venues:
            left, kept = self._left[venue], self._kept[venue]
            if any(cost > left[pool] - (0.0 if whole else kept[pool]) for pool, cost in self._costs[venue].items()):
                return False
        for venue in venues:
            for pool, cost in self._costs[venue].items():
                self._left[venue][pool] -= cost
        return True


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
    or not at all, and leave ROTATION_SHARE of every budget to the rotation, which also takes what they do not need.

    Parameters
    ----------
    wanted
        Open signals and candidates in any order.
    rotation
        By venue, the ids of all its instruments, least recently polled first.
    eligible
        By venue, how many instruments may signal.
    available
        By venue and pool, what this tick may spend.
    costs
        By venue and pool, what one poll costs; a venue that is not in it is not polled.
    """
    purse = _Purse(available, costs)
    first: dict[str, list[str]] = {venue: [] for venue in costs}
    chosen: dict[str, list[str]] = {venue: [] for venue in costs}
    planned: set[Key] = set()
    wanted = sorted(wanted, key=lambda want: (want.kind != "open", -want.bound))
    for want in wanted:
        keys = [key for key in (want.key, want.lender) if key is not None and key not in planned]
        is_open = want.kind == "open"
        if not all(venue in costs for venue, _ in keys) or not purse.pay([venue for venue, _ in keys], whole=is_open):
            continue
        for venue, identity in keys:
            (first if is_open else chosen)[venue].append(identity)
        planned.update(keys)
    polls: dict[str, tuple[str, ...]] = {}
    for venue in costs:
        rotated: list[str] = []
        for identity in rotation.get(venue, ()):
            if (venue, identity) in planned:
                continue
            if not purse.pay([venue], whole=True):
                break
            rotated.append(identity)
        planned.update((venue, identity) for identity in rotated)
        polls[venue] = (*first[venue], *_interleaved(chosen[venue], rotated))
    return Plan(polls=polls, counts=_count(wanted, planned, polls, eligible))


def _interleaved(chosen: Sequence[str], rotated: Sequence[str]) -> Iterable[str]:
    """Mix in the rotation at its share, so that a tick cut short does not always cut the same end off."""
    best, turn = iter(chosen), iter(rotated)
    while group := [*islice(best, _PER_ROTATION), *islice(turn, 1)]:
        yield from group


def _count(
    wanted: Sequence[Wanted], planned: set[Key], polls: Mapping[str, Sequence[str]], eligible: Mapping[str, int]
) -> dict[str, Counts]:
    keys = {want.key for want in wanted}
    counts = {}
    for venue in {*eligible, *polls}:
        here = {key for key in keys if key[0] == venue}
        counts[venue] = Counts(
            eligible=eligible.get(venue, 0),
            pruned=max(0, eligible.get(venue, 0) - len(here)),
            polled=len(polls.get(venue, ())),
            starved=len(here - planned),
        )
    return counts
