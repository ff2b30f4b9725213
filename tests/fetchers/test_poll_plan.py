"""The poll plan."""

from hypothesis import given
from hypothesis import strategies as st

from fetchers.poll_plan import Counts, Key, Plan, Wanted, make_plan

COSTS = {"binance": {"weight": 8.0}, "mexc": {"depth": 1.0, "deals": 1.0}, "lbank": {"all": 1.0}}
IDS = {venue: [f"C{number}" for number in range(12)] for venue in COSTS}


def candidate(venue: str, identity: str, bound: float = 50.0, lender: Key | None = None) -> Wanted:
    """Return a wanted candidate."""
    return Wanted(key=(venue, identity), kind="candidate", bound=bound, lender=lender)


def open_signal(venue: str, identity: str) -> Wanted:
    """Return a wanted open signal."""
    return Wanted(key=(venue, identity), kind="open")


def warm(venue: str, identity: str) -> Wanted:
    """Return one that was a candidate of late."""
    return Wanted(key=(venue, identity), kind="warm")


def plan(*wanted: Wanted, **polls: int) -> Plan:
    """Plan with a budget for so many polls a venue."""
    costs = {venue: COSTS[venue] for venue in polls}
    available = {venue: {pool: polls[venue] * cost for pool, cost in pools.items()} for venue, pools in costs.items()}
    eligible = {venue: len(IDS[venue]) for venue in costs}
    return make_plan(wanted, rotation=IDS, eligible=eligible, available=available, costs=costs)


wanted_lists = st.lists(
    st.builds(
        lambda key, kind, bound, lends: Wanted(
            key=key, kind=kind, bound=bound, lender=("mexc", key[1]) if lends and key[0] == "lbank" else None
        ),
        st.tuples(st.sampled_from(sorted(COSTS)), st.sampled_from(IDS["mexc"])),
        st.sampled_from(["open", "candidate", "warm"]),
        st.floats(0, 100),
        st.booleans(),
    ),
    unique_by=lambda want: want.key,
)
budgets = st.fixed_dictionaries(
    {venue: st.fixed_dictionaries({pool: st.floats(0, 60) for pool in pools}) for venue, pools in COSTS.items()}
)


@given(wanted=wanted_lists, available=budgets)
def test_a_plan_never_spends_beyond_the_budget_nor_defers_what_is_wanted_while_some_is_idle(
    wanted: list[Wanted], available: dict[str, dict[str, float]]
) -> None:
    """No pool is overdrawn, nothing is polled twice, and nothing wanted is left out while one more poll would fit."""
    planned = make_plan(wanted, rotation=IDS, eligible={}, available=available, costs=COSTS)
    for venue, pools in COSTS.items():
        ids = planned.polls[venue]
        assert len(ids) == len(set(ids))
        left = {pool: available[venue][pool] - cost * len(ids) for pool, cost in pools.items()}
        assert min(left.values()) >= 0
        deferred = {want.key[1] for want in wanted if want.key[0] == venue} - set(ids)
        assert not deferred or any(left[pool] < cost for pool, cost in pools.items())


@given(wanted=wanted_lists, available=budgets)
def test_the_rotation_has_its_fifth_and_no_more(wanted: list[Wanted], available: dict[str, dict[str, float]]) -> None:
    """However many are wanted, the rotation spends 20 % of the budget, or one poll where that is more."""
    wanted = [want for want in wanted if want.kind == "candidate"]
    others = {venue: [f"R{number}" for number in range(100)] for venue in COSTS}
    planned = make_plan(wanted, rotation=others, eligible={}, available=available, costs=COSTS)
    for venue, pools in COSTS.items():
        rotated = set(planned.polls[venue]) - planned.awaited[venue]
        shares = [0.2 * available[venue][pool] / cost for pool, cost in pools.items()]
        affordable = all(available[venue][pool] >= cost for pool, cost in pools.items())
        assert len(rotated) == max(int(min(shares) + 1e-9), int(affordable))


def test_open_signals_go_first_then_the_best_bounds() -> None:
    """Open signals, candidates best bound first, one of the rotation after every four; nobody waits for that one."""
    wanted = [candidate("mexc", f"C{number}", bound=50 + number) for number in range(8)]
    planned = plan(*wanted, open_signal("mexc", "C11"), mexc=10)
    assert planned.polls["mexc"] == ("C11", "C7", "C6", "C5", "C4", "C0", "C3", "C2", "C1", "C8")
    assert planned.awaited["mexc"] == {"C11", *(f"C{number}" for number in range(1, 8))}
    assert planned.counts["mexc"] == Counts(eligible=12, pruned=3, polled=10, starved=0)


def test_what_is_wanted_beyond_the_budget_is_counted_as_starved() -> None:
    """Of eight candidates three fit beside the rotation; the rotation's turn falls on one of the others."""
    wanted = [candidate("binance", f"C{number}", bound=90 - number) for number in range(8)]
    planned = plan(*wanted, binance=4)
    assert planned.polls["binance"] == ("C0", "C1", "C2", "C3")
    assert planned.counts["binance"] == Counts(eligible=12, pruned=4, polled=4, starved=4)


def test_open_signals_may_spend_everything() -> None:
    """Following what is open is worth more than the rotation."""
    assert plan(*(open_signal("mexc", f"C{number}") for number in range(6)), mexc=5).polls["mexc"] == (
        "C0",
        "C1",
        "C2",
        "C3",
        "C4",
    )


def test_a_candidate_brings_its_lender_along_and_waits_for_the_others_without_it() -> None:
    """Borrower and lender are planned together, once; a borrower whose lender does not fit goes last, and starves."""
    borrower = candidate("lbank", "C5", bound=90, lender=("mexc", "C7"))
    planned = plan(borrower, candidate("mexc", "C7"), lbank=5, mexc=5)
    assert planned.polls["lbank"][0] == "C5"
    assert planned.polls["mexc"][0] == "C7"
    starved = plan(borrower, candidate("lbank", "C6"), lbank=5, mexc=0)
    assert starved.polls == {"lbank": ("C6", "C5", "C0"), "mexc": ()}
    assert starved.counts["lbank"] == Counts(eligible=12, pruned=10, polled=3, starved=1)


def test_a_venue_that_is_not_polled_starves_what_is_wanted_of_it() -> None:
    """Without a cost a venue is left alone, and borrowers that lend from it come after the rotation."""
    planned = plan(candidate("mexc", "C1"), candidate("lbank", "C1", lender=("mexc", "C1")), lbank=1)
    assert planned.polls == {"lbank": ("C0",)}


def test_with_nothing_wanted_a_fifth_rotates() -> None:
    """Dull instruments cost their share and no more, the least recently polled first."""
    assert plan(lbank=10).polls["lbank"] == ("C0", "C1")


def test_the_warm_take_what_the_others_leave() -> None:
    """They come after candidates and rotation, in the order given; no decision waits for them, and none is starved."""
    found = plan(warm("lbank", "C9"), warm("lbank", "C8"), warm("lbank", "C7"), candidate("lbank", "C5"), lbank=4)
    assert found.polls["lbank"] == ("C5", "C0", "C9", "C8")
    assert found.awaited["lbank"] == {"C5"}
    assert found.counts["lbank"] == Counts(eligible=12, pruned=11, polled=4, starved=0)


@given(wanted=wanted_lists, available=budgets)
def test_the_warm_cost_nobody_a_poll(wanted: list[Wanted], available: dict[str, dict[str, float]]) -> None:
    """With or without them, everybody else is polled in the same order."""

    def planned(of: list[Wanted]) -> Plan:
        return make_plan(of, rotation=IDS, eligible={}, available=available, costs=COSTS)

    whole, without = planned(wanted), planned([want for want in wanted if want.kind != "warm"])
    assert whole.awaited == without.awaited
    for venue, ids in without.polls.items():
        assert whole.polls[venue][: len(ids)] == ids
